"""Windows that slide by one pixel, for indices that are means over a map of local values."""

from __future__ import annotations

from abc import abstractmethod
from functools import reduce

from torch import Tensor

from fusioncli.metrics.contract import State, Streamed, band_by_band, pooled
from fusioncli.metrics.cut import Cut


class WindowMean(Streamed):
    """Mean of a map of local values over bands and over the complete windows whose centre lies in a core.

    Masked: windows that hold an invalid pixel are dropped.
    """

    window_px: int
    counted = "complete valid window"

    @abstractmethod
    def quality_map(self, *images: Tensor) -> Tensor:
        """(1, C, h - window_px + 1, w - window_px + 1), one value per complete window."""

    @property
    def halo_px(self) -> int:
        """Half a window."""
        return self.window_px // 2

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State | None:
        """Sum of the map over the windows that the core owns."""
        owned = cut.windows(self.window_px)
        if owned is None:
            return None
        valid = None if mask is None else ~touches_invalid(mask, self.window_px)[..., *owned]
        maps = (self.quality_map(*pair)[..., *owned] for pair in band_by_band(images))
        return reduce(self.combine, (pooled(quality, valid) for quality in maps))

    def value(self, state: State) -> float:
        """Mean over windows and bands."""
        return (state["sum"] / state["count"]).item()


def touches_invalid(mask: Tensor, size: int) -> Tensor:
    """(1, 1, h - size + 1, w - size + 1) bool, True for the windows that hold an invalid pixel."""
    return window_sums((~mask).double(), size) > 0


def window_sums(x: Tensor, size: int) -> Tensor:
    """Sums over every complete size x size window of the last two axes.

    Built from sums over 1, 2, 4, 8 … pixels: a window's sum depends on its own pixels alone, in a fixed
    order, so it does not change with the cut, is exact for integers, and has none of an integral image's
    cancellation.
    """
    return _run_sums(_run_sums(x, size, -2), size, -1)


def _run_sums(x: Tensor, size: int, dim: int) -> Tensor:
    kept = x.shape[dim] - size + 1
    total, offset, length = None, 0, 1
    while True:
        if size & length:
            run = x.narrow(dim, offset, kept)
            total = run if total is None else total + run
            offset += length
        if 2 * length > size:
            assert total is not None
            return total
        pairs = x.shape[dim] - length
        x = x.narrow(dim, 0, pairs) + x.narrow(dim, length, pairs)
        length *= 2


def weighted_windows(x: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Sums over every complete window of the last two axes, weighted by taps in both."""
    return _weighted_runs(_weighted_runs(x, taps, -2), taps, -1)


def _weighted_runs(x: Tensor, taps: tuple[float, ...], dim: int) -> Tensor:
    kept = x.shape[dim] - len(taps) + 1
    total = x.narrow(dim, 0, kept) * taps[0]
    for offset, weight in enumerate(taps[1:], 1):
        total.add_(x.narrow(dim, offset, kept), alpha=weight)
    return total
