"""Write the sample scene: `python sample_data/make.py` makes scene_ms.tif and scene_pan.tif beside this file.

The scene is synthetic, so it is free of anybody's licence, and the same on every run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from fusioncli.core.sensors import find_sensor
from fusioncli.core.synthetic.imaging import photograph
from fusioncli.core.synthetic.landscape import landscape

SEED = 60
MS_GSD_M, RATIO, MS_SIDE = 2.0, 4, 128
OVERSAMPLING = 2
CRS, WEST_M, NORTH_M = "EPSG:32631", 600_000.0, 5_000_000.0
SENSOR = replace(find_sensor("QB"), ms_mtf=(0.3,) * 4, pan_mtf=0.15)
"""The filters of a usual four-band sensor, with the gains that are assumed when the sensor is unknown."""


def write(path: Path, image: np.ndarray, names: list[str], colours: list[ColorInterp], gsd_m: float) -> None:
    """Write a tiled GeoTIFF of 11-bit digital numbers."""
    count, height, width = image.shape
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": "uint16",
        "crs": CRS,
        "transform": from_origin(WEST_M, NORTH_M, gsd_m, gsd_m),
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
        "compress": "deflate",
        "predictor": 2,
        "photometric": "minisblack",
    }
    with rasterio.open(path, "w", **profile) as out:
        out.write(image)
        out.descriptions = names
        out.colorinterp = colours
        out.update_tags(
            TIFFTAG_IMAGEDESCRIPTION="Synthetic scene of no real place, written by sample_data/make.py",
            BIT_DEPTH=str(SENSOR.bit_depth),
        )


def main(folder: Path) -> None:
    """Write both files into a folder."""
    side = MS_SIDE * RATIO * OVERSAMPLING
    scene = landscape(SEED, (side, side), MS_GSD_M / RATIO / OVERSAMPLING)
    ms, pan = photograph(scene, SENSOR, OVERSAMPLING, SEED)
    colours = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.nir]
    write(folder / "scene_ms.tif", ms, list(SENSOR.bands), colours, MS_GSD_M)
    write(folder / "scene_pan.tif", pan[None], ["pan"], [ColorInterp.gray], MS_GSD_M / RATIO)


if __name__ == "__main__":
    main(Path(__file__).parent)
