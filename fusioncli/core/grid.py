"""Where MS pixels fall on the PAN grid: one pure verdict per pair, with its reason and its figures.

Positions are pixel edges: PAN position (0, 0) is the outer corner of PAN's first pixel. A pair whose MS pixel corners
fall on PAN pixel corners at an integer ratio can be read as it is (`paste`); every other pair has its MS resampled
once onto a grid anchored at a PAN pixel corner (`snap` in the same CRS, `warp` across CRS or rotation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from affine import Affine

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError

MAX_RATIO = 32
PASTE_TOLERANCE = 0.01
"""Largest misfit of any MS corner that still counts as aligned, in MS pixels."""


class Verdict(StrEnum):
    """How the MS reaches the PAN grid."""

    PASTE = "paste"
    SNAP = "snap"
    WARP = "warp"


@dataclass(frozen=True)
class Grid:
    """A raster's pixel grid.

    Attributes:
        height: rows.
        width: columns.
        transform: (column, row) edge position to map coordinates; identity without georeferencing.
        crs: coordinate reference system as text for messages, or None.
    """

    height: int
    width: int
    transform: Affine
    crs: str | None = None

    @property
    def georeferenced(self) -> bool:
        """Whether the transform says anything."""
        return not self.transform.almost_equals(Affine.identity())

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest and largest x and y: (x0, y0, x1, y1)."""
        corners = [self.transform @ corner for corner in self.corners]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Edge positions (column, row) of the four corners."""
        return (0, 0), (self.width, 0), (0, self.height), (self.width, self.height)

    def window(self, rect: Rect) -> Grid:
        """The grid of a rectangle of this one (which may reach outside)."""
        shifted = self.transform @ Affine.translation(rect.col0, rect.row0)
        return replace(self, height=rect.height, width=rect.width, transform=shifted)

    def coarser(self, ratio: int, height: int, width: int) -> Grid:
        """A grid with the same corner and pixels `ratio` times larger."""
        return replace(self, height=height, width=width, transform=self.transform @ Affine.scale(ratio))


@dataclass(frozen=True)
class Alignment:
    """The verdict and everything that follows from it.

    Attributes:
        verdict: how the MS reaches the PAN grid.
        reason: why, in one sentence.
        ratio: PAN pixels per MS pixel on the grid that models see; an integer.
        gsd_ratio: true size of an MS pixel in PAN pixels, (rows, columns).
        offset_px: PAN position (row, column) of the MS raster's corner.
        output: pixels of PAN that the result covers.
        origin: PAN pixel (row, column) of the scene's corner, at or before the output's corner.
        ms_origin: MS pixel (row, column) at the scene's corner; meaningful for `paste` only.
    """

    verdict: Verdict
    reason: str
    ratio: int
    gsd_ratio: tuple[float, float]
    offset_px: tuple[float, float]
    output: Rect
    origin: tuple[int, int]
    ms_origin: tuple[int, int] = (0, 0)

    @property
    def mean_gsd_ratio(self) -> float:
        """True size of an MS pixel in PAN pixels, over both axes: what filters are scaled by."""
        return sum(self.gsd_ratio) / 2

    @property
    def scene(self) -> Rect:
        """Whole MS pixels that cover the output, counted from the scene's corner, in PAN px."""
        rows = _cells(self.output.row1 - self.origin[0], self.ratio)
        cols = _cells(self.output.col1 - self.origin[1], self.ratio)
        return Rect(0, 0, rows, cols)

    @property
    def output_in_scene(self) -> Rect:
        """The output in scene coordinates."""
        return self.output.shift(-self.origin[0], -self.origin[1])

    def within(self, area: Rect) -> Alignment:
        """Restrict the output to an area of PAN; the scene shrinks with it.

        Raises:
            DataError: the area and the output do not meet.
        """
        output = self.output.intersect(area)
        if output.empty:
            raise DataError(
                "the area of interest holds no pixel that MS and PAN share",
                "give --bounds as x0 y0 x1 y1 in the CRS of PAN; `fusion info` prints the extents",
            )
        skipped = [
            (start - at) // self.ratio for start, at in zip((output.row0, output.col0), self.origin, strict=True)
        ]
        return replace(
            self,
            output=output,
            origin=(self.origin[0] + skipped[0] * self.ratio, self.origin[1] + skipped[1] * self.ratio),
            ms_origin=(self.ms_origin[0] + skipped[0], self.ms_origin[1] + skipped[1]),
        )


