"""SSIM: structural similarity in Gaussian windows."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from torch import Tensor

from fusioncli.metrics.contract import check_data_range
from fusioncli.metrics.windows import WindowMean, weighted_windows

_SIGMA_PX = 1.5
_K1, _K2 = 0.01, 0.03


@dataclass(eq=False)
class Ssim(WindowMean):
    """Structural similarity, averaged over complete windows and bands.

    Wang et al. 2004: 11 x 11 Gaussian windows of standard deviation 1.5, K1 = 0.01, K2 = 0.03, biased
    moments, no downsampling beforehand. Always defined, constant bands included.
    Masked: windows that hold an invalid pixel are dropped.

    scikit-image agrees with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`; its default is a
    uniform 7 x 7 window. torchmetrics mirrors the border and averages over the full frame: equal inside, not
    at the edge.

    Attributes:
        data_range: peak value L in DN: 2047 for 11-bit data, 1 for reflectance, never guessed from the image.
    """

    data_range: float

    name = "SSIM"
    higher_is_better = True
    ideal = 1.0
    value_range = (-1.0, 1.0)
    window_px = 11

    def __post_init__(self) -> None:
        check_data_range(self.data_range)

    def quality_map(self, *images: Tensor) -> Tensor:
        """The similarity of every complete window."""
        reference, fused = images
        moments = (reference, fused, reference.square().addcmul_(fused, fused), reference * fused)
        taps = _gaussian(self.window_px)
        mean_x, mean_y, squares, products = (weighted_windows(moment, taps) for moment in moments)
        c1, c2 = (_K1 * self.data_range) ** 2, (_K2 * self.data_range) ** 2
        means = mean_x * mean_y
        energy = mean_x.square().addcmul_(mean_y, mean_y)
        covariance, variances = products.sub_(means), squares.sub_(energy)
        similarity = means.mul_(2).add_(c1).mul_(covariance.mul_(2).add_(c2))
        return similarity.div_(energy.add_(c1).mul_(variances.add_(c2)))


def ssim(reference: Tensor, fused: Tensor, *, data_range: float, mask: Tensor | None = None) -> float:
    """`Ssim` of one image (1, C, H, W)."""
    return Ssim(data_range).update(reference, fused, mask=mask).compute()


def _gaussian(size: int) -> tuple[float, ...]:
    taps = [exp(-((i - (size - 1) / 2) ** 2) / (2 * _SIGMA_PX**2)) for i in range(size)]
    return tuple(tap / sum(taps) for tap in taps)
