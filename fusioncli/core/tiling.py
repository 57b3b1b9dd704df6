"""How a scene is cut: parts (the unit of work) and tiles (the unit of computation), all anchored to the scene.

A part is a rectangle of the output; any cutting into parts gives the same bytes, because every pixel is computed by
tiles that lie on a grid anchored to the scene's first MS pixel, never to the part. A part computes every tile that
touches it ("owner computes") and keeps what falls inside. Pure integer arithmetic, PAN pixels throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Exact:
    """Convolutional model: an output pixel depends on pixels at most `reach_px` away."""

    reach_px: int


@dataclass(frozen=True)
class Whole:
    """Like `Exact`, once statistics of the whole scene have been streamed."""

    reach_px: int


@dataclass(frozen=True)
class Blend:
    """Model with context inside a fixed tile: overlapping tiles, faded into each other by sin² ramps.

    Attributes:
        tile_px: side of a tile, a multiple of the ratio.
        overlap_px: of neighbouring tiles.
        halo_px: margin of a window around its tile, a multiple of the ratio: the upsampler looks into it, the context
            ends before it.
    """

    tile_px: int
    overlap_px: int
    halo_px: int = 0


@dataclass(frozen=True)
class Untiled:
    """The scene is one tile (filters whose border is defined on the whole image)."""


Rule = Exact | Whole | Blend | Untiled

TILE_PX = 1024
PART_PX = 1024
_TILE_BANDS = 4  # tiles get smaller beyond so many bands …
_MIN_TILE_PX = 256  # … but not so small that they are mostly halo


@dataclass(frozen=True)
class Rect:
    """Half-open rectangle in PAN px of the scene: rows row0 … row1-1, columns col0 … col1-1."""

    row0: int
    col0: int
    row1: int
    col1: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.row1 - self.row0

    @property
    def width(self) -> int:
        """Columns."""
        return self.col1 - self.col0

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.height <= 0 or self.width <= 0

    def intersect(self, other: Rect) -> Rect:
        """The common part, possibly empty."""
        return Rect(
            max(self.row0, other.row0),
            max(self.col0, other.col0),
            min(self.row1, other.row1),
            min(self.col1, other.col1),
        )

    def grow(self, px: int) -> Rect:
        """Larger by px on every side."""
        return Rect(self.row0 - px, self.col0 - px, self.row1 + px, self.col1 + px)

    def shift(self, rows: int, cols: int) -> Rect:
        """The same rectangle elsewhere."""
        return Rect(self.row0 + rows, self.col0 + cols, self.row1 + rows, self.col1 + cols)

    def slices(self, origin: Rect) -> tuple[slice, slice]:
        """Rows and columns of this rectangle within an array that covers `origin`."""
        return (
            slice(self.row0 - origin.row0, self.row1 - origin.row0),
            slice(self.col0 - origin.col0, self.col1 - origin.col0),
        )


@dataclass(frozen=True)
class Tile:
    """One computation: read `read`, keep `keep`, weighted by the outer product of `row_weight` and `col_weight`.

    Attributes:
        read: what the model sees; multiples of the ratio, may reach outside the scene.
        keep: what the result is used for; inside the scene.
        row_weight: (keep.height,) float32 weights, or None for 1.
        col_weight: (keep.width,) float32 weights, or None for 1.
    """

    read: Rect
    keep: Rect
    row_weight: np.ndarray | None = None
    col_weight: np.ndarray | None = None


@dataclass(frozen=True)
class Tiling:
    """The tiles of one scene under one rule.

    Attributes:
        scene: whole MS pixels that cover the output; row0 = col0 = 0.
        ratio: PAN pixels per MS pixel.
        rule: how the model may be cut.
        tile_px: side of exact tiles; a multiple of the ratio.
        halo_px: margin read around tiles; a multiple of the ratio.
    """

    scene: Rect
    ratio: int
    rule: Rule
    tile_px: int
    halo_px: int

    @staticmethod
    def of(scene: Rect, ratio: int, rule: Rule, bands: int, masked: bool) -> Tiling:
        """Plan the tiles of a scene.

        The side depends on the number of bands and on a small scene's size, never on the machine, because results are
        bit-identical only between equal tiles. The halo of exact tiles is the reach, or twice it where missing pixels
        are filled from their neighbours; tiles that blend bring their own.
        """
        side = max(min(_MIN_TILE_PX, TILE_PX), int(TILE_PX * min(1.0, _TILE_BANDS / bands) ** 0.5))
        side = min(side, max(scene.height, scene.width))
        halo_px = rule.halo_px if isinstance(rule, Blend) else 0
        if isinstance(rule, Exact | Whole):
            halo_px = _up(rule.reach_px * (2 if masked else 1), ratio)
        return Tiling(scene, ratio, rule, max(1, side // ratio) * ratio, halo_px)

    @property
    def observed(self) -> Tiling:
        """The tiles that statistics are gathered from: these, unless they overlap."""
        if not isinstance(self.rule, Blend):
            return self
        return Tiling(self.scene, self.ratio, Whole(self.halo_px), self.tile_px, self.halo_px)

    @property
    def largest_px(self) -> tuple[int, int]:
        """Height and width of the largest window a model sees."""
        if isinstance(self.rule, Untiled):
            return self.scene.height, self.scene.width
        side = self.rule.tile_px if isinstance(self.rule, Blend) else self.tile_px
        return side + 2 * self.halo_px, side + 2 * self.halo_px

    def tiles(self, area: Rect) -> Iterator[Tile]:
        """Tiles that touch `area`, in row-major order."""
        if isinstance(self.rule, Untiled):
            yield Tile(self.scene, self.scene)
        elif isinstance(self.rule, Blend):
            yield from self._blended(self.rule, area.intersect(self.scene))
        else:
            yield from self._exact(area.intersect(self.scene))

    def _exact(self, area: Rect) -> Iterator[Tile]:
        """A regular grid of equal tiles; the last row and column run past the scene, so that all shapes are equal."""
        side = self.tile_px
        for row in range(area.row0 // side * side, area.row1, side):
            for col in range(area.col0 // side * side, area.col1, side):
                core = Rect(row, col, row + side, col + side)
                yield Tile(core.grow(self.halo_px), core.intersect(self.scene))

    def _blended(self, rule: Blend, area: Rect) -> Iterator[Tile]:
        """Overlapping tiles; the last row and column are shifted inward instead of running past the scene."""
        rows = _starts(self.scene.row1, rule, self.ratio)
        cols = _starts(self.scene.col1, rule, self.ratio)
        row_weights = blend_weights(rows, rule.tile_px, self.scene.row1)
        col_weights = blend_weights(cols, rule.tile_px, self.scene.col1)
        for row, row_weight in zip(rows, row_weights, strict=True):
            if row >= area.row1 or row + rule.tile_px <= area.row0:
                continue
            for col, col_weight in zip(cols, col_weights, strict=True):
                if col >= area.col1 or col + rule.tile_px <= area.col0:
                    continue
                core = Rect(row, col, row + rule.tile_px, col + rule.tile_px)
                keep = core.intersect(self.scene)
                yield Tile(core.grow(self.halo_px), keep, row_weight[: keep.height], col_weight[: keep.width])


def parts(output: Rect, part_px: int) -> list[Rect]:
    """Cut the output into parts of at most part_px, row by row; indices count from the output's corner."""
    return [
        Rect(row, col, row + part_px, col + part_px).intersect(output)
        for row in range(output.row0, output.row1, part_px)
        for col in range(output.col0, output.col1, part_px)
    ]


