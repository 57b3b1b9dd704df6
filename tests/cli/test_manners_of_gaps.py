"""Pixels without data, however a file says so: the exact pixels are missing from the result, and nothing bleeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import Pair, write_raster
from raster_files import FINE, fused, gentle_pair, rewritten, samples_of
from rasterio.enums import ColorInterp, MaskFlags

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

HOLE = slice(20, 30), slice(30, 42)
"""Rows and columns of the MS without data; PAN's hole is the middle of the same ground."""
PAN_HOLE = slice(90, 111), slice(131, 150)
BLEED_DN = 25
"""Far below what 1 % of the values that are hidden in the holes would add, and above any honest extrapolation."""


def nodata(path: Path, hole: tuple[slice, slice], value: float) -> Path:
    samples = samples_of(path)
    samples[:, *hole] = value
    return rewritten(path, f"holed_{path.name}", samples, nodata=value)


def undeclared_nan(path: Path, hole: tuple[slice, slice]) -> Path:
    samples = samples_of(path).astype("float32")
    samples[:, *hole] = np.nan
    return rewritten(path, f"holed_{path.name}", samples)


def alpha(path: Path, hole: tuple[slice, slice]) -> Path:
    """An extra band, as `gdalwarp -dstalpha` makes it; below it lies rubbish."""
    samples = samples_of(path)
    samples[:, *hole] = 65535
    mask = np.full(samples.shape[1:], 65535, "uint16")
    mask[hole] = 0
    holed = rewritten(path, f"holed_{path.name}", np.concatenate([samples, mask[None]]), alpha="YES")
    with rasterio.open(holed, "r+") as dataset:
        dataset.colorinterp = [*dataset.colorinterp[:-1], ColorInterp.alpha]
    return holed


def mask_band(path: Path, hole: tuple[slice, slice]) -> Path:
    samples = samples_of(path)
    mask = np.full(samples.shape[1:], 255, "uint8")
    mask[hole] = 0
    samples[:, *hole] = 65535
    holed = rewritten(path, f"holed_{path.name}", samples)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(holed, "r+") as dataset:
        dataset.write_mask(mask)
    return holed


WAYS: dict[str, Callable[[Pair], Pair]] = {
    "nodata in both": lambda pair: Pair(nodata(pair.ms, HOLE, 0), nodata(pair.pan, PAN_HOLE, 65535)),
    "nodata in MS": lambda pair: replace(pair, ms=nodata(pair.ms, HOLE, 0)),
    "nodata in PAN": lambda pair: replace(pair, pan=nodata(pair.pan, PAN_HOLE, 65535)),
    "undeclared NaN in both": lambda pair: Pair(undeclared_nan(pair.ms, HOLE), undeclared_nan(pair.pan, PAN_HOLE)),
    "alpha in MS": lambda pair: replace(pair, ms=alpha(pair.ms, HOLE)),
    "alpha in PAN": lambda pair: replace(pair, pan=alpha(pair.pan, PAN_HOLE)),
    "mask in MS": lambda pair: replace(pair, ms=mask_band(pair.ms, HOLE)),
    "mask in PAN": lambda pair: replace(pair, pan=mask_band(pair.pan, PAN_HOLE)),
}


def expected_gap(way: str) -> np.ndarray:
    """Missing pixels on the PAN grid."""
    gap = np.zeros((256, 320), bool)
    if "PAN" not in way:
        gap[80:120, 120:168] = True
    if "MS" not in way:
        gap[PAN_HOLE] = True
    return gap


def assert_clean(output: Path, whole: np.ndarray, gap: np.ndarray) -> None:
    """The gap and nothing else is missing; all around, values are those of the scene without it."""
    with rasterio.open(output) as dataset:
        assert dataset.nodata is not None
        assert dataset.count == len(whole)
        valid = dataset.read_masks() > 0
        result = dataset.read()
    for band in valid:
        np.testing.assert_array_equal(band, ~gap)
    difference = np.abs(result.astype(float) - whole)[valid]
    assert difference.max() < BLEED_DN
    assert np.median(difference) < 1


@pytest.mark.parametrize("method", ["gsa", "mtf-glp-hpm"])
@pytest.mark.parametrize("way", WAYS)
def test_gaps(fusion, tmp_path, way, method):
    pair = gentle_pair(tmp_path, dtype="uint16")
    whole = fused(fusion, pair, tmp_path / "whole.tif", "--method", method)
    fused(fusion, WAYS[way](pair), tmp_path / "holed.tif", "--method", method)
    assert_clean(tmp_path / "holed.tif", whole, expected_gap(way))


