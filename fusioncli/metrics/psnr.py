"""PSNR, pooled over all bands or averaged over them; both are in use, so the name says which."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from torch import Tensor

from fusioncli.metrics.contract import State, check_data_range
from fusioncli.metrics.squared_errors import SquaredErrors


@dataclass(eq=False)
class PsnrPooled(SquaredErrors):
    """10 log10(L² / MSE) with one MSE over all pixels and bands; infinite for a perfect image.

    Masked: valid pixels only. Equals scikit-image, and torchmetrics' `PeakSignalNoiseRatio(data_range=L)` for
    a single image; over several images torchmetrics gives the PSNR of the mean MSE, this package the mean
    PSNR.

    Attributes:
        data_range: peak value L in DN: 2047 for 11-bit data, 1 for reflectance, never guessed from the image.
    """

    data_range: float

    name = "PSNR_pooled"
    higher_is_better = True
    ideal = inf
    units = "dB"
    value_range = (-inf, inf)

    def __post_init__(self) -> None:
        check_data_range(self.data_range)

    def value(self, state: State) -> float:
        """Of the mean over bands of the mean squared errors."""
        return self._decibels(self.mean_squares(state).mean()).item()

    def _decibels(self, mean_square: Tensor) -> Tensor:
        return 10 * (self.data_range**2 / mean_square).log10()


@dataclass(eq=False)
class PsnrBandMean(PsnrPooled):
    """Mean over bands of each band's PSNR, as papers on hyperspectral fusion print it.

    Infinite as soon as one band is perfect. Masked: valid pixels only. Equals torchmetrics'
    `PeakSignalNoiseRatio` taken band by band and averaged.
    """

    name = "PSNR_band_mean"

    def value(self, state: State) -> float:
        """Mean over bands of the decibels."""
        return self._decibels(self.mean_squares(state)).mean().item()


def psnr_pooled(reference: Tensor, fused: Tensor, *, data_range: float, mask: Tensor | None = None) -> float:
    """`PsnrPooled` of one image (1, C, H, W), dB."""
    return PsnrPooled(data_range).update(reference, fused, mask=mask).compute()


def psnr_band_mean(reference: Tensor, fused: Tensor, *, data_range: float, mask: Tensor | None = None) -> float:
    """`PsnrBandMean` of one image (1, C, H, W), dB."""
    return PsnrBandMean(data_range).update(reference, fused, mask=mask).compute()
