"""Wavelengths and bad bands, wherever a file may keep them; and which bands of a cube hold an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import write_raster

from fusioncli.errors import DataError
from fusioncli.io.raster import describe
from fusioncli.io.usable_bands import usable_bands

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

TEXTURE = np.random.default_rng(0).integers(1, 200, (3, 40, 30)).astype("int16")


def centres(path: Path) -> list[float | None]:
    return [band.wavelength_nm for band in describe(str(path)).bands]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("wavelength units = Nanometers\nwavelength = {400.12, 500, 600}\n", [400.12, 500, 600]),
        ("wavelength units = Micrometers\nwavelength = {0.40012, 0.5, 0.6}\n", [400.12, 500, 600]),
        ("wavelength = {0.4, 0.5, 0.6}\n", [400, 500, 600]),
        ("band names = {blue (490 nm), red 0.665 um, B7}\n", [490, 665, None]),
        ("", [None] * 3),
    ],
)
def test_envi_headers(tmp_path, header, expected):
    path = write_raster(tmp_path / "cube.img", TEXTURE, driver="ENVI")
    with path.with_suffix(".hdr").open("a") as file:
        file.write(header)
    assert [None if each is None else round(each, 6) for each in centres(path)] == expected


def test_geotiff_tags(tmp_path):
    path = write_raster(tmp_path / "cube.tif", TEXTURE)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(1, wavelength="401.5", wavelength_units="nm")
        dataset.update_tags(2, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.502")
        dataset.update_tags(bbl="{1, 0, 1}")
    assert centres(path) == [401.5, 502, None]
    assert [band.rejected for band in describe(str(path)).bands] == [False, True, False]


def test_bands_without_an_image_are_left_out(tmp_path):
    """All nodata, one value beside nodata, and one that differs in a single pixel far from any sampled window."""
    samples = np.stack([TEXTURE[0], np.full((40, 30), -9), np.full((40, 30), 5), np.full((40, 30), 5)]).astype("int16")
    samples[2, :20] = -9
    samples[3, 14, 11] = 6
    file = describe(str(write_raster(tmp_path / "cube.tif", samples, nodata=-9)))
    found = usable_bands([file])
    assert found.left_out == {1, 2}
    assert [band.index for band in found.files[0].bands] == [1, 4]
    assert "bands 2-3 of" in found.notes[0]
    twice = usable_bands([file, file])
    assert twice.left_out == {1, 2, 5, 6}


def test_no_band_with_an_image_is_refused(tmp_path):
    file = describe(str(write_raster(tmp_path / "cube.tif", np.zeros_like(TEXTURE))))
    with pytest.raises(DataError, match=r"no band of .* holds an image"):
        usable_bands([file])