@pytest.mark.parametrize("way", [way for way in WAYS if "MS" in way or "both" in way])
def test_gaps_in_a_resampled_ms(fusion, tmp_path, way):
    """MS half a PAN pixel off, so that GDAL's warper sees the gaps first: they may grow by its reach, not by more."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    off = FINE @ Affine.translation(0.5, -0.5) @ Affine.scale(4)
    pair = replace(pair, ms=rewritten(pair.ms, "off.tif", transform=off))
    whole = fused(fusion, pair, tmp_path / "whole.tif", "--method", "mtf-glp-fs")
    fused(fusion, WAYS[way](pair), tmp_path / "holed.tif", "--method", "mtf-glp-fs")
    with rasterio.open(tmp_path / "holed.tif") as dataset:
        valid = dataset.read_masks() > 0
        result = dataset.read().astype(float)
    gap = expected_gap(way)[-whole.shape[1] :, -whole.shape[2] :]
    inner = np.argwhere(gap)
    (top, left), (bottom, right) = inner.min(0), inner.max(0) + 1
    surroundings = np.zeros_like(gap)
    surroundings[top - 6 : bottom + 6, left - 6 : right + 6] = True
    for band in valid:
        assert not band[top + 4 : bottom - 4, left + 4 : right - 4].any()
        assert band[~surroundings].all()
    assert np.abs(result - whole)[valid].max() < BLEED_DN


def test_warped_ms_that_does_not_fill_the_frame(fusion, tmp_path):
    """An MS turned by 30 degrees covers part of PAN: the corners are missing, not black and not mirrored."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    turned = FINE @ Affine.translation(160, 0) @ Affine.rotation(30) @ Affine.scale(4)
    flat = write_raster(tmp_path / "turned.tif", np.full((4, 40, 40), 600, "uint16"), turned)
    result = fused(fusion, replace(pair, ms=flat), tmp_path / "fused.tif", "--method", "exp")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        valid = dataset.read_masks(1) > 0
        area = valid.sum() / 160**2
    assert np.abs(result[:, valid].astype(int) - 600).max() <= 1
    assert 0.85 < area < 1.0  # part of the turned square hangs over PAN's edge
    assert not valid[0, 0] and not valid[-1, -1]


def test_bands_with_gaps_of_their_own(fusion, tmp_path):
    """Each band misses what it misses, read as it is and resampled alike."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    samples = samples_of(pair.ms)
    samples[2, *HOLE] = 0
    off = FINE @ Affine.translation(0.5, 0) @ Affine.scale(4)
    for transform in (FINE @ Affine.scale(4), off):
        ms = rewritten(pair.ms, "own.tif", samples, nodata=0, transform=transform)
        result = fused(fusion, Pair(ms, pair.pan), tmp_path / "fused.tif", "--method", "exp", "--overwrite")
        missing = result == 0
        assert not missing[[0, 1, 3]].any()
        assert 36 * 44 <= missing[2].sum() <= 44 * 52
        assert result[~missing].min() > 300


def test_a_value_may_be_imposed(fusion, tmp_path):
    """Fill that no file declares: `--src-nodata` gives what a declaration gives."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    declared = Pair(nodata(pair.ms, HOLE, 0), nodata(pair.pan, PAN_HOLE, 0))
    silent = Pair(*(rewritten(p, f"silent_{p.name}", nodata=None) for p in (declared.ms, declared.pan)))
    expected = fused(fusion, declared, tmp_path / "declared.tif", "--fast")
    outcome = fusion("pansharpen", *silent.flags, "-o", tmp_path / "silent.tif", "--dry-run")
    assert "of MS is 0 and no nodata is declared" in outcome.stderr
    imposed = fused(fusion, silent, tmp_path / "imposed.tif", "--src-nodata", "0", "--fast")
    np.testing.assert_array_equal(imposed, expected)


def test_output_nodata_may_be_chosen(fusion, tmp_path):
    pair = gentle_pair(tmp_path, dtype="uint16")
    holed = WAYS["mask in MS"](pair)
    result = fused(fusion, holed, tmp_path / "fused.tif", "--nodata", "65535")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.nodata == 65535
    np.testing.assert_array_equal(result == 65535, np.broadcast_to(expected_gap("in MS"), result.shape))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("word", ["none", "None"])
