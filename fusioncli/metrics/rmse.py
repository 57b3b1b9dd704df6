"""RMSE, pooled over all bands or averaged over them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from torch import Tensor

from fusioncli.metrics.contract import State
from fusioncli.metrics.squared_errors import SquaredErrors


@dataclass(eq=False)
class RmsePooled(SquaredErrors):
    """Root of the mean squared error over all pixels and bands.

    Masked: valid pixels only. Equals torchmetrics' `MeanSquaredErrors(squared=False)`.
    """

    name = "RMSE_pooled"
    higher_is_better = False
    ideal = 0.0
    units = "DN"
    value_range = (0.0, inf)

    def value(self, state: State) -> float:
        """Root of the mean over bands of the mean squared errors."""
        return self.mean_squares(state).mean().sqrt().item()


@dataclass(eq=False)
class RmseBandMean(RmsePooled):
    """Mean over bands of each band's root mean squared error; never above `RmsePooled`.

    Masked: valid pixels only.
    """

    name = "RMSE_band_mean"

    def value(self, state: State) -> float:
        """Mean over bands of the roots."""
        return self.mean_squares(state).sqrt().mean().item()


def rmse_pooled(reference: Tensor, fused: Tensor, *, mask: Tensor | None = None) -> float:
    """`RmsePooled` of one image (1, C, H, W), DN."""
    return RmsePooled().update(reference, fused, mask=mask).compute()


def rmse_band_mean(reference: Tensor, fused: Tensor, *, mask: Tensor | None = None) -> float:
    """`RmseBandMean` of one image (1, C, H, W), DN."""
    return RmseBandMean().update(reference, fused, mask=mask).compute()
