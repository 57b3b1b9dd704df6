"""Where patches lie in a scene: on a regular grid, validation in a strip of its own behind a guard band.

All positions are "cells", low-resolution pixels of the degraded scene: one holds ratio x ratio pixels of the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fusioncli.core.rects import finer
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError, UsageError


@dataclass(frozen=True)
class Cutting:
    """How patches are cut.

    Attributes:
        patch_px: side of a patch of the truth; a multiple of the ratio.
        stride_px: from patch to patch in the training area; a multiple of the ratio. Validation patches never overlap.
        validation_share: share of each scene that validates; 0 for none.
    """

    patch_px: int = 64
    stride_px: int = 64
    validation_share: float = 0.0

    def in_cells(self, ratio: int) -> tuple[int, int]:
        """Side and stride in cells.

        Raises:
            UsageError: not whole numbers of cells.
        """
        for name, size in (("--patch", self.patch_px), ("--stride", self.stride_px)):
            if size < ratio or size % ratio:
                near = max(ratio, round(size / ratio) * ratio)
                raise UsageError(f"{name} {size} is no multiple of the ratio {ratio}", f"for example {name} {near}")
        return self.patch_px // ratio, self.stride_px // ratio


@dataclass(frozen=True)
class Block:
    """Patches that are made together, on a grid of rows and columns.

    Attributes:
        rows: first row of the patches in each grid row, cells.
        cols: first column of the patches in each grid column.
        side: of a patch.
    """

    rows: tuple[int, ...]
    cols: tuple[int, ...]
    side: int

    @property
    def rect(self) -> Rect:
        """All of them."""
        return Rect(self.rows[0], self.cols[0], self.rows[-1] + self.side, self.cols[-1] + self.side)

    @property
    def patches(self) -> list[Rect]:
        """Row by row."""
        return [Rect(row, col, row + self.side, col + self.side) for row in self.rows for col in self.cols]

    def complete(self, valid: np.ndarray | None, margin: int) -> np.ndarray:
        """Which patches, row by row, hold data everywhere, the margin around them included.

        Args:
            valid: bool, the block's rectangle grown by the margin; None where every cell holds data.
            margin: cells.
        """
        if valid is None:
            return np.ones(len(self.rows) * len(self.cols), bool)
        around = self.rect.grow(margin)
        return np.array([valid[patch.grow(margin).slices(around)].all() for patch in self.patches])


def split(cells: Rect, side: int, share: float, guard: int) -> tuple[Rect, Rect | None]:
    """The training area, and the validation area: a strip across the far end of the longer axis, whole patches wide.

    Args:
        cells: the scene.
        side: of a patch.
        share: of the scene that validates, at least a row of patches; 0 for no validation area.
        guard: cells between the areas that belong to neither.

    Raises:
        DataError: one of the areas would hold no patch.
    """
    training, validation = cells, None
    if share > 0:
        rows = cells.height >= cells.width
        length = cells.height if rows else cells.width
        strip = max(1, round(share * length / side)) * side
        validation = _across(cells, rows, length - strip, length)
        training = _across(cells, rows, 0, length - strip - guard)
    if min(training.height, training.width) < side:
        needed = f", {guard} cells of guard band and a validation strip" if share > 0 else ""
        raise DataError(
            f"a scene of {cells.height} x {cells.width} low-resolution px cannot hold patches of {side} px{needed}",
            "use a smaller --patch, a larger scene, or a scene of its own for validation",
        )
    return training, validation


def _across(cells: Rect, rows: bool, first: int, last: int) -> Rect:
    """Some of the rows, or else of the columns."""
    part = Rect(first, 0, last, cells.width) if rows else Rect(0, first, cells.height, last)
    return part.shift(cells.row0, cells.col0)


def blocks(area: Rect, side: int, stride: int, block_side: int) -> Iterator[Block]:
    """Cut an area into patches, and patches into blocks of about `block_side` cells."""
    rows, cols = (
        _groups(range(first, last - side + 1, stride), max(1, (block_side - side) // stride + 1))
        for first, last in ((area.row0, area.row1), (area.col0, area.col1))
    )
    for some_rows in rows:
        for some_cols in cols:
            yield Block(some_rows, some_cols, side)


def _groups(starts: range, size: int) -> list[tuple[int, ...]]:
    return [tuple(starts[i : i + size]) for i in range(0, len(starts), size)]


def cut(image: np.ndarray, around: Rect, patch: Rect) -> np.ndarray:
    """A patch of an image that covers `around`, at whatever resolution."""
    scale = image.shape[-1] // around.width
    return image[:, *finer(patch, scale).slices(finer(around, scale))]
