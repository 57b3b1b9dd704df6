"""Imagery that nobody here made: every pair gives a right picture, every trap a right picture or a right refusal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from raster_files import samples_of
from rasterio.warp import Resampling, reproject
from refusals import assert_refused, listing
from scipy.ndimage import uniform_filter

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@dataclass(frozen=True)
class Scene:
    """What is known of a pair beforehand.

    Attributes:
        size: bands, rows and columns of the result.
        sensor: as its folder says.
        verdict: how the MS reaches the PAN grid.
        offset_px: PAN position of the MS corner (row, column).
        crs: EPSG code, or None.
    """

    size: tuple[int, int, int]
    sensor: str = "GENERIC"
    verdict: str = "paste"
    offset_px: tuple[float, float] = (0.0, 0.0)
    crs: int | None = None


SCENES = {
    "cpe_cropland": Scene((4, 1024, 1024)),
    "cpe_urban": Scene((4, 1024, 1024)),
    "dgif_3": Scene((4, 1024, 1024)),
    "l8_madrid": Scene((3, 1197, 1498), "LANDSAT8", "snap", (-0.5, -1.5), 32630),
    "pnn_ge1": Scene((4, 1280, 1280), "GE1"),
    "pnn_ik": Scene((4, 1280, 1280), "IKONOS"),
    "qb_full": Scene((4, 1024, 1024), "QB"),
    "qb_rr_train": Scene((4, 256, 256), "QB"),
    "sn6_wv2_1": Scene((4, 600, 600), "WV2", crs=32631),
    "spot_otbtf_tiny": Scene((4, 126, 127), offset_px=(-2, -1), crs=2154),
    "wv3_zpnn_tiny": Scene((8, 128, 128), "WV3"),
}


def correlation(one: np.ndarray, other: np.ndarray, valid: np.ndarray) -> float:
    return float(np.corrcoef(one[valid].ravel(), other[valid].ravel())[0, 1])


def smooth(image: np.ndarray, px: int) -> np.ndarray:
    return uniform_filter(image.astype(float), px)


def ms_on_grid_of(path: Path, product: rasterio.DatasetReader) -> np.ndarray:
    """GDAL's own cubic resampling of the MS, as an independent reference; ratio by size without georeferencing."""
    with rasterio.open(path) as ms:
        shape = ms.count, product.height, product.width
        if product.crs is None:
            return ms.read(out_shape=shape, resampling=Resampling.cubic).astype(float)
        result = np.zeros(shape)
        grids = {"dst_transform": product.transform, "dst_crs": product.crs, "resampling": Resampling.cubic}
        reproject(ms.read().astype(float), result, src_transform=ms.transform, src_crs=ms.crs, **grids)
        return result


@pytest.mark.parametrize("name", SCENES)
def test_pairs(real_data, fusion, tmp_path, name):
    """Colours are those of the MS and details those of the PAN, both where they belong."""
    scene, folder = SCENES[name], real_data / "pairs" / name
    output = tmp_path / "fused.tif"
    flags = ["--ms", folder / "ms.tif", "--pan", folder / "pan.tif", "--fast"]
    outcome = fusion("pansharpen", *flags, "-o", output, "--json")
    assert outcome.code == 0, outcome.stderr
    facts = outcome.json
    assert tuple(facts["size"]) == scene.size
    assert (facts["sensor"], facts["verdict"]) == (scene.sensor, scene.verdict)
    assert facts["offset_px"] == pytest.approx(scene.offset_px, abs=1e-3)
    with rasterio.open(output) as product, rasterio.open(folder / "pan.tif") as pan:
        assert (product.crs.to_epsg() if product.crs else None) == scene.crs
        window = pan.window(*product.bounds).round() if product.crs else None
        details = pan.read(1, window=window).astype(float)
        result, valid = product.read().astype(float), product.read_masks(1) > 0
        ms = ms_on_grid_of(folder / "ms.tif", product)
    side = 4 * round(facts["ratio"][0])
    for band, coarse in zip(result, ms, strict=True):
        assert correlation(smooth(band, side), smooth(coarse, side), valid) > 0.985
    assert np.nanmean(result[:, valid]) == pytest.approx(ms[:, valid].mean(), rel=0.02, abs=2e-4)
    fine = [correlation(band - smooth(band, 5), details - smooth(details, 5), valid) for band in result]
    assert np.median(fine) > 0.9


