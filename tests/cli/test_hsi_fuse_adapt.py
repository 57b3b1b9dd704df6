"""`fusion hsi-fuse --adapt`: it learns, takes the better one, the same again, and refuses what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import Outcome, smooth_scene, write_raster
from raster_files import samples_of
from refusals import assert_refused
from training_runs import Witness

from fusioncli.io.scene import PairRequest
from fusioncli.io.weights import read_header
from fusioncli.workflows import scene_network
from fusioncli.workflows.finetune_request import Effort
from fusioncli.workflows.memory import Resources
from fusioncli.workflows.requests import FuseRequest, OutputRequest
from fusioncli.workflows.scene_network import plan_scene_network
from fusioncli.workflows.selfcheck import Score
from fusioncli.workflows.train.events import Validated

FINE = Affine(10, 0, 500000.0, 0, -10, 5700000.0)
BANDS, RATIO = 18, 2
ADAPT = ["--adapt", "--steps", 20, "--device", "cpu"]
Fusion = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags of a scene of 64 x 24 HSI px, and a network that is small enough for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fusioncli.workflows.train.world.available_cores", lambda: 1)
    monkeypatch.setattr(scene_network, "_PATCH_PX", 16)
    monkeypatch.setattr(scene_network, "_COMPONENTS", 3)
    monkeypatch.setattr(scene_network, "_OPTIONS", {"width": 6, "blocks": 1, "hidden": (8,), "latent": 6})
    fine = smooth_scene(BANDS, 64 * RATIO, 24 * RATIO)
    fine += np.sin(np.arange(BANDS))[:, None, None] * 1.5e-3 * (fine - 600) ** 2  # what no linear method finds
    fine = fine.clip(1)
    hsi = fine.reshape(BANDS, 64, RATIO, 24, RATIO).mean((2, 4))
    write_raster(Path("hsi.tif"), hsi.round().astype("uint16"), FINE @ Affine.scale(RATIO))
    write_raster(Path("msi.tif"), fine[[2, 9, 15]].round().astype("uint16"), FINE)
    return ["--hsi", "hsi.tif", "--msi", "msi.tif"]


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network, which is the last of the models, wins, whatever it has learned."""

    def compare(pair: object, sensor: object, models: dict, within: object) -> list[Score]:
        *methods, network = models
        return [Score(name, float(place), 1.0) for place, name in enumerate((network, *methods))]

    monkeypatch.setattr(scene_network, "compare", compare)


