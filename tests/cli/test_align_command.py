"""`fusion align`: what it prints, the shifts it measures and the MS it writes; `pansharpen --coregister`."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import Outcome, Pair, smooth_scene, write_raster
from raster_files import FINE, fused, rewritten, samples_of
from rasterio.warp import Resampling, reproject
from refusals import assert_refused, listing
from scipy import ndimage

from fusioncli.core.tiling import Rect
from fusioncli.io.scene import PairRequest
from fusioncli.workflows.coregister import open_registered

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

SHIFTS = [(0.0, 0.0), (0.3, -0.6), (-1.25, 2.5), (3.0, 0.4)]


@cache
def scene_and_spectrum() -> tuple[np.ndarray, np.ndarray]:
    """Four bands on PAN's grid that wrap around, and their Fourier transform."""
    shape = 4 * 128, 4 * 144
    rng = np.random.default_rng(3)
    texture = sum(s * ndimage.gaussian_filter(rng.normal(size=shape), s, mode="wrap") for s in (2.5, 6, 20))
    own = np.array([20 * ndimage.gaussian_filter(rng.normal(size=shape), 20, mode="wrap") for _ in range(4)])
    scene = 800 + 300 * (texture + 0.3 * own)
    return scene, np.fft.fft2(scene)


def shifted_pair(folder: Path, shift_px: tuple[float, float], georeferenced: bool = True) -> Pair:
    """MS whose content lies `shift_px` (rows, columns of PAN) away from that of PAN; periodic, so that none is lost."""
    scene, spectrum = scene_and_spectrum()
    moved = np.fft.ifft2([ndimage.fourier_shift(band, shift_px) for band in spectrum]).real
    ms = moved.reshape(4, 128, 4, 144, 4).mean((2, 4))
    grids = (FINE @ Affine.scale(4), FINE) if georeferenced else (None, None)
    return Pair(
        write_raster(folder / "ms.tif", ms.astype("float32"), grids[0]),
        write_raster(folder / "pan.tif", scene.mean(0).astype("float32"), grids[1]),
    )


@pytest.mark.parametrize("shift_px", SHIFTS)
def test_injected_shifts_are_measured(fusion, tmp_path, shift_px):
    """The MS has to move back by what was injected."""
    facts = fusion("align", *shifted_pair(tmp_path, shift_px).flags, "--json").json
    assert facts["shift_px"] == pytest.approx([-shift_px[0], -shift_px[1]], abs=0.05)
    assert facts["windows"] >= 2


@pytest.mark.parametrize("georeferenced", [True, False])
def test_corrected_ms_fits(fusion, tmp_path, georeferenced):
    pair = shifted_pair(tmp_path, (-1.25, 2.5), georeferenced)
    aligned = tmp_path / "aligned.tif"
    outcome = fusion("align", *pair.flags, "--correct", "-o", aligned)
    assert outcome.code == 0, outcome.stderr
    assert outcome.last_line == str(aligned)
    again = fusion("align", "--ms", aligned, "--pan", pair.pan, "--json")
    assert again.code == 0, again.stderr
    assert np.abs(again.json["shift_px"]).max() < 0.1
    assert again.json["verdict"] == "paste"
    assert listing(tmp_path) == {"ms.tif", "pan.tif", "aligned.tif"}
    with rasterio.open(aligned) as dataset, rasterio.open(pair.ms) as ms:
        assert (dataset.count, dataset.dtypes) == (ms.count, ms.dtypes)
        assert dataset.crs == ms.crs


@pytest.mark.parametrize("georeferenced", [True, False])
@pytest.mark.parametrize("shift_px", [(3.0, -2.0), (-1.25, 2.5)])
def test_corrected_ms_fuses_like_coregistration(fusion, tmp_path, shift_px, georeferenced):
    """The same pixels at the same places, but for a resampling where a file cannot say where it starts."""
    pair = shifted_pair(tmp_path, shift_px, georeferenced)
    registered = tmp_path / "registered.tif"
    assert fusion("pansharpen", *pair.flags, "--coregister", "-o", registered).code == 0
    assert fusion("align", *pair.flags, "--correct", "-o", tmp_path / "aligned.tif").code == 0
    corrected = fused(fusion, replace(pair, ms=tmp_path / "aligned.tif"), tmp_path / "corrected.tif")
    careless = fused(fusion, pair, tmp_path / "careless.tif")
    output = open_registered(PairRequest((str(pair.ms),), str(pair.pan)), True)[0].alignment.output
    if georeferenced:
        with rasterio.open(tmp_path / "corrected.tif") as dataset:
            col, row = (round(v) for v in ~FINE @ dataset.transform @ (0, 0))
    else:
        row, col = 0, 0
        assert corrected.shape == (4, 512, 576)
    area = output.intersect(Rect(row, col, row + corrected.shape[1], col + corrected.shape[2])).grow(-40)

    def inner(result: np.ndarray, row: int, col: int) -> np.ndarray:
        return result[:, area.row0 - row : area.row1 - row, area.col0 - col : area.col1 - col]

    expected = inner(samples_of(registered), output.row0, output.col0)
    error, before = (inner(x, *at) - expected for x, at in ((corrected, (row, col)), (careless, (0, 0))))
    assert np.sqrt((error**2).mean()) < (0.01 if georeferenced else 0.25) * np.sqrt((before**2).mean())


