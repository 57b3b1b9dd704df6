"""`fusion eval --protocol toolbox` prints the reference toolbox's figures for images that `fusion pansharpen` made."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Pair
from eval_jobs import GOLDEN, full, golden_files, settings, silent
from pytest import approx

from fusioncli.io.scene import PairRequest
from fusioncli.workflows.evaluate.peak import STATED, Peak
from fusioncli.workflows.evaluate.protocol import TOOLBOX
from fusioncli.workflows.evaluate.reference import evaluate_against
from fusioncli.workflows.evaluate.request import ReferenceEvaluation
from fusioncli.workflows.fuse import run_fusion
from fusioncli.workflows.memory import Resources
from fusioncli.workflows.plan import plan_fusion
from fusioncli.workflows.requests import FuseRequest, MethodRequest, OutputRequest

ELEVEN_BIT = settings(TOOLBOX, peak=Peak(2047, STATED))


@pytest.fixture(scope="module", params=["qb", "wv3"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Name, truth, pair and a fused file per method."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    truth, pair = golden_files(folder, name)
    return name, truth, pair, {method: _fuse(pair, method, name) for method in GOLDEN[name]["methods"]}


def _fuse(pair: Pair, method: str, name: str) -> Path:
    plan = plan_fusion(
        FuseRequest(
            PairRequest((str(pair.ms),), str(pair.pan)),
            OutputRequest(pair.ms.parent / f"{method}.tif", dtype="float64", cog=False),
            MethodRequest(method, GOLDEN[name]["sensor"], "interp23tap"),
            Resources(2, 1400, "cpu"),
        )
    )
    return run_fusion(plan, silent).path


@pytest.mark.parametrize("border_px", [0, 21])
def test_figures_against_the_truth(scene, border_px: int) -> None:
    name, truth, _, fused = scene
    how = settings(TOOLBOX, peak=ELEVEN_BIT.peak, border_px=border_px)
    report = evaluate_against(ReferenceEvaluation(str(truth), tuple(map(str, fused.values())), 4, settings=how), silent)
    for method, path in fused.items():
        for index, golden in GOLDEN[name]["methods"][method][f"border_{border_px}"].items():
            assert report.rows[str(path)].values[index] == approx(golden, rel=1e-8), (method, index)


def test_figures_without_reference(scene) -> None:
    name, _, pair, fused = scene
    report = full(pair, ELEVEN_BIT, fused=tuple(fused.values()), sensor=GOLDEN[name]["sensor"])
    for method, path in fused.items():
        for index, golden in GOLDEN[name]["methods"][method]["full"].items():
            value = report.rows[str(path)].values[index]
            assert value == approx(golden, rel=1e-8, abs=2e-6 if index == "D_rho" else 1e-8), (method, index)


def test_methods_are_fused_on_the_spot_alike(scene) -> None:
    name, _, pair, fused = scene
    made = full(pair, ELEVEN_BIT, "gsa", "bdsd-pc", sensor=GOLDEN[name]["sensor"]).rows
    given = full(pair, ELEVEN_BIT, fused=(fused["gsa"], fused["bdsd-pc"]), sensor=GOLDEN[name]["sensor"]).rows
    assert list(made) == ["gsa", "bdsd-pc"]
    for one, other in zip(made.values(), given.values(), strict=True):
        assert one.values == approx(other.values, rel=1e-12, abs=1e-12)


def test_toolbox_border_is_that_of_matlab() -> None:
    """x(21:end-21) of 256 px leaves 215, one more at the start than at the end."""
    frame = TOOLBOX.frame(256, 256, 21)
    assert (frame.row0, frame.row1) == (20, 235)
    assert TOOLBOX.frame(256, 256, 0).height == 256
    assert ELEVEN_BIT.border(with_reference=True) == 21
    assert ELEVEN_BIT.border(with_reference=False) == 0
