"""How a scene is cut for measuring: every pixel belongs to the core of one tile, read with a halo around it.

The halo ends at the scene's border, so a tile that lacks halo on one side lies on that border; nothing else
marks it. Cores start on multiples of the index's `align_px`, and what is left at the scene's end, if shorter
than that, belongs to the tile before it. Sums over the cores of any such cut are the sums over the scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fusioncli.core.tiling import Rect


@dataclass(frozen=True)
class Cut:
    """One tile of a scene, in pixels of the grid that is measured.

    Attributes:
        scene: the whole scene; row0 = col0 = 0.
        core: what this tile is answerable for.
        halo_px: margin read around the core, where the scene has it.
    """

    scene: Rect
    core: Rect
    halo_px: int = 0

    @classmethod
    def whole(cls, height: int, width: int) -> Cut:
        """The scene in one piece; its `pieces` are what a driver reads one after the other."""
        scene = Rect(0, 0, height, width)
        return cls(scene, scene)

    @property
    def read(self) -> Rect:
        """Core and halo inside the scene: what the tile's arrays cover."""
        return self.core.grow(self.halo_px).intersect(self.scene)

    def pieces(self, side_px: int, align_px: int, halo_px: int) -> Iterator[Cut]:
        """Cut the core into smaller ones, row by row, each with a halo of its own.

        Args:
            side_px: side of the new cores, rounded down to a multiple of align_px, at least one.
            align_px: grid that cores start on, `Metric.align_px`.
            halo_px: margin to read, `Metric.halo_px`.

        Raises:
            ValueError: the core is not aligned, or this tile was read with too small a halo.
        """
        core, scene = self.core, self.scene
        axes = ((core.row0, core.row1, scene.row1), (core.col0, core.col1, scene.col1))
        if not all(_aligned(*axis, align_px) for axis in axes):
            raise ValueError(f"{core} of {scene} does not lie on the grid of {align_px} px")
        if Cut(scene, core, halo_px).read.intersect(self.read) != Cut(scene, core, halo_px).read:
            raise ValueError(f"a halo of {halo_px} px is needed, the tile has {self.halo_px}")
        columns = list(_runs(core.col0, core.col1, side_px, align_px))
        for top, bottom in _runs(core.row0, core.row1, side_px, align_px):
            for left, right in columns:
                yield Cut(scene, Rect(top, left, bottom, right), halo_px)

    def windows(self, size: int) -> tuple[slice, slice] | None:
        """Which size x size windows of the tile belong to the core: those whose centre pixel lies in it.

        The centre of an even window is the upper left of its four central pixels, so that a halo of size // 2
        reaches all.

        Returns:
            Rows and columns of the map of the tile's complete windows (one per position, h - size + 1 rows), or
            None when the core owns no complete window.
        """
        lead = (size - 1) // 2
        read = self.read
        centres = Rect(read.row0 + lead, read.col0 + lead, read.row1 - size // 2, read.col1 - size // 2)
        owned = self.core.intersect(centres)
        return None if owned.empty else owned.slices(centres)


def _runs(start: int, stop: int, length: int, align_px: int) -> Iterator[tuple[int, int]]:
    """Consecutive runs of about `length`; a rest shorter than align_px is joined to the run before it."""
    length = max(align_px, length // align_px * align_px)
    while stop - start >= length + align_px:
        yield start, start + length
        start += length
    yield start, stop


def _aligned(start: int, stop: int, end: int, align_px: int) -> bool:
    if start % align_px or (stop % align_px and stop != end):
        return False
    return stop - start >= align_px or (start == 0 and stop == end)