def test_correction_keeps_what_the_bands_are_called(fusion, tmp_path):
    pair = shifted_pair(tmp_path, (2.0, 0.0))
    with rasterio.open(pair.ms, "r+") as dataset:
        dataset.descriptions = ("b", "g", "r", "n")
    outcome = fusion("align", *pair.flags, "--correct", "-o", tmp_path / "aligned.tif", "--dtype", "uint16", "--json")
    assert outcome.json["output"] == str(tmp_path / "aligned.tif")
    with rasterio.open(tmp_path / "aligned.tif") as dataset:
        assert dataset.descriptions == ("b", "g", "r", "n")
        assert dataset.dtypes == ("uint16",) * 4
        assert dataset.tags()["FUSION_SOFTWARE"].startswith("fusioncli ")


def test_coregistration_on_the_fly(fusion, tmp_path):
    """Close to the result of a pair that was never shifted, and far closer than without."""
    (tmp_path / "good").mkdir()
    expected = fused(fusion, shifted_pair(tmp_path / "good", (0.0, 0.0)), tmp_path / "expected.tif")
    pair = shifted_pair(tmp_path, (-1.25, 2.5))
    flags = [*pair.flags, "-o", tmp_path / "registered.tif", "--coregister", "--json"]
    facts = fusion("pansharpen", *flags).json
    assert facts["shift_px"] == pytest.approx([1.25, -2.5], abs=0.05)
    careless = fused(fusion, pair, tmp_path / "careless.tif")
    registered = samples_of(tmp_path / "registered.tif")
    with rasterio.open(tmp_path / "registered.tif") as dataset:
        col, row = (round(v) for v in ~FINE @ dataset.transform @ (0, 0))

    def error(result: np.ndarray, row: int = 0, col: int = 0) -> float:
        height, width = result.shape[1:]
        difference = result - expected[:, row : row + height, col : col + width]
        return float(np.sqrt(np.nanmean(difference[:, 40:-40, 40:-40] ** 2)))

    assert error(registered, row, col) < 0.25 * error(careless)


def test_coregistration_across_coordinate_systems(fusion, tmp_path):
    """The shift is counted in PAN px, whatever the units of the MS: here degrees."""
    pair = shifted_pair(tmp_path, (-1.0, 2.0))
    with rasterio.open(pair.ms) as ms:
        samples, transform = reproject(
            ms.read(),
            src_transform=ms.transform,
            src_crs=ms.crs,
            dst_crs="EPSG:4326",
            resampling=Resampling.cubic,
            src_nodata=np.nan,
            dst_nodata=np.nan,
        )
    degrees = write_raster(tmp_path / "degrees.tif", samples, transform, crs="EPSG:4326", nodata=np.nan)
    flags = [
        "--ms",
        degrees,
        "--pan",
        pair.pan,
        "-o",
        tmp_path / "fused.tif",
        "--bounds",
        "500030,5699780,500250,5699970",
    ]
    facts = fusion("pansharpen", *flags, "--coregister", "--json").json
    assert facts["verdict"] == "warp"
    assert facts["shift_px"] == pytest.approx([1.0, -2.0], abs=0.3)
    assert np.isfinite(samples_of(tmp_path / "fused.tif")).mean() > 0.95


def test_a_shift_is_warned_of(fusion, tmp_path):
    outcome = fusion("align", *shifted_pair(tmp_path, (0.0, 1.5)).flags)
    assert outcome.code == 0
    distance, hint = re.search(r"^note: .* are (\S+) PAN px apart, more than 0.5; (.*)$", outcome.stderr, re.M).groups()
    assert float(distance) == pytest.approx(1.5, abs=0.1)
    assert "--coregister" in hint


APART = re.compile(r"^note: MS and PAN contents are (\S+) PAN px apart, more than 1; consider --coregister$", re.M)


def test_fusing_warns_of_a_shift(fusion, tmp_path):
    """Without changing anything else."""
    pair = shifted_pair(tmp_path, (3.0, 0.4))
    warned = fusion("pansharpen", *pair.flags, "-o", tmp_path / "warned.tif", "--method", "gsa", "--json")
    assert (warned.code, warned.json["shift_px"]) == (0, None)
    assert float(APART.findall(warned.stderr)[0]) == pytest.approx(np.hypot(3.0, 0.4), abs=0.1)
    assert fused(fusion, pair, tmp_path / "quiet.tif", "-q", "--method", "gsa").tobytes() == (
        samples_of(tmp_path / "warned.tif").tobytes()
    )