@pytest.fixture
def beaten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network, which is the last of the models, loses, whatever it has learned."""

    def compare(pair: object, sensor: object, models: dict, within: object) -> list[Score]:
        return [Score(name, float(place), 1.0) for place, name in enumerate(models)]

    monkeypatch.setattr(scene_network, "compare", compare)


def fuse(fusion: Fusion, cube: list[str], output: str, *flags: object) -> tuple[np.ndarray, str]:
    outcome = fusion("hsi-fuse", *cube, "-o", output, *flags)
    assert (outcome.code, outcome.last_line) == (0, output), outcome.stderr
    return samples_of(Path(output)), outcome.stderr


def test_it_learns() -> None:
    pair = PairRequest(("hsi.tif",), ("msi.tif",), cube=True)
    job = FuseRequest(pair, OutputRequest(Path("fused.tif")), resources=Resources(1, device="cpu"))
    witness = Witness()
    report = plan_scene_network(job, Effort(60), None).learn(witness)
    first, *later = (event.figures["ERGAS"] for event in witness.of(Validated))
    assert min(later) < first
    assert report.steps == 60 and min(report.patches) > 0
    identity = read_header(report.weights).identity
    assert (identity.arch, identity.bands, identity.guide_bands, identity.ratio) == ("infn", BANDS, 3, RATIO)
    assert identity.arch_config["components"] == 3


@pytest.mark.usefixtures("ahead")
def test_the_network_fuses(fusion: Fusion, cube: list[str], tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    fused, said = fuse(fusion, cube, "fused.tif", *ADAPT, "--save-weights", "kept.safetensors")
    assert {path.name for path in tmp_path.iterdir()} - before == {"fused.tif", "kept.safetensors"}
    assert "on ground that was held out of the training: hyper-" in said and "no better" not in said
    np.testing.assert_array_equal(fuse(fusion, cube, "kept.tif", "--weights", "kept.safetensors")[0], fused)
    assert (fused != fuse(fusion, cube, "linear.tif", "--method", "hyper-lmmse")[0]).mean() > 0.01
    fuse(fusion, cube, "again.tif", *ADAPT, "--save-weights", "again.safetensors")
    assert Path("again.safetensors").read_bytes() == Path("kept.safetensors").read_bytes()


def test_a_better_method_fuses(fusion: Fusion, cube: list[str], beaten: None) -> None:
    fused, said = fuse(fusion, cube, "fused.tif", *ADAPT)
    method = said.split("the network is no better, so the scene is fused with ")[1].split()[0]
    np.testing.assert_array_equal(fuse(fusion, cube, "classical.tif", "--method", method)[0], fused)


@pytest.mark.parametrize("area", ["500000,5699680,500240,5700000", "500000,5699200,500200,5700000"])
def test_a_small_scene_has_nothing_to_measure_on(fusion: Fusion, cube: list[str], area: str) -> None:
    """8 x 6 and 20 x 5 HSI px once degraded: too short, or too narrow, for a strip apart, enough to learn from."""
    bounds = ["--bounds", area]
    fused, said = fuse(fusion, cube, "fused.tif", *ADAPT, *bounds, "--save-weights", "kept.safetensors")
    assert "no room to hold ground out of the training" in said and "than hyper-lmmse" in said
    np.testing.assert_array_equal(fuse(fusion, cube, "kept.tif", *bounds, "--weights", "kept.safetensors")[0], fused)


def test_what_is_unchecked_is_half_believed(fusion: Fusion, cube: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--bounds", "500000,5699680,500240,5700000", "--dtype", "float32"]
    start, _ = fuse(fusion, cube, "start.tif", *flags, "--method", "hyper-lmmse")
    half, said = fuse(fusion, cube, "half.tif", *flags, *ADAPT)
    assert "half of what it learned is used" in said
    monkeypatch.setattr(scene_network, "_BELIEVED_UNCHECKED", 1.0)
    whole, _ = fuse(fusion, cube, "whole.tif", *flags, *ADAPT)
    assert np.abs(whole - start).max() > 0.1
    np.testing.assert_allclose(half - start, (whole - start) / 2, atol=0.01)


def test_a_dry_run_learns_nothing(fusion: Fusion, cube: list[str], tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    assert fusion("hsi-fuse", *cube, "--adapt", "-o", "fused.tif", "--dry-run").code == 0
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("flags", "code", "error"),
    [
        (["--adapt", "--method", "cnmf"], 2, "--adapt trains a network on this scene"),
        (["--adapt", "--weights", "some.safetensors"], 2, "--adapt trains a network on this scene"),
        (["--adapt", "--steps", "5", "--minutes", "1"], 2, "both say how long"),
        (["--steps", "5"], 2, "--steps goes with --adapt"),
        (["--save-weights", "a.safetensors"], 2, "--save-weights goes with --adapt"),
        (["--adapt", "--save-weights", "a.tif"], 2, "--save-weights takes a file .safetensors"),
        (["--adapt", "--save-weights", "old.safetensors"], 3, "old.safetensors exists already"),
        (["--consistency", "1"], 2, "--consistency goes with --adapt"),
    ],
)
def test_refusals(fusion: Fusion, cube: list[str], flags: list[str], code: int, error: str) -> None:
    Path("old.safetensors").touch()
    assert_refused(fusion("hsi-fuse", *cube, *flags, "-o", "fused.tif"), code, error)
    assert not Path("fused.tif").exists()


def test_too_little_memory_for_the_network_is_said_before_it_learns(fusion: Fusion, cube: list[str]) -> None:
    outcome = fusion("hsi-fuse", *cube, "-o", "f.tif", *ADAPT, "--mem-limit", 480)
    assert_refused(outcome, 3, "the job needs about", "--mem-limit")
    assert "step" not in outcome.stderr and not Path("f.tif").exists()
