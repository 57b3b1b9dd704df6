"""The sample scene: a small drawn MS/PAN pair as GeoTIFF, the same on every run and free of anybody's licence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from fusioncli.core.grid import Grid
from fusioncli.core.sensors import find_sensor
from fusioncli.core.synthetic.imaging import photograph
from fusioncli.core.synthetic.landscape import landscape
from fusioncli.core.tiling import Rect
from fusioncli.io.files import check_writable
from fusioncli.io.product import Product
from fusioncli.io.raster import Band
from fusioncli.workflows.export import export
from fusioncli.workflows.workers import Progress

FILES = ("scene_ms.tif", "scene_pan.tif")
_SEED = 60
_MS_GSD_M, _RATIO, _MS_SIDE, _OVERSAMPLING = 2.0, 4, 128, 2
_CRS, _WEST_M, _NORTH_M = "EPSG:32631", 600_000.0, 5_000_000.0
_SENSOR = replace(find_sensor("QB"), ms_mtf=(0.3,) * 4, pan_mtf=0.15)
"""The filters of a usual four-band sensor, with the gains that are assumed when the sensor is unknown."""
_COLOURS = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.nir)
_OPTIONS = {"BLOCKXSIZE": "128", "BLOCKYSIZE": "128", "ZLEVEL": "6"}


def write_demo(folder: Path, overwrite: bool, progress: Progress) -> list[Path]:
    """Write `FILES` into a folder: 4 x 128 x 128 MS pixels of 2 m, 512 x 512 PAN pixels of 0.5 m, 11 bit.

    Raises:
        DataError: a file exists (without overwrite), or the folder cannot be written to.
    """
    paths = [folder / name for name in FILES]
    for path in paths:
        check_writable(path, overwrite, 0)
    side = _MS_SIDE * _RATIO * _OVERSAMPLING
    scene = landscape(_SEED, (side, side), _MS_GSD_M / _RATIO / _OVERSAMPLING)
    ms, pan = photograph(scene, _SENSOR, _OVERSAMPLING, _SEED)
    named = zip(_SENSOR.bands, _COLOURS, strict=True)
    ms_bands = [Band(number, name, colour, 1.0, 0.0) for number, (name, colour) in enumerate(named, 1)]
    _write(paths[0], ms, ms_bands, _MS_GSD_M, progress)
    _write(paths[1], pan[None], [Band(1, "pan", ColorInterp.gray, 1.0, 0.0)], _MS_GSD_M / _RATIO, progress)
    return paths


def _write(path: Path, image: np.ndarray, bands: list[Band], gsd_m: float, progress: Progress) -> None:
    _, height, width = image.shape
    grid = Grid(height, width, Affine(gsd_m, 0, _WEST_M, 0, -gsd_m, _NORTH_M), _CRS)
    tags = {
        "TIFFTAG_IMAGEDESCRIPTION": "Synthetic scene of no real place, written by fusion simulate demo",
        "BIT_DEPTH": str(_SENSOR.bit_depth),
    }
    product = Product(grid, CRS.from_string(_CRS), tuple(bands), "uint16", None, tags, False, _OPTIONS)

    def block(rect: Rect) -> tuple[np.ndarray, None]:
        return image[:, *rect.slices(Rect(0, 0, 0, 0))].astype(np.float32), None

    export(product, path, max(height, width), block, progress)
