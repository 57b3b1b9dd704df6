"""Files that cannot be fused: exit code 3, one error with the figures, one hint, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import Outcome, Pair, write_raster
from raster_files import FINE, rewritten, samples_of
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from refusals import assert_refused, listing

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

Refuse = Callable[..., None]


@pytest.fixture
def refuse(fusion: Callable[..., Outcome], tmp_path: Path) -> Refuse:
    """Run `fusion pansharpen` on a pair and check that it is refused and leaves the folder as it was."""

    def run(pair: Pair, error: str, hint: str = "", *flags: str) -> None:
        before = listing(tmp_path)
        outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", *flags)
        assert_refused(outcome, 3, error, hint)
        assert listing(tmp_path) == before

    return run


def test_missing_file(make_pair, refuse, tmp_path):
    pair = make_pair()
    refuse(replace(pair, ms=tmp_path / "nowhere.tif"), "nowhere.tif: no such file", "check the path")


def test_not_a_raster(make_pair, refuse, tmp_path):
    text = tmp_path / "notes.tif"
    text.write_text("bands and pixels")
    refuse(replace(make_pair(), pan=text), "notes.tif cannot be opened as a raster", "gdalinfo")


def test_empty_file(make_pair, refuse, tmp_path):
    empty = tmp_path / "empty.tif"
    empty.touch()
    refuse(replace(make_pair(), ms=empty), "empty.tif cannot be opened as a raster")


def test_folder(make_pair, refuse, tmp_path):
    refuse(replace(make_pair(), ms=tmp_path), "cannot be opened as a raster")


def test_raster_of_no_size(make_pair, refuse, tmp_path):
    flat = tmp_path / "flat.vrt"
    flat.write_text(
        '<VRTDataset rasterXSize="0" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )
    refuse(replace(make_pair(), ms=flat), "flat.vrt cannot be opened as a raster")


def test_container_without_bands(make_pair, refuse, tmp_path):
    box = tmp_path / "box.gpkg"
    for table, options in (("first", {}), ("second", {"append_subdataset": True})):
        write_raster(box, np.full((3, 64, 64), 9, "uint8"), FINE, driver="GPKG", raster_table=table, **options)
    refuse(replace(make_pair(), ms=box), "box.gpkg holds no band", "subdataset")


def test_pan_with_several_bands(make_pair, refuse):
    pair = make_pair()
    refuse(replace(pair, pan=pair.ms), "PAN must have one band", "-b 1")


def test_swapped(make_pair, refuse):
    pair = make_pair()
    refuse(Pair(pair.pan, pair.ms), "PAN must have one band", "swapped?")


def test_swapped_with_one_band_each(make_pair, refuse):
    pair = make_pair(bands=1)
    refuse(Pair(pair.pan, pair.ms), "an MS pixel is 0.25 PAN pixels wide", "swapped?")


def test_no_overlap(make_pair, refuse):
    pair = make_pair()
    far = rewritten(pair.pan, "far.tif", transform=Affine.translation(1000, 0) @ FINE)
    refuse(replace(pair, pan=far), "do not overlap: MS spans x 500000 … 500160", "fusion info")


def test_touching_edges_are_no_overlap(make_pair, refuse):
    pair = make_pair()
    beside = rewritten(pair.pan, "beside.tif", transform=Affine.translation(160, 0) @ FINE)
    refuse(replace(pair, pan=beside), "PAN x 500160 … 500320")


def test_ratio_below_one(make_pair, refuse):
    pair = make_pair()
    finer = rewritten(pair.ms, "finer.tif", transform=FINE @ Affine.scale(0.9))
    refuse(replace(pair, ms=finer), "an MS pixel is 0.9 PAN pixels wide", "swapped?")


def test_ratio_above_thirty_two(make_pair, refuse):
    pair = make_pair()
    coarser = rewritten(pair.ms, "coarser.tif", transform=FINE @ Affine.scale(33))
    refuse(replace(pair, ms=coarser), "an MS pixel is 33 PAN pixels wide, more than 32", "same scene")


def test_another_zone_does_not_overlap(make_pair, refuse):
    pair = make_pair()
    refuse(replace(pair, ms=rewritten(pair.ms, "zone.tif", crs="EPSG:32632")), "(EPSG:32632), PAN x")


def test_crs_that_cannot_be_converted(make_pair, refuse):
    pair = make_pair()
    local = rewritten(pair.ms, "local.tif", crs='LOCAL_CS["site grid",UNIT["metre",1]]')
    refuse(replace(pair, ms=local), "MS is in site grid, which cannot be converted", "gdalwarp -t_srs")


def test_impossible_longitudes(make_pair, refuse):
    pair = make_pair()
    bogus = rewritten(pair.ms, "bogus.tif", crs="EPSG:4326")
    refuse(replace(pair, ms=bogus), "EPSG:4326 cannot hold longitudes 500000 … 500160", "--ignore-georef")


@pytest.mark.parametrize("role", ["ms", "pan"])
@pytest.mark.parametrize("size", [0.0, float("nan")])
def test_degenerate_geotransform(make_pair, refuse, role, size):
    pair = make_pair()
    flat = rewritten(getattr(pair, role), "flat.tif", transform=Affine(size, 0, 500000, 0, -size, 5700000))
    refuse(replace(pair, **{role: flat}), "flat.tif has a degenerate geotransform: ", "gdal_edit.py")


def test_georeferencing_that_contradicts_the_sizes(make_pair, refuse):
    pair = make_pair()
    wrong = rewritten(pair.ms, "wrong.tif", transform=FINE)
    refuse(replace(pair, ms=wrong), "MS is 80 x 64 px, PAN 320 x 256 px, yet both declare the same pixel size")


@pytest.mark.parametrize("bare", ["ms", "pan"])
def test_only_one_raster_georeferenced(make_pair, refuse, bare, tmp_path):
    pair = make_pair()
    plain = write_raster(tmp_path / "plain.tif", samples_of(getattr(pair, bare)))
    refuse(replace(pair, **{bare: plain}), f"{bare.upper()} has no georeferencing", "--ignore-georef")


def test_control_points_only(make_pair, refuse, tmp_path):
    pair = make_pair()
    points = [GroundControlPoint(row, col, 5e5 + 2 * col, 5.7e6 - 2 * row) for row, col in ((0, 0), (0, 80), (64, 0))]
    ms = write_raster(tmp_path / "points.tif", samples_of(pair.ms))
    with rasterio.open(ms, "r+") as dataset:
        dataset.gcps = points, "EPSG:32631"
    refuse(replace(pair, ms=ms), "points.tif is positioned by ground control points only", "gdalwarp -tps")


def test_sensor_model_only(make_pair, refuse, tmp_path):
    pair = make_pair()
    pan = write_raster(tmp_path / "model.tif", samples_of(pair.pan))
    constant = [1.0] + [0.0] * 19
    model = RPC(100, 500, 45, 0.1, constant, constant, 128, 128, 5, 0.1, constant, constant, 128, 128)
    with rasterio.open(pan, "r+") as dataset:
        dataset.rpcs = model
    refuse(replace(pair, pan=pan), "model.tif is positioned by an RPC sensor model only", "RPC_HEIGHT=<metres>")


@pytest.mark.parametrize("cut", ["ms", "pan"])
@pytest.mark.parametrize("method", ["exp", "mtf-glp-fs"])
def test_truncated(make_pair, refuse, cut, method):
    """With declared nodata, nothing is sampled beforehand: the error comes in the middle of the job."""
    pair = make_pair(nodata=0)
    path = getattr(pair, cut)
    os.truncate(path, path.stat().st_size // 2)
    refuse(pair, f"{cut}.tif: rows 0 … ", "truncated", "--method", method)


def test_truncated_after_the_first_parts(make_pair, refuse):
    pair = make_pair(shape=(300, 16), nodata=0)
    os.truncate(pair.pan, pair.pan.stat().st_size - 2000)
    refuse(pair, "pan.tif: rows 9", "truncated", "--method", "exp", "--threads", "1")


def test_truncated_and_resampled(make_pair, refuse):
    pair = make_pair()
    ms = rewritten(pair.ms, "half.tif", nodata=0, transform=FINE @ Affine.translation(0.5, 0) @ Affine.scale(4))
    os.truncate(ms, ms.stat().st_size // 2)
    refuse(replace(pair, ms=ms), "half.tif: rows 0 … ", "truncated")


def test_truncation_seen_beforehand(make_pair, refuse):
    pair = make_pair()
    os.truncate(pair.pan, pair.pan.stat().st_size // 2)
    refuse(pair, "pan.tif: rows 0 … 255 cannot be read", "truncated")
    refuse(pair, "pan.tif: a sample of its 256 rows cannot be read", "truncated", "--fast")


def test_cut_inside_the_header(make_pair, refuse):
    pair = make_pair()
    os.truncate(pair.ms, 100)
    refuse(pair, "ms.tif cannot be opened as a raster")


def test_damaged_block(make_pair, refuse):
    pair = make_pair()
    pan = rewritten(pair.pan, "packed.tif", compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    content = bytearray(pan.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    pan.write_bytes(content)
    refuse(replace(pair, pan=pan), "packed.tif: rows 0 … 255 cannot be read", "damaged", "--src-nodata", "0")


@pytest.mark.parametrize("role", ["ms", "pan"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_samples(make_pair, refuse, role, dtype):
    pair = make_pair()
    path = getattr(pair, role)
    waves = rewritten(path, "waves.tif", samples_of(path).astype(dtype), dtype=dtype)
    refuse(replace(pair, **{role: waves}), f"waves.tif holds {dtype} samples", "amplitude")


@pytest.mark.parametrize("role", ["ms", "pan"])
def test_palette_image(make_pair, refuse, role):
    pair = make_pair()
    indices = (samples_of(getattr(pair, role))[:1] // 8).astype("uint8")
    path = rewritten(getattr(pair, role), "colours.tif", indices, dtype="uint8")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {i: (i, 0, 255 - i, 255) for i in range(256)})
    refuse(replace(pair, **{role: path}), "colours.tif is a palette image", "-expand rgb")


@pytest.mark.parametrize("role", ["ms", "pan"])
@pytest.mark.parametrize("method", ["mtf-glp-fs", "brovey", "exp"])
def test_nothing_but_nodata(make_pair, refuse, role, method):
    pair = make_pair()
    path = getattr(pair, role)
    blank = rewritten(path, "blank.tif", np.zeros_like(samples_of(path)), nodata=0)
    refuse(replace(pair, **{role: blank}), "no pixel holds data", "fusion info", "--method", method)


def test_nothing_but_nan(make_pair, refuse):
    pair = make_pair()
    blank = rewritten(pair.ms, "blank.tif", np.full((4, 64, 80), np.nan, "float32"), dtype="float32")
    refuse(replace(pair, ms=blank), "no pixel holds data")


def test_imposed_nodata_leaves_nothing(make_pair, refuse):
    pair = make_pair()
    flat = rewritten(pair.pan, "flat.tif", np.full((1, 256, 320), 7, "uint16"))
    refuse(replace(pair, pan=flat), "no pixel holds data", "fusion info", "--src-nodata", "7")


def test_pan_without_any_detail(make_pair, refuse):
    pair = make_pair()
    flat = rewritten(pair.pan, "flat.tif", np.full((1, 256, 320), 7, "uint16"))
    refuse(replace(pair, pan=flat), "PAN is constant (7)", "fusion info")


def test_band_files_on_different_grids(make_pair, fusion, tmp_path):
    pair = make_pair()
    before = listing(tmp_path)
    outcome = fusion("pansharpen", "--ms", pair.ms, "--ms", pair.pan, "--pan", pair.pan, "-o", tmp_path / "fused.tif")
    assert_refused(outcome, 3, "pan.tif (320 x 256 px) is not on the grid of", "share size, corner and pixel size")
    assert listing(tmp_path) == before


def test_band_files_moved_against_each_other(make_pair, fusion, tmp_path):
    pair = make_pair()
    moved = rewritten(pair.ms, "moved.tif", transform=FINE @ Affine.translation(1, 0) @ Affine.scale(4))
    outcome = fusion("pansharpen", "--ms", pair.ms, "--ms", moved, "--pan", pair.pan, "-o", tmp_path / "fused.tif")
    assert_refused(outcome, 3, "moved.tif", "share size, corner and pixel size")


def test_cmyk_tag_does_not_change_the_bands(make_pair, fusion, tmp_path):
    """GDAL turns a file tagged CMYK into RGB with an alpha band; the four stored bands are what counts."""
    pair = make_pair(dtype="uint8")
    bands = samples_of(pair.ms)
    tagged = rewritten(pair.ms, "cmyk.tif", photometric="CMYK")
    with rasterio.open(tagged) as dataset:
        assert not np.array_equal(dataset.read(), bands)  # the trap is set
    outputs = []
    for ms in (pair.ms, tagged):
        outputs.append(tmp_path / f"{ms.stem}_fused.tif")
        outcome = fusion("pansharpen", "--ms", ms, "--pan", pair.pan, "-o", outputs[-1])
        assert outcome.code == 0, outcome.stderr
    np.testing.assert_array_equal(samples_of(outputs[1]), samples_of(outputs[0]))
    with rasterio.open(outputs[1]) as dataset:
        assert dataset.count == 4
        assert "SOURCE_COLOR_SPACE" not in dataset.tags(ns="IMAGE_STRUCTURE")


def test_a_gain_that_the_pair_does_not_show(make_pair, refuse, tmp_path):
    """PAN of other ground."""
    pair = make_pair()
    noise = np.random.default_rng(0).integers(100, 2000, samples_of(pair.pan).shape).astype("uint16")
    other = write_raster(tmp_path / "other.tif", noise, FINE)
    flags = ["--method", "mtf-glp", "--mtf-gain", "measured"]
    refuse(replace(pair, pan=other), "the MTF gain of MS cannot be measured: ", "give a number: --mtf-gain 0.3", *flags)


def test_ignoring_georeferencing_gets_past_it(make_pair, fusion, tmp_path):
    """The way out that the hints of four refusals name: bogus, contradictory, one-sided, and control points."""
    pair = make_pair()
    expected = tmp_path / "expected.tif"
    assert fusion("pansharpen", *pair.flags, "-o", expected).code == 0
    bare = write_raster(tmp_path / "bare.tif", samples_of(pair.ms))
    points = write_raster(tmp_path / "points.tif", samples_of(pair.ms))
    with rasterio.open(points, "r+") as dataset:
        dataset.gcps = [GroundControlPoint(0, i, i, i * i) for i in range(3)], "EPSG:32631"
    bogus = rewritten(pair.ms, "bogus.tif", crs="EPSG:4326")
    wrong = rewritten(pair.ms, "wrong.tif", transform=FINE)
    for ms in (bare, points, bogus, wrong):
        fused = tmp_path / f"fused_{ms.stem}.tif"
        outcome = fusion("pansharpen", "--ms", ms, "--pan", pair.pan, "-o", fused, "--ignore-georef")
        assert outcome.code == 0, outcome.stderr
        np.testing.assert_array_equal(samples_of(fused), samples_of(expected))
