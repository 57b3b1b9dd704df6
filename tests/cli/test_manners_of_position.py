"""Where things are: MS content stays on its ground to 0.01 PAN px however MS and PAN lie on each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import Pair, write_raster
from raster_files import FINE, fused, gentle_pair, rewritten, samples_of
from rasterio.crs import CRS
from rasterio.warp import Resampling, calculate_default_transform, reproject
from skimage.registration import phase_cross_correlation

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PERIOD_M = 40.0
WINDOW_PX = 80
"""One period."""


def wave(transform: Affine, shape: tuple[int, int]) -> np.ndarray:
    """Two waves on the ground, along x and along y, sampled as pixel means; (2, h, w), 1000 ± 500."""
    (height, width), size = shape, abs(transform.a)
    cols, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    seen = np.sinc(size / PERIOD_M)  # what the mean over a pixel leaves of the amplitude
    x = transform.c + transform.a * cols - FINE.c
    y = transform.f + transform.e * rows - FINE.f
    along_x = np.sin(2 * np.pi * x / PERIOD_M) * np.ones((height, 1))
    along_y = np.sin(2 * np.pi * y / PERIOD_M)[:, None] * np.ones(width)
    return 1000 + 500 * seen * np.array([along_x, along_y])


def misplacement_px(fused_wave: np.ndarray, truth: np.ndarray, axis: int) -> float:
    """Largest shift along an axis over windows of one period, from the phase of the wave."""
    height, width = fused_wave.shape
    margin = 24  # mirrored borders change the wave there
    worst = 0.0
    for row in range(margin, height - margin - WINDOW_PX + 1, WINDOW_PX // 2):
        for col in range(margin, width - margin - WINDOW_PX + 1, WINDOW_PX // 2):
            window = slice(row, row + WINDOW_PX), slice(col, col + WINDOW_PX)
            phases = [np.angle(np.fft.fft(a[window].mean(1 - axis))[1]) for a in (fused_wave, truth)]
            turn = (phases[0] - phases[1] + np.pi) % (2 * np.pi) - np.pi
            worst = max(worst, abs(turn) / (2 * np.pi) * WINDOW_PX)
    return worst


def waves(folder: Path, pan_grid: Affine, pan_shape: tuple[int, int], ms_shape: tuple[int, int] = (64, 80)) -> Pair:
    """MS holding the two waves on FINE's corner, 4 PAN px wide; PAN anywhere."""
    coarse = FINE @ Affine.scale(4)
    return Pair(
        write_raster(folder / "ms.tif", wave(coarse, ms_shape).astype("float32"), coarse),
        write_raster(folder / "pan.tif", wave(pan_grid, pan_shape).mean(0).astype("float32"), pan_grid),
    )


def assert_in_place(output: Path) -> None:
    with rasterio.open(output) as dataset:
        result, transform = dataset.read(), dataset.transform
    truth = wave(transform, result.shape[1:])
    assert result.shape[1] > 2 * WINDOW_PX
    assert misplacement_px(result[0], truth[0], axis=1) < 0.01
    assert misplacement_px(result[1], truth[1], axis=0) < 0.01