def in_frame_of(pan: Grid, ms: Grid) -> tuple[Grid, str | None]:
    """Give an MS grid without georeferencing PAN's pixel frame: same first corner, ratio from the sizes.

    Returns:
        The MS grid, and a sentence if something had to be assumed.

    Raises:
        DataError: only one of the two is georeferenced.
    """
    if ms.georeferenced and pan.georeferenced:
        return ms, None
    if ms.georeferenced or pan.georeferenced:
        bare = "MS" if pan.georeferenced else "PAN"
        raise DataError(
            f"{bare} has no georeferencing but the other raster has",
            "georeference it, or pass --ignore-georef if both start at the same corner",
        )
    exact = pan.height / ms.height, pan.width / ms.width
    ratio = round(math.sqrt(exact[0] * exact[1]))
    ragged = max(abs(pan.height - ratio * ms.height), abs(pan.width - ratio * ms.width))
    rows, cols = (ratio, ratio) if ragged < ratio else exact
    note = f"no georeferencing: MS and PAN are taken to start at the same corner, at ratio {rows:.4g}"
    return replace(ms, transform=pan.transform @ Affine.scale(cols, rows)), note


def align(ms: Grid, pan: Grid, ms_to_pan: Affine | None = None) -> Alignment:
    """Decide how an MS raster reaches the grid of a PAN raster.

    Args:
        ms: grid of the multispectral raster.
        pan: grid of the panchromatic raster.
        ms_to_pan: where the two CRS differ, the transform of MS pixels into the CRS of PAN, linearised at the MS
            centre; None when they share a CRS.

    Raises:
        DataError: georeferencing that contradicts the sizes, a ratio below 1 (inputs swapped) or above 32, or no
            overlap.
    """
    into_pan = ~pan.transform @ (ms_to_pan or ms.transform)
    ratios = math.hypot(into_pan.b, into_pan.e), math.hypot(into_pan.a, into_pan.d)
    _check_ratio(ratios, ms, pan)
    corners = [into_pan @ corner for corner in ms.corners]
    output = _overlap(corners, ms, pan)
    turned = max(abs(into_pan.b) * ms.height, abs(into_pan.d) * ms.width) > PASTE_TOLERANCE * max(ratios)
    if ms_to_pan is not None or turned or into_pan.a < 0 or into_pan.e < 0:
        reason = (
            f"MS is in {ms.crs}, PAN in {pan.crs}" if ms_to_pan is not None else "MS is rotated or flipped against PAN"
        )
        return _resampled(Verdict.WARP, reason, ratios, (into_pan.f, into_pan.c), output)
    return _same_axes(ratios, (into_pan.f, into_pan.c), (ms.height, ms.width), output)


def _same_axes(
    ratios: tuple[float, float], offset_px: tuple[float, float], ms_shape: tuple[int, int], output: Rect
) -> Alignment:
    """Paste if pixel corners coincide everywhere, else snap."""
    ratio = round(sum(ratios) / 2)
    tolerance = PASTE_TOLERANCE * max(ratio, 1)
    drift = max(abs(exact - ratio) * n for exact, n in zip(ratios, ms_shape, strict=True))
    misfit = max(abs(offset - round(offset)) for offset in offset_px)
    if max(drift, misfit) > tolerance:
        if drift > tolerance:
            text = " x ".join(dict.fromkeys(f"{exact:.7g}" for exact in ratios))
            reason = f"the ratio is {text}, not one whole number"
        else:
            reason = (
                f"MS starts {offset_px[0]:+.3f} rows and {offset_px[1]:+.3f} columns from PAN, not on a pixel corner"
            )
        ends = (offset_px[0] + ratios[0] * ms_shape[0], offset_px[1] + ratios[1] * ms_shape[1])
        return _resampled(Verdict.SNAP, reason, ratios, offset_px, _supported(output, ratios, offset_px, ends))
    start = round(offset_px[0]), round(offset_px[1])
    ms_origin = (output.row0 - start[0]) // ratio, (output.col0 - start[1]) // ratio
    return Alignment(
        Verdict.PASTE,
        "every MS pixel covers whole PAN pixels",
        ratio,
        ratios,
        offset_px,
        output,
        (start[0] + ms_origin[0] * ratio, start[1] + ms_origin[1] * ratio),
        ms_origin,
    )


