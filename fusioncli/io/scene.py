"""An MS/PAN pair as one thing: opened, checked, aligned, and read window by window on a common grid.

A hyperspectral cube and a sharper image of any number of bands make a pair too; the sharper one is called PAN here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from fusioncli.core import gaps
from fusioncli.core.grid import Alignment, Grid, Verdict, align, in_frame_of
from fusioncli.core.rects import cells_around
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.layer import Layer, Target
from fusioncli.io.raster import Band, Raster, describe
from fusioncli.io.usable_bands import UsableBands, usable_bands

_ANY_CRS = CRS.from_epsg(3857)  # stands for "the same unknown CRS on both sides"; nothing is projected
_SAME_PLANE = 1e-4  # MS pixels between two CRS that then count as one
_LONGITUDES, _LATITUDES = (-370.0, 370.0), (-90.5, 90.5)


@dataclass(frozen=True)
class PairRequest:
    """Which files make a pair, and how far to trust them.

    Attributes:
        ms: one multi-band file, or single-band files to be stacked in this order.
        pan: the panchromatic file; or, beside a cube, the files of the sharper image, to be stacked in this order.
        nodata: value to take as missing in both, instead of what the files declare.
        bounds: area of interest (x0, y0, x1, y1) in the CRS of PAN, or None.
        ignore_georef: align both rasters by their first pixel's corner.
        shift_px: move the MS by (rows, columns) PAN px before aligning (co-registration).
        cube: the MS is a hyperspectral cube: PAN may have any number of bands, and bands of the cube that hold nothing
            are left out.
    """

    ms: Sequence[str]
    pan: str | Sequence[str]
    nodata: float | None = None
    bounds: tuple[float, float, float, float] | None = None
    ignore_georef: bool = False
    shift_px: tuple[float, float] = (0.0, 0.0)
    cube: bool = False

    @property
    def pan_files(self) -> Sequence[str]:
        """Paths of the sharper image."""
        return (self.pan,) if isinstance(self.pan, str) else self.pan


@dataclass(frozen=True)
class Samples:
    """One window of the pair, gaps filled.

    Attributes:
        ms: (bands, h, w) float32, DN.
        pan: (1 or the guide's bands, h·ratio, w·ratio) float32, DN.
        valid: (bands or 1, h·ratio, w·ratio) bool where MS and PAN hold data, or None when they do everywhere.
    """

    ms: np.ndarray
    pan: np.ndarray
    valid: np.ndarray | None


@dataclass(frozen=True)
class ScenePair:
    """An aligned pair, readable by scene coordinates (PAN px from the scene's corner).

    Attributes:
        ms: layer on the MS grid of the scene.
        pan: layer on the PAN file's grid.
        alignment: verdict, ratio and output rectangle.
        notes: things the user should know (assumed alignment, undeclared nodata …).
        left_out: positions, from 0, of bands of the MS files that hold nothing and are not in `ms`.
        all_bands: of the MS files, those included.
        cube: the MS is a hyperspectral cube, PAN an image of another sensor.
    """

    ms: Layer
    pan: Layer
    alignment: Alignment
    notes: tuple[str, ...]
    left_out: frozenset[int]
    all_bands: tuple[Band, ...]
    cube: bool = False

    @property
    def masked(self) -> bool:
        """Whether any pixel may be missing."""
        return self.ms.masked or self.pan.masked

    @property
    def bands(self) -> int:
        """Number of spectral bands that are fused."""
        return sum(len(file.bands) for file in self.ms.files)

    @property
    def guide_bands(self) -> int:
        """Number of bands of the sharper image; 1 for PAN."""
        return sum(len(file.bands) for file in self.pan.files)

    @property
    def output_grid(self) -> Grid:
        """Grid of the fused product: PAN's pixels."""
        return self.pan.files[0].grid.window(self.alignment.output)

    @property
    def output_crs(self) -> CRS | None:
        """CRS of the fused product."""
        return self.pan.files[0].crs

    @property
    def ms_grid(self) -> Grid:
        """Grid of the MS as models see it: whole MS pixels of the scene, anchored at a PAN pixel corner."""
        return _ms_grid(self.pan.files[0].grid, self.alignment)

    def ms_window(self, rect: Rect) -> Rect:
        """A rectangle of `ms_grid` in the coordinates of the MS layer."""
        row, col = self.alignment.ms_origin if self.ms.target is None else (0, 0)
        return rect.shift(row, col)

    def holding(self, window: Rect) -> ScenePair:
        """The pair with a window in memory: reads inside it give what they give here, without touching the files."""
        top, left = self.alignment.origin
        ms = self.ms.hold(self.ms_window(cells_around(window, self.alignment.ratio)))
        return replace(self, ms=ms, pan=self.pan.hold(window.shift(top, left)))

    def read(self, window: Rect) -> Samples:
        """Read a window whose edges are multiples of the ratio; it may reach beyond the scene, which is mirrored."""
        ratio = self.alignment.ratio
        top, left = self.alignment.origin
        ms, ms_valid = self.ms.read(self.ms_window(cells_around(window, ratio)))
        pan, pan_valid = self.pan.read(window.shift(top, left))
        if ms_valid is None and pan_valid is None:
            return Samples(ms, pan, None)
        valid = np.ones((1, 1, 1), bool) if pan_valid is None else np.asarray(pan_valid.all(0, keepdims=True))
        if ms_valid is not None:
            ms = gaps.fill_gaps(ms, ms_valid)
            valid = valid & gaps.spread(ms_valid, ratio)
        if pan_valid is not None:
            pan = gaps.fill_gaps(pan, pan_valid)
        return Samples(ms, pan, valid)


def open_pair(request: PairRequest) -> ScenePair:
    """Open, check and align a pair.

    Raises:
        DataError: anything that makes the two files unusable together, with the figures.
    """
    ms_files = _stack([describe(path, request.nodata) for path in request.ms])
    pan_files = _stack([describe(path, request.nodata) for path in request.pan_files])
    _check_roles(ms_files, pan_files, request.cube)
    if request.ignore_georef:
        ms_files, pan_files = (tuple(map(_without_georeferencing, files)) for files in (ms_files, pan_files))
    for file in (*ms_files, *pan_files):
        _check_position(file)
    pan_file = pan_files[0]
    notes = [note for file in (*ms_files, *pan_files) for note in file.notes]
    notes += _crs_notes(ms_files[0], pan_file)
    ms_grid, note = in_frame_of(pan_file.grid, ms_files[0].grid)
    notes += [note] if note else []
    ms_crs = ms_files[0].crs or pan_file.crs
    pan_crs = pan_file.crs or ms_files[0].crs
    ms_grid, alignment = _placed(ms_grid, pan_file.grid, (ms_crs, pan_crs), request.shift_px)
    ms_files = tuple(replace(file, grid=ms_grid) for file in ms_files)
    all_bands = tuple(band for file in ms_files for band in file.bands)
    if request.bounds:
        alignment = alignment.within(_area(pan_file.grid, request.bounds))
    target = None
    if alignment.verdict is not Verdict.PASTE:
        target = Target(_ms_grid(pan_file.grid, alignment), pan_crs or _ANY_CRS, ms_crs or _ANY_CRS)
    usable = usable_bands(ms_files) if request.cube else UsableBands(ms_files, frozenset(), ())
    notes += usable.notes
    layers = Layer(usable.files, target), Layer(pan_files)
    return ScenePair(*layers, alignment, tuple(notes), usable.left_out, all_bands, request.cube)


def _placed(
    ms: Grid, pan: Grid, crs: tuple[CRS | None, CRS | None], shift_px: tuple[float, float]
) -> tuple[Grid, Alignment]:
    """The MS, moved, and how it then lies on PAN.

    Where only a fraction of a PAN pixel keeps a moved MS from being read as it is, it is resampled onto the cells that
    it would have without that fraction: by half a PAN pixel at most, and not by half an MS pixel.
    """

    def moved_by(rows_px: float, cols_px: float) -> tuple[Grid, Alignment]:
        grid = _moved(ms, pan, _into_pan_crs(ms, *crs), (rows_px, cols_px)) if rows_px or cols_px else ms
        return grid, align(grid, pan, _into_pan_crs(grid, *crs))

    grid, alignment = moved_by(*shift_px)
    if any(shift_px) and alignment.verdict is Verdict.SNAP:
        _, whole = moved_by(*map(round, shift_px))
        if whole.verdict is Verdict.PASTE:
            exact = {"verdict": alignment.verdict, "reason": alignment.reason, "offset_px": alignment.offset_px}
            alignment = replace(whole, **exact)
    return grid, alignment


def _ms_grid(pan: Grid, alignment: Alignment) -> Grid:
    scene, ratio = alignment.scene, alignment.ratio
    corner = Rect(*alignment.origin, *alignment.origin)
    return pan.window(corner).coarser(ratio, scene.height // ratio, scene.width // ratio)


def _stack(files: list[Raster]) -> tuple[Raster, ...]:
    """Files that are stacked must lie on one grid."""
    first = files[0]
    for file in files[1:]:
        same = file.grid.transform.almost_equals(first.grid.transform, 1e-9) and file.crs == first.crs
        if not same or (file.grid.height, file.grid.width) != (first.grid.height, first.grid.width):
            raise DataError(
                f"{file.path} ({file.grid.width} x {file.grid.height} px) is not on the grid of "
                f"{first.path} ({first.grid.width} x {first.grid.height} px)",
                "bands that are stacked must share size, corner and pixel size; fuse the others in a second run",
            )
    return tuple(files)


def _check_roles(ms: Sequence[Raster], pan: Sequence[Raster], cube: bool) -> None:
    bands, guide_bands = (sum(len(file.bands) for file in files) for files in (ms, pan))
    if cube and bands == 1:
        hint = "are --ms and --pan swapped?" if guide_bands > 1 else "to sharpen one band by another: fusion pansharpen"
        raise DataError(f"MS must have several bands, {ms[0].path} has one", hint)
    if not cube and guide_bands != 1:
        hint = "are --ms and --pan swapped?" if bands == 1 else "extract one band: gdal_translate -b 1"
        raise DataError(f"PAN must have one band, {pan[0].path} has {guide_bands}", hint)


def _check_position(file: Raster) -> None:
    """Refuse a file that no grid positions, or one with a degenerate grid or impossible longitudes and latitudes."""
    if file.sensor_model:
        rpc = file.sensor_model == "rpc"
        how = "-rpc -to RPC_HEIGHT=<metres> (or -to RPC_DEM=<dem.tif>)" if rpc else "-tps"
        raise DataError(
            f"{file.path} is positioned by {'an RPC sensor model' if rpc else 'ground control points'} only, "
            "not by a grid",
            f"orthorectify MS and PAN alike first: gdalwarp {how} -t_srs EPSG:<utm zone> -r cubic {file.path} "
            "ortho.tif; or --ignore-georef if both share one corner",
        )
    if not (all(map(math.isfinite, file.grid.transform)) and file.grid.transform.determinant):
        raise DataError(
            f"{file.path} has a degenerate geotransform: {', '.join(f'{n:g}' for n in file.grid.transform.to_gdal())}",
            "correct it (gdal_edit.py -a_ullr), or pass --ignore-georef to align by pixel corner",
        )
    if file.crs is None or not file.crs.is_geographic:
        return
    x0, y0, x1, y1 = file.grid.bounds
    if x0 < _LONGITUDES[0] or x1 > _LONGITUDES[1] or y0 < _LATITUDES[0] or y1 > _LATITUDES[1]:
        raise DataError(
            f"{file.path}: {file.grid.crs} cannot hold longitudes {x0:.6g} … {x1:.6g} and "
            f"latitudes {y0:.6g} … {y1:.6g}",
            "correct the georeferencing (gdal_edit.py -a_srs), or pass --ignore-georef to align by pixel corner",
        )


def _without_georeferencing(file: Raster) -> Raster:
    return replace(file, grid=replace(file.grid, transform=Affine.identity(), crs=None), crs=None, sensor_model=None)


def _crs_notes(ms: Raster, pan: Raster) -> Sequence[str]:
    if ms.grid.georeferenced and pan.grid.georeferenced and (ms.crs is None) != (pan.crs is None):
        bare, named = ("MS", pan) if ms.crs is None else ("PAN", ms)
        return [f"{bare} declares no CRS; taken to be {named.grid.crs} like the other raster"]
    return []


def _moved(ms: Grid, pan: Grid, ms_to_pan: Affine | None, shift_px: tuple[float, float]) -> Grid:
    """Shift the MS by (rows, columns) PAN pixels, in its own CRS."""
    from_pan = ~(~pan.transform @ (ms_to_pan or ms.transform))
    (col, row), (col0, row0) = from_pan @ (shift_px[1], shift_px[0]), from_pan @ (0, 0)
    return replace(ms, transform=ms.transform @ Affine.translation(col - col0, row - row0))


def _into_pan_crs(ms: Grid, ms_crs: CRS | None, pan_crs: CRS | None) -> Affine | None:
    """The MS transform in the CRS of PAN, linearised over the middle of the MS.

    None when the CRS are the same, or are the same plane under two names (with and without heights, say).
    """
    if ms_crs == pan_crs or ms_crs is None or pan_crs is None:
        return None
    col, row = ms.width / 2, ms.height / 2
    points = np.array([ms.transform @ p for p in ((col, row), (col + 1, row), (col, row + 1), *ms.corners)])
    try:
        xs, ys = np.array(transform_points(ms_crs, pan_crs, *points.T)[:2])
    except Exception as error:
        raise DataError(
            f"MS is in {ms.crs}, which cannot be converted to the CRS of PAN, {pan_crs.to_string()[:60]}",
            "reproject one of them first with gdalwarp -t_srs",
        ) from error
    if np.abs(np.array([xs, ys]).T - points).max() < _SAME_PLANE * abs(ms.transform.determinant) ** 0.5:
        return None
    linear = Affine(xs[1] - xs[0], xs[2] - xs[0], xs[0], ys[1] - ys[0], ys[2] - ys[0], ys[0])
    return linear @ Affine.translation(-col, -row)


def _area(pan: Grid, bounds: tuple[float, float, float, float]) -> Rect:
    """PAN pixels that an area of interest touches."""
    x0, y0, x1, y1 = bounds
    corners = [~pan.transform @ corner for corner in ((x0, y0), (x1, y0), (x0, y1), (x1, y1))]
    cols, rows = [c for c, _ in corners], [r for _, r in corners]
    near = 1e-6
    return Rect(
        int(np.floor(min(rows) + near)),
        int(np.floor(min(cols) + near)),
        int(np.ceil(max(rows) - near)),
        int(np.ceil(max(cols) - near)),
    )
