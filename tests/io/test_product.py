"""The last step: parts become one file, whose options have been tried beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from fusioncli.core.grid import Grid
from fusioncli.core.tiling import Rect, parts
from fusioncli.errors import DataError, UsageError
from fusioncli.io.parts import PartStore
from fusioncli.io.product import Product, assemble, check_options, creation_options
from fusioncli.io.raster import Band

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

NOT_STORED = ("palette", "alpha", "undefined", "gray", "Y", "Cb", "Cr")
"""Colours that never get here, are what a TIFF has where it says nothing, or exist inside JPEG only."""
GRID = Grid(90, 130, Affine(0.3, 0, 500000.1, 0, -0.3, 5700000.7))


def product_of(dtype="uint16", nodata=None, cog=True, bands=3, **options):
    described = tuple(Band(i, f"band {i}", ColorInterp.undefined, 1.0, 0.0) for i in range(1, bands + 1))
    return Product(GRID, CRS.from_epsg(32631), described, dtype, nodata, {"KEY": 'a < b & "c"'}, cog, options)


def stored(product, folder, blank=()):
    """Random samples in parts of 50 px; the parts with the numbers in `blank` hold no data."""
    samples = np.random.default_rng(0).integers(1, 120, (len(product.bands), 90, 130)).astype(product.dtype)
    store = PartStore(folder / "parts", len(product.bands), product.dtype)
    rects = parts(Rect(0, 0, 90, 130), 50)
    for number, rect in enumerate(rects):
        cut = np.s_[:, *rect.slices(Rect(0, 0, 90, 130))]
        store.write(rect, None if number in blank else samples[cut], 0)
        if number in blank:
            samples[cut] = product.nodata or 0
    return store, rects, samples


@pytest.mark.parametrize("cog", [True, False])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_every_type_comes_back_as_it_was(tmp_path, dtype, cog):
    product = product_of(dtype, cog=cog)
    store, rects, samples = stored(product, tmp_path)
    assemble(product, store, rects, tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.dtypes == (dtype,) * 3
        np.testing.assert_array_equal(dataset.read(), samples)
        assert dataset.transform == GRID.transform
        assert dataset.crs.to_epsg() == 32631
        assert dataset.descriptions == ("band 1", "band 2", "band 3")
        assert dataset.tags()["KEY"] == 'a < b & "c"'


@pytest.mark.parametrize("nodata", [0, 65535, 7])
def test_blank_parts_hold_nodata(tmp_path, nodata):
    product = product_of(nodata=nodata)
    store, rects, samples = stored(product, tmp_path, blank=(1, 4))
    assemble(product, store, rects, tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), samples)
        assert (samples[:, :50, 50:100] == nodata).all()
        assert dataset.nodata == nodata


def test_missing_part_is_noticed(tmp_path):
    product = product_of()
    store, rects, _ = stored(product, tmp_path)
    store.path(rects[2]).unlink()
    with pytest.raises(DataError, match=r"fused\.tif cannot be written"):
        assemble(product, store, rects, tmp_path / "fused.tif")
    assert not (tmp_path / "fused.tif").exists()


def test_bands_may_be_many(tmp_path):
    product = product_of(bands=40)
    store, rects, samples = stored(product, tmp_path)
    assemble(product, store, rects, tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), samples)


@pytest.mark.parametrize("colour", [c for c in ColorInterp if c.name not in NOT_STORED])
def test_every_colour_survives(tmp_path, colour):
    bands = (Band(1, None, colour, 1.0, 0.0), Band(2, None, colour, 1.0, 0.0))
    product = replace(product_of(bands=2, cog=False), bands=bands)
    store, rects, _ = stored(product, tmp_path)
    assemble(product, store, rects, tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.colorinterp == (colour, colour)


@pytest.mark.parametrize("cog", [True, False])
@pytest.mark.parametrize("compress", ["DEFLATE", "LZW", "ZSTD", "NONE", "LZMA", "LERC", "LERC_ZSTD"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_our_own_options_go_with_any_compression(dtype, compress, cog):
    check_options(product_of(dtype, cog=cog, COMPRESS=compress))


def test_options_of_the_user_win():
    ours = creation_options(product_of(PREDICTOR="NO", BIGTIFF="YES"))
    assert (ours["PREDICTOR"], ours["BIGTIFF"], ours["COMPRESS"]) == ("NO", "YES", "DEFLATE")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"COMPRESS": "ZIPP"}, "'ZIPP' is an unexpected value"),
        ({"TILED": "YES"}, "does not support creation option TILED"),
        ({"BLOCKSIZE": "7"}, "should be >= 128"),
        ({"COMPRESS": "JPEG"}, "BitsPerSample 16 not allowed for JPEG"),
        ({"TILING_SCHEME": "GoogleMapsCompatible"}, "bands or pixels differ"),
    ],
)
def test_options_that_do_not_work(options, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        check_options(product_of(**options))
    given = " ".join(f"--co {key}={value}" for key, value in options.items())
    assert caught.value.message.startswith(f"{given} does not work: ")


def test_options_are_tried_in_memory_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_options(product_of())
    assert list(tmp_path.iterdir()) == []