@pytest.mark.parametrize("offset_px", [0, 0.5, 2, -2, -0.25, 10])
@pytest.mark.parametrize("method", ["exp", "mtf-glp"])
def test_pan_offset(fusion, tmp_path, offset_px, method):
    pair = waves(tmp_path, FINE @ Affine.translation(offset_px, offset_px), (256, 320))
    fused(fusion, pair, tmp_path / "fused.tif", "--method", method)
    if method == "exp":
        assert_in_place(tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        pixels = (dataset.transform.c - 500000) / 0.5, (5700000 - dataset.transform.f) / 0.5
        assert all(start == pytest.approx(max(offset_px, offset_px % 1)) for start in pixels)
        assert dataset.width == pytest.approx(320 - abs(offset_px), abs=1)


def test_pan_wider_and_taller_than_ms(fusion, tmp_path):
    """The geometry of GDAL #11889: PAN 3 px wider and 4 px taller than 4 times the MS."""
    fused(fusion, waves(tmp_path, FINE, (260, 323)), tmp_path / "fused.tif", "--method", "exp")
    assert_in_place(tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.shape == (256, 320)
        assert dataset.transform == FINE


def test_pan_inside_ms(fusion, tmp_path):
    pair = waves(tmp_path, FINE @ Affine.translation(37, 22), (190, 230))
    fused(fusion, pair, tmp_path / "fused.tif", "--method", "exp")
    assert_in_place(tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset, rasterio.open(pair.pan) as pan:
        assert (dataset.shape, dataset.transform) == (pan.shape, pan.transform)


@pytest.mark.parametrize("size", [(2.5, 2.5), (4, 3.2), (3.9, 4.1)])
def test_other_ratios(fusion, tmp_path, size):
    """Not an integer, not square."""
    coarse = FINE @ Affine.scale(*size)
    shape = int(256 / size[1]), int(320 / size[0])
    samples = wave(coarse, shape)
    samples[1] = 1000 + (samples[1] - 1000) * np.sinc(abs(coarse.e) / PERIOD_M) / np.sinc(coarse.a / PERIOD_M)
    ms = write_raster(tmp_path / "ms.tif", samples.astype("float32"), coarse)
    pan = write_raster(tmp_path / "pan.tif", wave(FINE, (256, 320)).mean(0).astype("float32"), FINE)
    fused(fusion, Pair(ms, pan), tmp_path / "fused.tif", "--method", "exp")
    assert_in_place(tmp_path / "fused.tif")


@pytest.mark.parametrize("flip", ["ms", "pan", "both"])
def test_south_up(fusion, tmp_path, flip):
    """Rows stored from south to north, in one file or in both."""
    pair = waves(tmp_path, FINE, (256, 320))
    upside_down = {}
    for role in ("ms", "pan"):
        path = getattr(pair, role)
        if flip in (role, "both"):
            with rasterio.open(path) as dataset:
                samples, transform = dataset.read()[:, ::-1], dataset.transform
            turned = transform @ Affine.translation(0, samples.shape[1]) @ Affine.scale(1, -1)
            upside_down[role] = rewritten(path, f"flipped_{path.name}", samples, transform=turned)
    fused(fusion, replace(pair, **upside_down), tmp_path / "fused.tif", "--method", "exp")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert (dataset.transform.e > 0) == (flip != "ms")
        assert sorted(dataset.bounds) == [500000, 500160, 5699872, 5700000]
    assert_in_place(tmp_path / "fused.tif")


def test_pan_further_west(fusion, tmp_path):
    """The result is the intersection, on its ground; away from the edge as if PAN had no further columns."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    expected = fused(fusion, pair, tmp_path / "expected.tif", "--fast")
    west = np.concatenate([np.full((1, 256, 10), 999, "uint16"), samples_of(pair.pan)], axis=2)
    pan = rewritten(pair.pan, "west.tif", west, transform=FINE @ Affine.translation(-10, 0))
    result = fused(fusion, replace(pair, pan=pan), tmp_path / "fused.tif", "--fast")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.transform == FINE
        assert dataset.nodata is None
    assert result.shape == expected.shape
    assert np.abs(result.astype(int) - expected)[:, :, 40:].max() <= 1


def test_ms_in_another_zone(fusion, tmp_path):
    """An MS delivered in the next UTM zone, turned by more than two degrees: warped back onto its ground."""
    pair = gentle_pair(tmp_path)
    direct = fused(fusion, pair, tmp_path / "direct.tif")
    with rasterio.open(pair.ms) as ms:
        grid = calculate_default_transform(ms.crs, "EPSG:32632", ms.width, ms.height, *ms.bounds, resolution=2.0)
        samples = np.full((4, grid[2], grid[1]), np.nan, "float32")
        for band in ms.indexes:
            options = {"dst_transform": grid[0], "dst_crs": "EPSG:32632", "resampling": Resampling.cubic}
            reproject(rasterio.band(ms, band), samples[band - 1], **options, dst_nodata=np.nan, src_nodata=np.nan)
    zone = write_raster(tmp_path / "zone.tif", samples, grid[0], crs="EPSG:32632", nodata=np.nan)
    flags = ["--ms", zone, "--pan", pair.pan, "-o", tmp_path / "fused.tif", "--json"]
    outcome = fusion("pansharpen", *flags)
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["verdict"] == "warp"
    assert outcome.json["reason"] == "MS is in EPSG:32632, PAN in EPSG:32631"
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.crs.to_epsg() == 32631
        row, col = (round(v) for v in (~FINE @ dataset.transform @ (0, 0))[::-1])
        result = dataset.read()
    whole = direct[:, row : row + result.shape[1], col : col + result.shape[2]]
    inner = slice(None), slice(24, -24), slice(24, -24)
    assert np.isfinite(result[inner]).all()
    assert np.abs(result - whole)[inner].mean() < 3
    for band, expected in zip(result[inner], whole[inner], strict=True):
        shift = phase_cross_correlation(expected, band, upsample_factor=50, normalization=None)[0]
        assert np.abs(shift).max() < 0.1


@pytest.mark.parametrize("name", ["EPSG:32631+5773", "EPSG:25831", "+proj=utm +zone=31 +datum=WGS84 +units=m"])
def test_one_plane_under_two_names(fusion, tmp_path, name):
    """With heights, on a datum a few centimetres away by convention, or spelled out: nothing to resample."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    expected = fused(fusion, pair, tmp_path / "expected.tif")
    other = replace(pair, ms=rewritten(pair.ms, "named.tif", crs=CRS.from_user_input(name)))
    assert fusion("pansharpen", *other.flags, "--dry-run", "--json").json["verdict"] == "paste"
    np.testing.assert_array_equal(fused(fusion, other, tmp_path / "fused.tif"), expected)


def test_geographic_coordinates(fusion, tmp_path):
    """Degrees on both sides are as good as metres, at 1e-6 of their size."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    expected = fused(fusion, pair, tmp_path / "metres.tif")
    degrees = Affine(4.5e-6, 0, 3.0, 0, -4.5e-6, 51.4)
    files = [
        rewritten(path, f"deg_{path.name}", crs="EPSG:4326", transform=degrees @ Affine.scale(scale))
        for path, scale in ((pair.ms, 4), (pair.pan, 1))
    ]
    result = fused(fusion, Pair(*files), tmp_path / "degrees.tif")
    np.testing.assert_array_equal(result, expected)
    with rasterio.open(tmp_path / "degrees.tif") as dataset:
        assert dataset.transform.almost_equals(degrees, 1e-15)


@pytest.mark.parametrize("corners", ["500020,5699900,500100,5699980", "500100 5699980 500020 5699900"])
def test_bounds(fusion, tmp_path, corners):
    """Any two opposite corners, in either order; the pixels are those of the whole scene."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    whole = fused(fusion, pair, tmp_path / "whole.tif", "--method", "exp")
    part = fused(fusion, pair, tmp_path / "part.tif", "--method", "exp", "--bounds", corners)
    with rasterio.open(tmp_path / "part.tif") as dataset:
        assert dataset.bounds == (500020, 5699900, 500100, 5699980)
    np.testing.assert_array_equal(part, whole[:, 40:200, 40:200])


def test_bounds_that_reach_outside(fusion, tmp_path):
    pair = gentle_pair(tmp_path, dtype="uint16")
    whole = fused(fusion, pair, tmp_path / "whole.tif", "--method", "exp")
    flags = "--method", "exp", "--bounds", "0,5699900.2,500100.2,9999999"
    part = fused(fusion, pair, tmp_path / "part.tif", *flags)
    np.testing.assert_array_equal(part, whole[:, :200, :201])


def test_smallest_scenes(make_pair, fusion, tmp_path):
    """One MS pixel, one row, one column of PAN: smaller than any filter."""
    for name, shape in (("pixel", (1, 1)), ("row", (1, 9)), ("column", (9, 1))):
        result = fused(fusion, make_pair(shape=shape), tmp_path / f"{name}.tif")
        assert result.shape == (4, shape[0] * 4, shape[1] * 4)
        assert result.min() > 0
    pair = make_pair()
    line = rewritten(pair.pan, "line.tif", samples_of(pair.pan)[:, 7:8], transform=FINE @ Affine.translation(0, 7))
    assert fused(fusion, replace(pair, pan=line), tmp_path / "line_fused.tif").shape == (4, 1, 320)