def _resampled(
    verdict: Verdict, reason: str, ratios: tuple[float, float], offset_px: tuple[float, float], output: Rect
) -> Alignment:
    """MS goes through one resampling, onto a grid that counts from PAN's first corner."""
    ratio = _model_ratio(ratios)
    origin = output.row0 // ratio * ratio, output.col0 // ratio * ratio
    return Alignment(verdict, reason, ratio, ratios, offset_px, output, origin)


def _model_ratio(ratios: tuple[float, float]) -> int:
    """Integer ratio of the resampled MS: never coarser than the sensor's."""
    return max(1, math.floor(min(ratios) + PASTE_TOLERANCE))


def _supported(
    output: Rect, ratios: tuple[float, float], starts: tuple[float, float], ends: tuple[float, float]
) -> Rect:
    """Drop PAN pixels at the edges that only an MS cell with its centre outside the MS raster would cover."""
    ratio = _model_ratio(ratios)
    first = [math.ceil(start / ratio - 0.5) * ratio for start in starts]
    last = [math.floor(end / ratio + 0.5) * ratio for end in ends]
    supported = output.intersect(Rect(first[0], first[1], last[0], last[1]))
    if supported.empty:
        raise DataError(
            "MS and PAN overlap by less than half an MS pixel",
            "check that the two files belong together (`fusion info FILE`)",
        )
    return supported


def _check_ratio(ratios: tuple[float, float], ms: Grid, pan: Grid) -> None:
    sizes = f"MS is {ms.width} x {ms.height} px, PAN {pan.width} x {pan.height} px"
    multiple = pan.height / ms.height
    same_size = max(ratios) < 1.01 and multiple > 1.5 and multiple == round(multiple) == pan.width / ms.width
    if same_size and ms.transform.almost_equals(pan.transform):
        raise DataError(
            f"the georeferencing contradicts the sizes: {sizes}, yet both declare the same pixel size and corner",
            "correct the georeferencing (gdal_edit.py -a_ullr), or pass --ignore-georef to align by pixel corner",
        )
    if min(ratios) < 1 - 1e-6:
        raise DataError(
            f"an MS pixel is {min(ratios):.4g} PAN pixels wide: PAN must be the finer raster ({sizes})",
            "are --ms and --pan swapped?",
        )
    if max(ratios) > MAX_RATIO:
        raise DataError(
            f"an MS pixel is {max(ratios):.4g} PAN pixels wide, more than {MAX_RATIO} ({sizes})",
            "check that both rasters show the same scene; upsample the MS first if that is really the ratio",
        )


def _overlap(corners: list[tuple[float, float]], ms: Grid, pan: Grid) -> Rect:
    """PAN pixels that lie wholly inside the bounding box of the MS, at a tolerance of 0.05 px."""
    cols, rows = [c for c, _ in corners], [r for _, r in corners]
    box = Rect(
        math.ceil(min(rows) - 0.05),
        math.ceil(min(cols) - 0.05),
        math.floor(max(rows) + 0.05),
        math.floor(max(cols) + 0.05),
    )
    output = box.intersect(Rect(0, 0, pan.height, pan.width))
    if output.empty:
        raise DataError(
            f"MS and PAN do not overlap: MS spans {_extent(ms)}, PAN {_extent(pan)}",
            "check that the two files belong together and that their CRS are right (`fusion info FILE`)",
        )
    return output


def _extent(grid: Grid) -> str:
    x0, y0, x1, y1 = grid.bounds
    return f"x {x0:.10g} … {x1:.10g}, y {y0:.10g} … {y1:.10g} ({grid.crs or 'no CRS'})"


def _cells(px: int, ratio: int) -> int:
    return -(-px // ratio) * ratio
