"""`fusion eval --data`: mean and deviation over samples of what each sample gives by itself."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from eval_jobs import settings, silent
from golden_scenes import RATIO, golden_scene
from pytest import approx
from scipy.io import savemat

from fusioncli.errors import DataError, UsageError
from fusioncli.metrics.suites import SuiteSettings, suite
from fusioncli.ops import toolbox
from fusioncli.workflows.evaluate.patches import evaluate_patches, suites_of
from fusioncli.workflows.evaluate.protocol import TOOLBOX
from fusioncli.workflows.evaluate.request import PatchEvaluation

GAINS = (0.34, 0.32, 0.30, 0.22)
CUT = (..., slice(20, -21), slice(20, -21))


@pytest.fixture(scope="module")
def samples() -> list[dict[str, torch.Tensor]]:
    """Three 96 x 96 pieces of a golden scene, simulated as PanCollection was."""
    gt, pan, _ = golden_scene("qb")
    found = []
    for row, col in ((0, 0), (32, 0), (32, 32)):
        truth = torch.from_numpy(gt[row : row + 96, col : col + 96].transpose(2, 0, 1).astype(float).copy())[None]
        ms = toolbox.mtf_degrade(truth, GAINS, RATIO)
        sharp = torch.from_numpy(pan[None, None, row : row + 96, col : col + 96].astype(float).copy())
        found.append({"gt": truth, "ms": ms, "lms": toolbox.interp23tap(ms, RATIO), "pan": sharp})
    return found


@pytest.fixture
def h5(tmp_path: Path, samples) -> Path:
    with h5py.File(tmp_path / "test_qb_multiExm1.h5", "w") as file:
        for name in samples[0]:
            file[name] = torch.cat([each[name] for each in samples]).numpy()
    return tmp_path / "test_qb_multiExm1.h5"


def run(path: Path, *methods: str, **options):
    how = settings(options.pop("protocol", TOOLBOX), **options.pop("how", {}))
    return evaluate_patches(PatchEvaluation(str(path), methods=methods, settings=how, **options), silent)


def test_mean_and_deviation_over_samples(h5, samples) -> None:
    report = run(h5, "exp", "gsa")
    rows = [
        suite("reduced-resolution", SuiteSettings(4, 2047))
        .update({"reference": each["gt"][CUT], "fused": each["lms"][CUT]})
        .compute()
        for each in samples
    ]
    exp = report.rows["exp"]
    for index, value in exp.values.items():
        column = [row[index] for row in rows]
        assert value == approx(np.mean(column), rel=1e-9), index
        assert exp.spread[index] == approx((np.mean(column), np.std(column, ddof=1)), rel=1e-6), index
    assert report.rows["gsa"].values["ERGAS"] < exp.values["ERGAS"]
    assert report.facts["sensor"] == "QB"
    assert report.facts["samples"] == 3
    assert report.facts["border_px"] == 21
    assert report.facts["data_range"] == 2047


def test_without_truth_or_on_demand(h5, samples) -> None:
    assert suites_of(PatchEvaluation(str(h5))) == ("reduced-resolution",)
    asked = run(h5, "exp", full_resolution=True)
    with h5py.File(h5, "a") as file:
        del file["gt"]
    assert suites_of(PatchEvaluation(str(h5))) == ("full-resolution", "reprojection")
    report = run(h5, "exp")
    assert report.rows == asked.rows
    assert report.facts["border_px"] == 0
    each = samples[0]
    lowered = toolbox.imresize(each["pan"], 1 / 4)
    images = {
        "fused": each["lms"],
        "lms": each["lms"],
        "pan": each["pan"],
        "pan_degraded": toolbox.interp23tap(lowered, 4),
    }
    images["fused_filtered"] = toolbox.mtf_filter(each["lms"], GAINS, 4)
    expected = suite("full-resolution", SuiteSettings(4, 2047)).update(images).compute()
    with h5py.File(h5, "a") as file:
        for name in ("ms", "lms", "pan"):
            first = file[name][:1]
            del file[name]
            file[name] = first
    values = run(h5, "exp").rows["exp"].values
    assert {name: values[name] for name in expected} == approx(expected, rel=1e-9, abs=1e-12)


def test_results_of_a_network(h5, samples, tmp_path: Path) -> None:
    """Matlab files of `sr`, in the natural order of their names."""
    folder = tmp_path / "results"
    folder.mkdir()
    for number, each in enumerate(samples):
        savemat(folder / f"output_mulExm_{number}.mat", {"sr": each["lms"][0].permute(1, 2, 0).numpy()})
    row = run(h5, fused=(str(folder),)).rows[str(folder)]
    assert row.values == approx(run(h5, "exp").rows["exp"].values, rel=1e-9)
    (folder / "output_mulExm_2.mat").unlink()
    with pytest.raises(DataError, match="holds 2 results"):
        run(h5, fused=(str(folder),))
    savemat(folder / "output_mulExm_2.mat", {"sr": np.ones((4, 96, 96))})
    with pytest.raises(DataError, match=r"sr has shape \(96, 4, 96\), the sample \(4, 96, 96\)"):
        run(h5, fused=(str(folder),))


def test_peak_is_stated_not_guessed(h5, tmp_path: Path) -> None:
    nameless = h5.rename(tmp_path / "patches.h5")
    with pytest.raises(UsageError, match="nothing states the peak"):
        run(nameless, "exp")
    with h5py.File(nameless, "a") as file:
        file.attrs["value_max"] = 1023
    with pytest.raises(DataError, match="more than the peak 1023"):
        run(nameless, "exp")
    with h5py.File(nameless, "a") as file:
        del file.attrs["value_max"]
        for name in list(file):
            file[name][...] = file[name][...] / 2047
    unit = nameless.rename(tmp_path / "unit_qb.h5")
    with pytest.raises(DataError, match="not digital numbers") as caught:
        run(unit, "exp")
    assert "--data-range 1 --scale 2047" in caught.value.hint


def test_samples_of_different_kinds(h5, samples, tmp_path: Path) -> None:
    savemat(tmp_path / "z.mat", {"ms": np.ones((24, 24, 8)), "pan": np.ones((96, 96))})
    with pytest.raises(DataError, match="differ in bands or ratio"):
        run(tmp_path, "exp", sensor="QB")


def test_auto_has_no_windows_to_look_at(h5) -> None:
    with pytest.raises(UsageError, match="auto compares methods on windows of a scene"):
        run(h5, "auto")
