"""Windows of a layer: mirrored outside, the same pixels however they are cut, masked band by band."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import write_raster
from rasterio.enums import ColorInterp

from fusioncli.core.grid import Grid
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.layer import Layer, Target
from fusioncli.io.raster import describe, single_bands

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

FINE = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)


@pytest.fixture
def samples():
    return np.random.default_rng(0).integers(100, 1000, (3, 40, 50)).astype("uint16")


def test_outside_is_mirrored(tmp_path, samples):
    layer = Layer((describe(str(write_raster(tmp_path / "a.tif", samples))),))
    read, valid = layer.read(Rect(-7, -90, 45, 61))
    np.testing.assert_array_equal(read, np.pad(samples, ((0, 0), (7, 5), (90, 11)), "symmetric"))
    assert read.dtype == np.float32
    assert valid is None


@pytest.mark.parametrize("nodata", [None, 0])
def test_a_held_window_reads_as_the_files_do(tmp_path, samples, nodata):
    samples[1, 8:20, 9:33] = 0
    layer = Layer((describe(str(write_raster(tmp_path / "a.tif", samples, nodata=nodata))),))
    held = layer.hold(Rect(-7, 4, 45, 61))
    for window in (Rect(-7, 4, 45, 61), Rect(-3, 40, 9, 60), Rect(7, 10, 22, 30), Rect(30, 5, 40, 9)):
        for found, expected in zip(held.read(window), layer.read(window), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert (found is None) == (expected is None)


def test_window_that_misses_the_grid(tmp_path, samples):
    layer = Layer((describe(str(write_raster(tmp_path / "a.tif", samples))),))
    with pytest.raises(ValueError, match="does not touch"):
        layer.read(Rect(40, 0, 50, 10))


def test_masks_are_mirrored_with_the_samples(tmp_path, samples):
    samples[1, :2, :3] = 0
    layer = Layer((describe(str(write_raster(tmp_path / "a.tif", samples, nodata=0))),))
    read, valid = layer.read(Rect(-2, -3, 40, 50))
    np.testing.assert_array_equal(valid, read != 0)
    assert layer.read(Rect(10, 10, 20, 20))[1] is None


def test_files_are_stacked(tmp_path, samples):
    files = [write_raster(tmp_path / f"{i}.tif", samples[i]) for i in (2, 0)]
    read, _ = Layer(tuple(describe(str(file)) for file in files)).read(Rect(0, 0, 40, 50))
    np.testing.assert_array_equal(read, samples[[2, 0]])


def test_threads_have_their_own_handles(tmp_path, samples):
    layer = Layer((describe(str(write_raster(tmp_path / "a.tif", samples, tiled=True, blockxsize=16, blockysize=16))),))
    windows = [Rect(row, col, row + 9, col + 13) for row in range(0, 30, 3) for col in range(0, 36, 3)] * 4
    with ThreadPoolExecutor(8) as pool:
        for window, (read, _) in zip(windows, pool.map(layer.read, windows), strict=True):
            np.testing.assert_array_equal(read, samples[:, *window.slices(Rect(0, 0, 40, 50))])


@pytest.mark.parametrize("declared", [None, 0])
def test_resampled_windows_equal_the_whole(tmp_path, samples, declared):
    """However a resampled layer is cut, gaps and beyond its edge included."""
    samples[:, 10:14, 20:29] = 0
    file = describe(str(write_raster(tmp_path / "a.tif", samples, FINE, nodata=declared)))
    target = Target(Grid(50, 60, FINE @ Affine.translation(-2.3, 1.7)), file.crs, file.crs)
    layer = Layer((file,), target)
    whole, valid = layer.read(Rect(0, 0, 50, 60))
    assert valid is not None
    assert not valid[:, :, :2].any()
    for window in (Rect(0, 0, 17, 23), Rect(5, 20, 31, 60), Rect(30, 7, 50, 8), Rect(9, 18, 14, 33)):
        part, part_valid = layer.read(window)
        cut = window.slices(Rect(0, 0, 50, 60))
        np.testing.assert_array_equal(part, whole[:, *cut])
        np.testing.assert_array_equal(np.ones(part.shape, bool) if part_valid is None else part_valid, valid[:, *cut])


def test_resampling_at_a_whole_offset_changes_nothing(tmp_path, samples):
    file = describe(str(write_raster(tmp_path / "a.tif", samples, FINE)))
    layer = Layer((file,), Target(Grid(30, 40, FINE @ Affine.translation(4, 6)), file.crs, file.crs))
    read, valid = layer.read(Rect(0, 0, 30, 40))
    assert valid is None
    np.testing.assert_allclose(read, samples[:, 6:36, 4:44], atol=1e-3)


def test_resampled_bands_keep_gaps_of_their_own(tmp_path):
    """The warper by itself takes for missing only what all bands miss, and blends the fill of the others."""
    samples = np.full((3, 40, 50), 500, "uint16")
    samples[1, 10:20, 20:30] = 0
    file = describe(str(write_raster(tmp_path / "a.tif", samples, FINE, nodata=0)))
    layer = Layer((file,), Target(Grid(38, 48, FINE @ Affine.translation(0.5, 0.5)), file.crs, file.crs))
    read, valid = layer.read(Rect(0, 0, 38, 48))
    assert valid is not None
    assert valid[0].all() and valid[2].all()
    assert 81 <= (~valid[1]).sum() <= 121
    np.testing.assert_allclose(read[valid], 500, atol=1e-3)


def test_single_bands_only_where_needed(tmp_path, samples):
    plain = describe(str(write_raster(tmp_path / "a.tif", samples, FINE)))
    assert single_bands(plain) == (plain,)
    declared = describe(str(write_raster(tmp_path / "b.tif", samples, FINE, nodata=0)))
    assert [band.source for band in single_bands(declared)] == [f"vrt://{tmp_path}/b.tif?bands={i}" for i in (1, 2, 3)]


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_alpha_masks_any_number_of_bands(tmp_path, bands):
    """GDAL itself makes a mask of an alpha band beside one band or three only."""
    samples = np.full((bands + 1, 20, 20), 255, "uint8")
    samples[-1, :5] = 0
    path = write_raster(tmp_path / "a.tif", samples, FINE, alpha="YES", photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (bands - 1) + [ColorInterp.alpha]
    file = describe(str(path))
    assert (file.alpha, len(file.bands)) == (bands + 1, bands)
    for target in (None, Target(Grid(20, 20, FINE), file.crs, file.crs)):
        read, valid = Layer((file,), target).read(Rect(0, 0, 20, 20))
        assert read.shape == (bands, 20, 20)
        assert valid is not None
        assert not valid[:, :5].any() and valid[:, 5:].all()


def test_damage_names_file_and_rows(tmp_path, samples):
    path = write_raster(tmp_path / "a.tif", samples)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(DataError, match=r"a\.tif: rows 20 … 39 cannot be read"):
        Layer((describe(str(path)),)).read(Rect(20, 0, 45, 50))