def test_cmyk_trap(real_data, fusion, tmp_path):
    """Four spectral bands in a file that says CMYK: the true bands, not GDAL's conversion to RGB and alpha."""
    traps = real_data / "traps"
    flags = ["--ms", traps / "cmyk_tagged_ms.tif", "--pan", traps / "cmyk_tagged_pan.tif"]
    assert fusion("pansharpen", *flags, "-o", tmp_path / "fused.tif", "--fast").code == 0
    result = samples_of(tmp_path / "fused.tif").astype(float)
    with rasterio.open(f"GTIFF_RAW:{traps / 'cmyk_tagged_ms.tif'}") as ms:
        bands = ms.read().astype(float)
    blocks = result.reshape(4, 256, 4, 256, 4).mean((2, 4))
    for block, band in zip(blocks, bands, strict=True):
        assert correlation(block, band, np.s_[:]) > 0.98
        assert block.mean() == pytest.approx(band.mean(), rel=0.03)


def test_bogus_georeferencing_trap(real_data, fusion, tmp_path):
    traps = real_data / "traps"
    flags = ["--ms", traps / "bogus_georef_ms.tif", "--pan", traps / "bogus_georef_pan.tif"]
    outcome = fusion("pansharpen", *flags, "-o", tmp_path / "fused.tif")
    assert_refused(outcome, 3, "EPSG:4326 cannot hold longitudes -123.257 … 491.143", "--ignore-georef")
    assert listing(tmp_path) == set()
    outcome = fusion("pansharpen", *flags, "-o", tmp_path / "fused.tif", "--ignore-georef")
    assert outcome.code == 0, outcome.stderr
    blocks = samples_of(tmp_path / "fused.tif").reshape(4, 256, 4, 256, 4).mean((2, 4))
    for block, band in zip(blocks, samples_of(traps / "bogus_georef_ms.tif"), strict=True):
        assert correlation(block, band, np.s_[:]) > 0.98


def test_sensor_model_trap(real_data, fusion, tmp_path):
    scene = real_data / "traps" / "rpc_basic1b.tif"
    outcome = fusion("pansharpen", "--ms", scene, "--pan", scene, "-o", tmp_path / "fused.tif")
    assert_refused(outcome, 3, "positioned by an RPC sensor model only", "gdalwarp -rpc")
    assert fusion("info", scene, "--json").json["positioned_by"] == "rpc"
    assert listing(tmp_path) == set()


def test_landsat_band_files(real_data, fusion, tmp_path):
    """A scene thinned out 30 times, its PAN grid still half a 15 m pixel away, far below what needs resampling."""
    folder = real_data / "traps" / "landsat_band_files"
    stem = "LC08_L1TP_016037_20170813_20170814_01_RT_B"
    bands = [folder / f"{stem}{number}.TIF" for number in (4, 3, 2)]
    flags = [word for path in bands for word in ("--ms", path)]
    flags += ["--pan", folder / f"{stem}8.TIF", "-o", tmp_path / "fused.tif"]
    outcome = fusion("pansharpen", *flags, "--src-nodata", "0", "--json")
    assert outcome.code == 0, outcome.stderr
    facts = outcome.json
    assert (facts["sensor"], facts["verdict"]) == ("LANDSAT8", "paste")
    assert facts["offset_px"] == pytest.approx([-7.5 / 450, -7.5 / 450], abs=1e-4)
    with rasterio.open(tmp_path / "fused.tif") as product:
        result, valid = product.read().astype(float), product.read_masks() > 0
        for band, path in enumerate(bands):
            coarse = ms_on_grid_of(path, product)[0]
            assert correlation(smooth(result[band], 8), smooth(coarse, 8), valid[band]) > 0.98
    assert 0.3 < valid.mean() < 0.9
    assert (result[valid] < 5000).mean() < 0.05  # the darkest ground is 6100; thinned clouds ring
    outcome = fusion("pansharpen", *flags, "--overwrite", "--dry-run")
    assert "is 0 and no nodata is declared" in outcome.stderr


@pytest.mark.parametrize("numbers", [(4, 8), (8, 4)])
def test_landsat_files_of_two_resolutions(real_data, fusion, tmp_path, numbers):
    folder = real_data / "traps" / "landsat_band_files"
    files = [folder / f"LC08_L1TP_016037_20170813_20170814_01_RT_B{number}.TIF" for number in numbers]
    flags = ["--ms", files[0], "--ms", files[1], "--pan", files[0], "-o", tmp_path / "fused.tif"]
    assert_refused(fusion("pansharpen", *flags), 3, "is not on the grid of", "share size")


def test_text_beside_the_bands(real_data, fusion, tmp_path):
    folder = real_data / "traps" / "landsat_band_files"
    stem = "LC08_L1TP_016037_20170813_20170814_01_RT_"
    flags = ["--ms", folder / f"{stem}MTL.txt", "--pan", folder / f"{stem}B8.TIF", "-o", tmp_path / "fused.tif"]
    assert_refused(fusion("pansharpen", *flags), 3, "MTL.txt cannot be opened as a raster")
