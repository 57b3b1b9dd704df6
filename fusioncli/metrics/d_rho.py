"""D_rho: does the fused image carry PAN's detail, locally."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

from fusioncli.metrics.contract import State, Streamed, pooled
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.windows import touches_invalid, window_sums

_EPSILON = 1e-20


@dataclass(eq=False)
class DRho(Streamed):
    """Mean over pixels and bands of 1 - local correlation between fused and PAN, from 0 (ideal) to 2.

    Scarpa and Ciotola 2022. `local_correlation` defines the correlation; a window that is flat in either
    image has correlation 0. The published code computes in single precision, this one agrees to about 1e-6.
    Masked: pixels that the correlation of an invalid pixel reaches are dropped.

    Attributes:
        half_width_px: half the side of the windows, the ratio over two.
    """

    half_width_px: int = 2

    name = "D_rho"
    higher_is_better = False
    ideal = 0.0
    value_range = (0.0, 2.0)
    inputs = ("fused", "pan")

    @property
    def halo_px(self) -> int:
        """Two windows, one inside the other."""
        return 2 * self.half_width_px

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State:
        """Sum over the core; the zeros outside the tile reach into the halo only, or are the scene's own."""
        core = (..., *cut.core.slices(cut.read))
        fused, pan = images
        distance = 1.0 - local_correlation(fused, pan, self.half_width_px)[core].clamp(-1.0, 1.0)
        return pooled(distance, None if mask is None else self._reached(mask)[core])

    def value(self, state: State) -> float:
        """Mean over pixels and bands."""
        return (state["sum"] / state["count"]).item()

    def _reached(self, mask: Tensor) -> Tensor:
        """Pixels whose two nested windows hold valid pixels only; outside the scene counts as valid."""
        once = ~touches_invalid(_bordered(mask, self.half_width_px, True), 2 * self.half_width_px)
        return ~touches_invalid(_bordered(once, self.half_width_px, True), 2 * self.half_width_px)


def d_rho(fused: Tensor, pan: Tensor, *, half_width_px: int = 2, mask: Tensor | None = None) -> float:
    """`DRho` of one image: fused (1, C, H, W), PAN (1, 1, H, W)."""
    return DRho(half_width_px).update(fused, pan, mask=mask).compute()


def local_correlation(x: Tensor, y: Tensor, half_width_px: int) -> Tensor:
    """Correlation of x and y around every pixel, in windows of offsets -w+1 … w, zeros beyond the border.

    Each image first loses its mean over the same window, once per pixel, so the windows are nested.

    Args:
        x: (1, C, h, w) float64.
        y: (1, C or 1, h, w) float64.
        half_width_px: w.

    Returns:
        (1, C, h, w).
    """
    x, y = (image - _sums(image, half_width_px) / (2 * half_width_px) ** 2 for image in (x, y))
    energy = [_sums(image.square(), half_width_px).clamp(min=_EPSILON) for image in (x, y)]
    return _sums(x * y, half_width_px) / ((energy[0] * energy[1]).sqrt() + _EPSILON)


def _sums(x: Tensor, half_width_px: int) -> Tensor:
    return window_sums(_bordered(x, half_width_px, 0.0), 2 * half_width_px)


def _bordered(x: Tensor, half_width_px: int, value: float) -> Tensor:
    return pad(x, (half_width_px - 1, half_width_px) * 2, value=value)