def test_output_without_nodata(fusion, tmp_path, dtype, word):
    """As `gdal_translate -a_nodata none`: nothing is declared; gaps hold 0, and so may other pixels."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    holed = replace(pair, ms=nodata(pair.ms, HOLE, 65535))
    declared = fused(fusion, holed, tmp_path / "declared.tif", "--nodata", "1", "--dtype", dtype)
    result = fused(fusion, holed, tmp_path / "fused.tif", "--nodata", word, "--dtype", dtype)
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.nodata is None
        assert dataset.mask_flag_enums == ([MaskFlags.all_valid],) * 4
    assert (declared == 1).any()
    np.testing.assert_array_equal(result, np.where(declared == 1, 0, declared))


def test_aligned_ms_without_nodata(fusion, make_pair, tmp_path):
    pair = make_pair(nodata=0)
    for flags, expected in (((), 0.0), (("--nodata", "7"), 7.0), (("--nodata", "none"), None)):
        outcome = fusion("align", *pair.flags, "--correct", "-o", tmp_path / "a.tif", "--overwrite", *flags)
        assert outcome.code == 0, outcome.stderr
        with rasterio.open(tmp_path / "a.tif") as dataset:
            assert dataset.nodata == expected


def test_nan_nodata_stays_declared(fusion, tmp_path):
    pair = gentle_pair(tmp_path)
    samples = samples_of(pair.ms)
    samples[:, *HOLE] = np.nan
    ms = rewritten(pair.ms, "nan.tif", samples, nodata=np.nan)
    result = fused(fusion, replace(pair, ms=ms), tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert np.isnan(dataset.nodata)
    np.testing.assert_array_equal(np.isnan(result), np.broadcast_to(expected_gap("in MS"), result.shape))


@pytest.mark.parametrize(
    ("role", "dtype", "value", "flags", "expected"),
    [
        ("ms", "float32", float(np.finfo("float32").min), (), float(np.finfo("float32").min)),
        ("ms", "float32", 1e20, (), float(np.float32(1e20))),
        ("ms", "float64", np.nan, ("--dtype", "uint16"), 0),
        ("ms", "int16", -9999, (), -9999),
        ("ms", "uint16", 65535, ("--bit-depth", "11"), 65535),
        ("pan", "int16", -9999, (), 0),
    ],
)
def test_unusual_nodata(fusion, tmp_path, role, dtype, value, flags, expected):
    """Nodata outside the data's range is kept; one that the product's type cannot hold becomes 0."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    hole = HOLE if role == "ms" else PAN_HOLE
    path = rewritten(getattr(pair, role), "typed.tif", samples_of(getattr(pair, role)).astype(dtype))
    fused(fusion, replace(pair, **{role: nodata(path, hole, value)}), tmp_path / "fused.tif", *flags)
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.nodata == expected
        valid = dataset.read_masks() > 0
        result = dataset.read()[valid]
    gap = expected_gap("in MS" if role == "ms" else "in PAN")
    np.testing.assert_array_equal(valid, np.broadcast_to(~gap, valid.shape))
    assert 300 < result.min() < result.max() < 900


def test_alpha_is_a_mask_and_no_spectral_band(fusion, tmp_path):
    pair = gentle_pair(tmp_path, dtype="uint16")
    outcome = fusion("pansharpen", *WAYS["alpha in MS"](pair).flags, "-o", tmp_path / "fused.tif", "--json")
    assert outcome.json["size"] == [4, 256, 320]
    assert "note: band 5 of " in outcome.stderr
    assert "which pixels hold data" in outcome.stderr


def test_near_infrared_that_gdal_calls_alpha(fusion, tmp_path):
    """GDAL tags the fourth of four 8-bit bands as alpha unless told otherwise; it holds measurements nevertheless."""
    pair = gentle_pair(tmp_path, dtype="uint16")
    samples = (samples_of(pair.ms) // 4).astype("uint8")
    samples[3, 5:9, 5:9] = 0  # black water in near infrared is data
    mistaken = rewritten(pair.ms, "mistaken.tif", samples)
    grey = rewritten(pair.ms, "grey.tif", samples, photometric="MINISBLACK")
    with rasterio.open(mistaken) as dataset:
        assert dataset.colorinterp[3] is ColorInterp.alpha
    results = []
    for ms in (mistaken, grey):
        outcome = fusion("pansharpen", "--ms", ms, "--pan", pair.pan, "-o", tmp_path / f"{ms.stem}_fused.tif")
        assert ("note: band 4 of " in outcome.stderr) == (ms is mistaken)
        results.append(samples_of(tmp_path / f"{ms.stem}_fused.tif"))
    assert results[0].shape == (4, 256, 320)
    np.testing.assert_array_equal(results[0], results[1])
    with rasterio.open(tmp_path / "mistaken_fused.tif") as dataset:
        assert ColorInterp.alpha not in dataset.colorinterp
        assert dataset.read_masks().all()