@pytest.mark.parametrize("flag", ["--fast", "--coregister", "-q"])
def test_fusing_does_not_look_for_a_shift_that_nobody_asks_for(fusion, tmp_path, monkeypatch, flag):
    pair = shifted_pair(tmp_path, (3.0, 0.4))
    hasty = []
    monkeypatch.setattr("fusioncli.workflows.coregister.apart_note", lambda request: hasty.append(request))
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", "--dry-run", flag)
    assert (outcome.code, hasty) == (0, [])


@pytest.mark.parametrize("shift_px", [(0.0, 0.0), (0.6, -0.6)])
def test_fusing_does_not_warn_of_a_good_pair(fusion, tmp_path, shift_px):
    pair = shifted_pair(tmp_path, shift_px)
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", "--dry-run")
    assert outcome.code == 0
    assert "apart" not in outcome.stderr


@pytest.mark.parametrize("what", ["flat", "tiny", "other ground"])
def test_fusing_goes_on_where_no_shift_can_be_measured(fusion, make_pair, tmp_path, what):
    pair = make_pair(shape=(8, 8)) if what == "tiny" else shifted_pair(tmp_path, (3.0, 0.4))
    if what == "flat":
        pair = replace(pair, ms=rewritten(pair.ms, "flat.tif", np.full((4, 128, 144), 500, "float32")))
    if what == "other ground":
        other = smooth_scene(1, 512, 576, seed=9).astype("float32")
        pair = replace(pair, pan=rewritten(pair.pan, "other.tif", other))
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", "--dry-run", "--method", "gsa")
    assert outcome.code == 0, outcome.stderr
    assert "apart" not in outcome.stderr


def test_a_good_pair_is_not_warned_of(fusion, tmp_path):
    outcome = fusion("align", *shifted_pair(tmp_path, (0.1, 0.1)).flags)
    assert (outcome.code, outcome.stderr) == (0, "")


def test_table(make_pair, fusion):
    shown = dict(line.split(None, 1) for line in fusion("align", *make_pair().flags).stdout.splitlines())
    assert shown["verdict"] == "paste"
    assert shown["reason"] == "every MS pixel covers whole PAN pixels"
    assert shown["ratio"] == "4.0, 4.0 (rows, columns)"
    assert shown["overlap_px"] == "256, 320 (rows, columns)"


@pytest.mark.parametrize(
    ("transform", "verdict", "reason"),
    [
        (Affine.translation(0.5, 2) @ Affine.scale(4), "snap", "MS starts +2.000 rows and +0.500 columns from PAN"),
        (Affine.translation(8, 8) @ Affine.scale(4), "paste", "every MS pixel covers whole PAN pixels"),
        (Affine.scale(3.5), "snap", "the ratio is 3.5, not one whole number"),
        (Affine.rotation(10) @ Affine.scale(4), "warp", "MS is rotated or flipped against PAN"),
    ],
)
def test_verdicts(make_pair, fusion, transform, verdict, reason):
    pair = make_pair()
    ms = rewritten(pair.ms, "moved.tif", transform=FINE @ transform)
    facts = fusion("pansharpen", "--ms", ms, "--pan", pair.pan, "--dry-run", "--json").json
    assert facts["verdict"] == verdict
    assert reason in facts["reason"]


def assert_only_noted(outcome: Outcome) -> None:
    """The verdict on the grids holds without any content to compare."""
    assert outcome.code == 0
    assert outcome.stderr.startswith("note: the shift between MS and PAN cannot be measured")
    assert "paste" in outcome.stdout


def test_nothing_to_correlate(fusion, tmp_path):
    pair = shifted_pair(tmp_path, (0.0, 0.0))
    flat = replace(pair, ms=rewritten(pair.ms, "flat.tif", np.full((4, 128, 144), 500, "float32")))
    assert_only_noted(fusion("align", *flat.flags))
    before = listing(tmp_path)
    outcome = fusion("align", *flat.flags, "--correct", "-o", tmp_path / "aligned.tif")
    assert_refused(outcome, 3, "the shift between MS and PAN cannot be measured", "larger scene")
    outcome = fusion("pansharpen", *flat.flags, "--coregister", "-o", tmp_path / "fused.tif")
    assert_refused(outcome, 3, "the shift between MS and PAN cannot be measured", "larger scene")
    assert listing(tmp_path) == before


def test_too_small_to_correlate(make_pair, fusion):
    assert_only_noted(fusion("align", *make_pair(shape=(8, 8)).flags))


@pytest.mark.parametrize("seed", [9, 10, 11])
def test_unlike_pictures_are_no_shift(fusion, tmp_path, seed):
    """PAN of another place: no figure at all is better than a wrong one."""
    pair = shifted_pair(tmp_path, (0.0, 0.0))
    other = rewritten(pair.pan, "other.tif", smooth_scene(1, 512, 576, seed=seed).astype("float32"))
    outcome = fusion("align", *replace(pair, pan=other).flags, "--json")
    assert outcome.json["shift_px"] is None
    assert "cannot be measured" in outcome.stderr
    outcome = fusion("pansharpen", *replace(pair, pan=other).flags, "--coregister", "--dry-run")
    assert_refused(outcome, 3, "the shift between MS and PAN cannot be measured", "the same scene")