def blend_weights(starts: list[int], tile_px: int, length: int) -> list[np.ndarray]:
    """Weights of overlapping tiles along one axis: sin² ramps that sum to one at every pixel.

    Args:
        starts: first pixel of each tile, ascending.
        tile_px: tile size.
        length: axis length; no ramp at its two ends.

    Returns:
        One (tile_px,) float32 array per tile.
    """
    raw = []
    for i, start in enumerate(starts):
        weight = np.ones(tile_px)
        if i > 0:
            weight *= _ramp(start, starts[i - 1] + tile_px, tile_px)
        if i + 1 < len(starts):
            weight *= _ramp(start, starts[i + 1], tile_px, rising=False)
        raw.append(weight)
    total = np.zeros(max(length, starts[-1] + tile_px))
    for start, weight in zip(starts, raw, strict=True):
        total[start : start + tile_px] += weight
    return [(w / total[s : s + tile_px]).astype(np.float32) for s, w in zip(starts, raw, strict=True)]


def _ramp(start: int, edge: int, tile_px: int, rising: bool = True) -> np.ndarray:
    """sin² from 0 to 1 over the overlap with a neighbour that ends (rising) or starts (falling) at `edge`."""
    position = np.arange(tile_px) + start + 0.5
    if rising:
        share = (position - start) / max(edge - start, 1)
    else:
        share = (start + tile_px - position) / max(start + tile_px - edge, 1)
    return np.sin(0.5 * np.pi * share.clip(0.0, 1.0)) ** 2


def _starts(length: int, rule: Blend, ratio: int) -> list[int]:
    """Tile starts along an axis, multiples of the ratio; one tile at 0 when the axis is shorter than a tile."""
    stride = (rule.tile_px - rule.overlap_px) // ratio * ratio
    last = max(0, length - rule.tile_px)
    return [*range(0, last, stride), last]


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
