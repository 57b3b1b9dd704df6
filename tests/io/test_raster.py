"""What a file is described as."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import write_raster
from rasterio.enums import ColorInterp

from fusioncli.errors import DataError
from fusioncli.io.raster import describe

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

FINE = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)


@pytest.fixture
def samples():
    return np.random.default_rng(0).integers(1, 200, (4, 70, 90)).astype("uint8")


def test_plain_file(tmp_path, samples):
    path = str(write_raster(tmp_path / "a.tif", samples, FINE, photometric="MINISBLACK"))
    raster = describe(path)
    assert (raster.path, raster.source) == (path, path)
    assert (raster.grid.height, raster.grid.width, raster.grid.transform) == (70, 90, FINE)
    assert (raster.grid.crs, raster.crs.to_epsg()) == ("EPSG:32631", 32631)
    assert raster.indexes == [1, 2, 3, 4]
    assert (raster.dtype, raster.nodata, raster.bit_depth, raster.sensor_model) == ("uint8", None, None, None)
    assert not (raster.masked or raster.masks or raster.imposed or raster.striped)
    assert raster.notes == ()


def test_bands(tmp_path, samples):
    path = write_raster(tmp_path / "a.tif", samples, FINE, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("b", "g", None, "n")
        dataset.scales, dataset.offsets, dataset.units = (1, 1, 0.5, 1), (0, 0, 3, 0), ("", "", "K", "")
        dataset.update_tags(2, WAVELENGTH="550")
    bands = describe(str(path)).bands
    assert [band.name for band in bands] == ["b", "g", None, "n"]
    assert (bands[2].scale, bands[2].offset, bands[2].unit) == (0.5, 3, "K")
    assert bands[1].tags["WAVELENGTH"] == "550"


@pytest.mark.parametrize(
    ("profile", "imposed", "expected"),
    [({}, None, (None, False)), ({"nodata": 7}, None, (7, True)), ({}, 9, (9, True)), ({"nodata": 7}, 9, (9, True))],
)
def test_nodata(tmp_path, samples, profile, imposed, expected):
    raster = describe(str(write_raster(tmp_path / "a.tif", samples, **profile)), imposed)
    assert (raster.nodata, raster.masked) == expected
    assert raster.imposed == (imposed is not None)


def test_floats_may_hold_nan(tmp_path, samples):
    assert describe(str(write_raster(tmp_path / "a.tif", samples.astype("float32")))).masked


def test_widest_type_of_mixed_bands(tmp_path, samples):
    """A VRT may join bands of several types."""
    write_raster(tmp_path / "a.tif", samples[:1])
    write_raster(tmp_path / "b.tif", samples[:1].astype("float32"))
    bands = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{i}"><SimpleSource><SourceFilename relativeToVRT="1">{name}.tif'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (dtype, name) in enumerate((("Byte", "a"), ("Float32", "b")), 1)
    )
    mixed = tmp_path / "mixed.vrt"
    mixed.write_text(f'<VRTDataset rasterXSize="90" rasterYSize="70">{bands}</VRTDataset>')
    assert describe(str(mixed)).dtype == "float32"


def test_bit_depth(tmp_path, samples):
    assert describe(str(write_raster(tmp_path / "a.tif", samples.astype("uint16"), nbits=11))).bit_depth == 11


def test_transform_without_meaning_gives_no_crs(tmp_path, samples):
    raster = describe(str(write_raster(tmp_path / "a.tif", samples, crs="EPSG:4326")))
    assert (raster.crs, raster.grid.georeferenced) == (None, False)


def test_long_strips(tmp_path):
    wide = np.ones((1, 8, 5000), "uint8")
    assert describe(str(write_raster(tmp_path / "a.tif", wide))).striped
    tiled = write_raster(tmp_path / "b.tif", wide, tiled=True, blockxsize=256, blockysize=256)
    assert not describe(str(tiled)).striped


def test_internal_mask(tmp_path, samples):
    path = write_raster(tmp_path / "a.tif", samples, photometric="MINISBLACK")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.full((70, 90), 255, "uint8"))
    raster = describe(str(path))
    assert raster.masks and raster.masked


def with_alpha(path, samples, alpha):
    write_raster(path, np.concatenate([samples, alpha[None]]), alpha="YES", photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.undefined] * len(samples) + [ColorInterp.alpha]
    return describe(str(path))


def test_alpha_that_is_a_mask(tmp_path, samples):
    alpha = np.full((70, 90), 255, "uint8")
    alpha[:, :30] = 0
    alpha[:, 30] = 128  # a resampled edge
    raster = with_alpha(tmp_path / "a.tif", samples, alpha)
    assert raster.alpha == 5
    assert raster.indexes == [1, 2, 3, 4]
    assert raster.masked and not raster.masks
    assert raster.notes == (f"band 5 of {tmp_path}/a.tif is an alpha band: it tells which pixels hold data",)


@pytest.mark.parametrize("constant", [0, 1, 255])
def test_alpha_of_one_value_is_a_mask(tmp_path, samples, constant):
    assert with_alpha(tmp_path / "a.tif", samples, np.full((70, 90), constant, "uint8")).alpha == 5


def test_alpha_that_holds_measurements(tmp_path, samples):
    raster = with_alpha(tmp_path / "a.tif", samples[:3], samples[3])
    assert raster.alpha is None
    assert raster.indexes == [1, 2, 3, 4]
    assert raster.bands[3].colour is ColorInterp.undefined
    assert not raster.masked
    assert raster.notes == (f"band 4 of {tmp_path}/a.tif is tagged alpha but is no mask; it is fused like the others",)


def test_cmyk_is_read_raw(tmp_path, samples):
    path = write_raster(tmp_path / "a.tif", samples, photometric="CMYK")
    raster = describe(str(path))
    assert (raster.path, raster.source) == (str(path), f"GTIFF_RAW:{path}")
    assert raster.indexes == [1, 2, 3, 4]
    assert raster.alpha is None


def test_refusals_name_the_path_given(tmp_path, samples):
    path = write_raster(tmp_path / "a.tif", samples.astype("complex64"))
    with pytest.raises(DataError, match=r"a\.tif holds complex64 samples"):
        describe(str(path))
