"""`fusion hsi-fuse` on pairs that lie apart or are blurred in a way of their own: what it says, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from blurred_cubes import cube_of, ground, guide_of, noisy
from conftest import Outcome, write_raster
from raster_files import samples_of
from refusals import assert_refused, listing

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

FINE = Affine(10, 0, 500000.0, 0, -10, 5700000.0)
RATIO, CELLS = 4, (36, 40)
FOUND = re.compile(
    r"^note: HSI against MSI: to be moved by (\S+) rows and (\S+) columns of MSI px, MTF gain at Nyquist (\S+) "
    r"\((.*)\), (\S+)% of MSI explained$",
    re.M,
)
APART = re.compile(r"^note: HSI and MSI contents are (\S+) MSI px apart, more than 0.5; consider --coregister$", re.M)
Fusion = Callable[..., Outcome]


def truth() -> np.ndarray:
    return ground(CELLS[0] * RATIO, CELLS[1] * RATIO)


def pair(folder: Path, gain: float, shift_px: tuple[float, float], guide: np.ndarray | None = None) -> list[str]:
    """Flags of a pair with noise of 1 %."""
    guide = guide_of(truth()) if guide is None else guide
    images = [
        noisy(image, 0.01, n).astype("float32")
        for n, image in enumerate((cube_of(truth(), RATIO, gain, shift_px), guide))
    ]
    hsi = write_raster(folder / "hsi.tif", images[0], FINE @ Affine.scale(RATIO))
    return ["--hsi", str(hsi), "--msi", str(write_raster(folder / "msi.tif", images[1], FINE))]


def error(path: Path) -> float:
    """Root mean square difference from the truth, away from the edges; wherever the result begins."""
    with rasterio.open(path) as dataset:
        col, row = (round(value) for value in ~FINE @ dataset.transform @ (0, 0))
    result = samples_of(path)
    height, width = result.shape[1:]
    difference = result - truth()[:, row : row + height, col : col + width]
    return float(np.sqrt(np.nanmean(difference[:, 16:-16, 16:-16] ** 2)))


@pytest.mark.parametrize("shift_px", [(0.1, -0.2), (1.4, -0.7)])
def test_shift_and_gain_are_told(fusion: Fusion, tmp_path: Path, shift_px: tuple[float, float]) -> None:
    flags = pair(tmp_path, 0.2, shift_px)
    outcome = fusion("hsi-fuse", *flags, "-o", tmp_path / "fused.tif", "--json", "--dry-run")
    assert outcome.code == 0, outcome.stderr
    found = FOUND.findall(outcome.stderr)
    assert len(found) == 1
    rows, cols, gain, fate, explained = found[0]
    assert (float(rows), float(cols)) == pytest.approx(shift_px, abs=0.05)
    assert float(gain) == pytest.approx(0.2, abs=0.02)
    assert fate == "used instead of 0.30 of GENERIC" and float(explained) > 99
    blur = outcome.json["blur"]
    assert (blur["rows_px"], blur["cols_px"], blur["gain"]) == pytest.approx((*shift_px, 0.2), abs=0.05)
    apart = APART.findall(outcome.stderr)
    if np.hypot(*shift_px) > 0.5:
        assert float(apart[0]) == pytest.approx(np.hypot(*shift_px), abs=0.05)
    else:
        assert not apart
    assert outcome.json["shift_px"] is None  # that is, none was taken out


@pytest.mark.parametrize(("shift_px", "share"), [((1.4, -0.7), 0.2), ((-6.0, 9.0), 0.01)])
def test_coregistration_brings_the_result_closer_to_the_truth(
    fusion: Fusion, tmp_path: Path, shift_px: tuple[float, float], share: float
) -> None:
    """Whole MSI px need no resampling, so that nothing but noise is left; fractions leave what interpolation costs."""
    right = pair(tmp_path, 0.3, (0, 0))
    assert fusion("hsi-fuse", *right, "-o", tmp_path / "right.tif").code == 0
    flags = pair(tmp_path, 0.3, shift_px)
    assert fusion("hsi-fuse", *flags, "-o", tmp_path / "careless.tif").code == 0
    outcome = fusion("hsi-fuse", *flags, "-o", tmp_path / "registered.tif", "--coregister", "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["shift_px"] == pytest.approx(shift_px, abs=0.05)
    assert not APART.search(outcome.stderr)
    careless, registered, best = (error(tmp_path / f"{name}.tif") for name in ("careless", "registered", "right"))
    assert registered - best < share * (careless - best)


def test_the_measured_gain_brings_the_result_closer_to_the_truth(fusion: Fusion, tmp_path: Path) -> None:
    flags = pair(tmp_path, 0.12, (0, 0))
    assert fusion("hsi-fuse", *flags, "-o", tmp_path / "measured.tif").code == 0
    outcome = fusion("hsi-fuse", *flags, "-o", tmp_path / "assumed.tif", "--sensor", "GENERIC")
    assert "(0.30 of GENERIC is used)" in outcome.stderr
    assert error(tmp_path / "measured.tif") < 0.8 * error(tmp_path / "assumed.tif")


def test_what_cannot_be_told(fusion: Fusion, tmp_path: Path) -> None:
    """Other ground: the job goes on with what is known of the sensor, but not with a shift that nobody has measured."""
    other = guide_of(ground(CELLS[0] * RATIO, CELLS[1] * RATIO, seed=7))
    flags = [*pair(tmp_path, 0.3, (0, 0), other), "-o", tmp_path / "fused.tif"]
    before = listing(tmp_path)
    outcome = fusion("hsi-fuse", *flags, "--dry-run", "--json")
    assert (outcome.code, outcome.json["blur"]) == (0, None)
    assert "note: point spread and shift of HSI against MSI cannot be told: too few pixels" in outcome.stderr
    refused = fusion("hsi-fuse", *flags, "--coregister")
    assert_refused(refused, 3, "the shift between HSI and MSI cannot be measured: too few pixels", "larger scene")
    assert listing(tmp_path) == before


def test_a_network_learns_from_the_pair_that_is_fused(
    fusion: Fusion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifts: list[tuple[float, float]] = []
    monkeypatch.setattr(
        "fusioncli.workflows.scene_network.plan_scene_network", lambda job, *_: shifts.append(job.pair.shift_px)
    )
    flags = [*pair(tmp_path, 0.3, (1.4, -0.7)), "-o", tmp_path / "fused.tif", "--dry-run"]
    assert fusion("hsi-fuse", *flags, "--adapt", "--coregister").code == 0
    assert shifts[0] == pytest.approx((1.4, -0.7), abs=0.05)
