"""Where the pixels of the MSI grid lie among the cells of the HSI grid, and copies of maps from one to the other.

One axis at a time, because the grids are parallel: MSI pixel i lies at u = scale · i + offset, in cells, where cell n
has its centre at n. Its neighbours are floor(u) and the next one, its nearest cell is floor(u + 1/2). Cells beyond the
border repeat the last one, at their own place, so that the distance to a neighbour never exceeds one cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_TIE_CELLS = 1e-6  # a pixel so little before a cell's centre (or edge) lies on it
_WHOLE = 1e-9  # a ratio so close to a whole number is one


@dataclass(frozen=True)
class Placement:
    """The MSI grid in the HSI grid, for grids that are parallel and point the same way.

    Attributes:
        row_scale: HSI cells per MSI pixel, above 0.
        row_offset: position of the first MSI row, HSI cells; 0 is the centre of the first cell.
        col_scale: as `row_scale`.
        col_offset: as `row_offset`.
    """

    row_scale: float
    row_offset: float
    col_scale: float
    col_offset: float

    @classmethod
    def of_ratio(cls, row_ratio: float, col_ratio: float, phase_cells: float = 0.0) -> Placement:
        """Grids with a common first corner: u = (i + 1/2) / ratio - 1/2 + phase.

        Args:
            row_ratio: MSI rows per HSI row, any number above 0.
            col_ratio: the same for columns.
            phase_cells: how far the samples of the HSI lie before the centres of their cells. HSI that was made
                by keeping pixel p of every r has (r - 1 - 2p) / 2r.
        """
        rows, cols = (0.5 / ratio - 0.5 + phase_cells for ratio in (row_ratio, col_ratio))
        return cls(1 / row_ratio, rows, 1 / col_ratio, cols)

    def lattice(self, cells: tuple[int, int], pixels: tuple[int, int]) -> Lattice:
        """Both axes, for an HSI of so many rows and columns, and an MSI."""
        return Lattice(
            Axis(self.row_scale, self.row_offset, cells[0], pixels[0]),
            Axis(self.col_scale, self.col_offset, cells[1], pixels[1]),
        )


@dataclass(frozen=True)
class Axis:
    """One axis of a placement.

    Attributes:
        scale: cells per pixel.
        offset: position of pixel 0, cells.
        cells: of the HSI.
        pixels: of the MSI.
    """

    scale: float
    offset: float
    cells: int
    pixels: int

    @property
    def ratio(self) -> int | None:
        """Pixels per cell, where it is a whole number: then neighbours are crops of a repeated map."""
        ratio = round(1 / self.scale)
        return ratio if ratio and abs(self.scale * ratio - 1) < _WHOLE else None

    @property
    def aligned(self) -> bool:
        """Whether every cell holds exactly `ratio` pixels, the first one included."""
        ratio = self.ratio
        if ratio is None or self.pixels != ratio * self.cells:
            return False
        return math.floor(ratio * (self.offset + 0.5) + _TIE_CELLS) == 0

    def part(self, start: int, stop: int) -> Axis:
        """The pixels start … stop - 1 alone."""
        return Axis(self.scale, self.offset + self.scale * start, self.cells, stop - start)

    def positions(self, like: Tensor) -> Tensor:
        """(pixels,) cells, float64, on the device of `like`."""
        return torch.arange(self.pixels, dtype=torch.float64, device=like.device) * self.scale + self.offset

    def fractions(self, like: Tensor) -> Tensor:
        """(pixels,) distance to the lower neighbour, cells, 0 … 1; dtype and device of `like`."""
        at = self.positions(like)
        return (at - torch.floor(at + _TIE_CELLS)).clamp(0, 1).to(like.dtype)

    def extend(self, x: Tensor, dim: int) -> Tensor:
        """The cells that are somebody's neighbour: cropped, or the border repeated."""
        index = torch.arange(self._first, self._last + 1, device=x.device).clamp(0, self.cells - 1)
        return x.index_select(dim, index)

    def repeat(self, x: Tensor, dim: int) -> Tensor:
        """An extended map made ready for `neighbours`: done once for both of them."""
        ratio = self.ratio
        return x if ratio is None or ratio == 1 else x.repeat_interleave(ratio, dim)

    def neighbours(self, x: Tensor, dim: int, side: int) -> Tensor:
        """Every pixel's lower (side 0) or upper (side 1) neighbour in a repeated map; a view at a whole ratio."""
        ratio = self.ratio
        if ratio is not None:
            start = math.floor(ratio * self.offset + _TIE_CELLS) - ratio * self._first
            return x.narrow(dim, start + ratio * side, self.pixels)
        lower = torch.floor(self.positions(x) + _TIE_CELLS).long() - self._first
        return x.index_select(dim, lower + side)

    def members(self, like: Tensor) -> Tensor:
        """The pixels whose nearest cell is each cell; for a cell without any the pixel nearest to it.

        Returns:
            (cells, K) indices; shorter lists repeat their last one.
        """
        edges = torch.arange(self.cells + 1, dtype=torch.float64, device=like.device) - 0.5 - _TIE_CELLS
        starts = torch.ceil((edges - self.offset) / self.scale).long().clamp(0, self.pixels)
        centres = torch.arange(self.cells, dtype=torch.float64, device=like.device) - self.offset
        nearest = torch.round(centres / self.scale).long().clamp(0, self.pixels - 1)
        first, last = starts[:-1, None], starts[1:, None] - 1
        steps = torch.arange(math.ceil(1 / self.scale - _WHOLE), device=like.device)
        return torch.where(last < first, nearest[:, None], torch.minimum(first + steps, last))

    @property
    def _first(self) -> int:
        return math.floor(self.offset + _TIE_CELLS)

    @property
    def _last(self) -> int:
        return math.floor(self.offset + self.scale * (self.pixels - 1) + _TIE_CELLS) + 1


@dataclass(frozen=True)
class Lattice:
    """Rows and columns; maps are (N, rows, columns, C)."""

    rows: Axis
    cols: Axis

    def extend(self, x: Tensor) -> Tensor:
        """`Axis.extend` along both axes."""
        return self.cols.extend(self.rows.extend(x, 1), 2)

    def neighbours(self, x: Tensor) -> Iterator[Tensor]:
        """What the four neighbours of every MSI pixel hold, one neighbour after the other.

        Args:
            x: an extended map.

        Yields:
            (N, H, W, C), in the order of `SIDES`.
        """
        x = self.rows.repeat(self.cols.repeat(x, 2), 1)
        for row_side in (0, 1):
            row = self.rows.neighbours(x, 1, row_side)
            for col_side in (0, 1):
                yield self.cols.neighbours(row, 2, col_side)

    def lower(self, x: Tensor) -> Tensor:
        """What a map with one value for every four cells (their first corner's place) holds around every MSI pixel."""
        x = self.rows.repeat(self.cols.repeat(x, 2), 1)
        return self.cols.neighbours(self.rows.neighbours(x, 1, 0), 2, 0)


SIDES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The four neighbours: lower (0) or upper (1) row, lower or upper column."""
