"""Q: the universal image quality index, averaged over windows and bands."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fusioncli.metrics.universal_quality import window_quality
from fusioncli.metrics.windows import WindowMean


@dataclass(eq=False)
class Uiqi(WindowMean):
    """Universal image quality index in windows that slide by one pixel, averaged over windows and bands.

    Wang and Bovik 2002 with uniform windows, complete ones only: what the reference toolbox prints as Q or
    Q_avg. Windows constant in both images compare their means alone, windows of zeros in both count 1; where
    round-off keeps the toolbox from seeing that a window of fractional values is constant, this one sees it.
    Masked: windows that hold an invalid pixel are dropped.

    torchmetrics' `UniversalImageQualityIndex` is another index: 11 x 11 Gaussian windows, variances clamped
    and a small constant added.

    Attributes:
        window_px: side of the windows.
    """

    window_px: int = 32

    name = "Q"
    higher_is_better = True
    ideal = 1.0
    value_range = (-1.0, 1.0)

    def quality_map(self, *images: Tensor) -> Tensor:
        """The index of every complete window."""
        reference, fused = images
        return window_quality(reference, fused, self.window_px)


def uiqi(reference: Tensor, fused: Tensor, *, window_px: int = 32, mask: Tensor | None = None) -> float:
    """`Uiqi` of one image (1, C, H, W)."""
    return Uiqi(window_px).update(reference, fused, mask=mask).compute()
