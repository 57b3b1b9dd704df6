"""Rectangles between grids whose pixels are `ratio` times larger or smaller and whose corners coincide."""

from __future__ import annotations

from fusioncli.core.tiling import Rect


def finer(cells: Rect, ratio: int) -> Rect:
    """Cells of a coarse grid in pixels of the fine one."""
    return Rect(cells.row0 * ratio, cells.col0 * ratio, cells.row1 * ratio, cells.col1 * ratio)


def cells_around(rect: Rect, ratio: int) -> Rect:
    """Cells of the coarse grid that touch a rectangle of the fine one."""
    return Rect(rect.row0 // ratio, rect.col0 // ratio, -(-rect.row1 // ratio), -(-rect.col1 // ratio))


def cells_within(rect: Rect, ratio: int) -> Rect:
    """Cells of the coarse grid that lie wholly inside a rectangle of the fine one; possibly none."""
    return Rect(-(-rect.row0 // ratio), -(-rect.col0 // ratio), rect.row1 // ratio, rect.col1 // ratio)
