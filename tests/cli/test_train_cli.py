"""`fusion train` from the command line: what it prints, what it refuses, and what its weights are good for."""

import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
import rasterio
from training_runs import settings, write_patches

from fusioncli.cli.main import main

PROGRAM = "import sys; from fusioncli.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def patches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fusioncli.workflows.train.world.available_cores", lambda: 1)  # tensors are small
    write_patches(tmp_path / "train.h5")
    write_patches(tmp_path / "validation.h5", count=3, seed=1)
    return tmp_path


def overrides(folder, **changed):
    return [f"--set={text}" for text in settings(folder, **changed)]


def test_the_last_line_is_the_path_of_the_weights(fusion, patches):
    outcome = fusion("train", "pnn-small", *overrides(patches), "--device", "cpu")
    assert (outcome.code, outcome.last_line) == (0, "runs/pnn-small/weights.safetensors")
    validated = [line for line in outcome.stderr.splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in validated] == ["4", "8", "12"]
    assert "ERGAS" in validated[0] and validated[0].endswith("best")
    again = fusion("train", "pnn-small", *overrides(patches), "--device", "cpu")
    assert again.code == 0 and "complete already" in again.stderr


def test_json_and_flags(fusion, patches):
    outcome = fusion("train", "pnn-small", *overrides(patches), "--steps", 6, "-o", "out", "--json", "-q")
    assert outcome.stderr == ""
    facts = outcome.json
    assert (facts["output"], facts["step"], facts["resumed_from"]) == ("out/weights.safetensors", 6, 0)
    assert facts["metrics"].keys() == {"SAM", "ERGAS"}
    assert tomllib.loads((patches / "out" / "recipe.toml").read_text())["training"]["steps"] == 6


def test_a_wrong_recipe_is_usage(fusion, patches):
    outcome = fusion("train", "pnn-small", "--set", "training.stepz=3", "--set", "loss=l3")
    assert outcome.code == 2
    assert "did you mean steps?" in outcome.stderr and "loss" in outcome.stderr
    assert fusion("train", "pnn-smal").code == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data.train": "nowhere.h5"}, "no such file"),
        ({"model.bands": 8}, "has 4 bands"),
        ({"data.value_max": 100}, "more than value_max 100"),
        ({"data.patch_px": 64}, "data.patch_px is 64"),
    ],
)
def test_unfit_data(fusion, patches, changed, message):
    outcome = fusion("train", "pnn-small", *overrides(patches, **changed))
    assert outcome.code == 3
    assert message in outcome.stderr and "hint: " in outcome.stderr


def test_another_recipe_in_the_same_folder(fusion, patches):
    assert fusion("train", "pnn-small", *overrides(patches), "-o", "run").code == 0
    other = [*overrides(patches), "--set", "optimiser.learning_rate=1e-4", "-o", "run"]
    refused = fusion("train", "pnn-small", *other)
    assert refused.code == 3 and "another recipe" in refused.stderr and "--no-resume" in refused.stderr
    assert fusion("train", "pnn-small", *other, "--no-resume").code == 0


def test_ctrl_c_leaves_130_and_a_checkpoint(patches):
    changed = {"training.steps": 100000, "checkpoint.every_steps": 50000, "validation.every_steps": 100000}
    command = [sys.executable, "-c", PROGRAM, "train", "pnn-small", "-o", "run", *overrides(patches, **changed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log, end = patches / "run" / "log.csv", time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") > 2):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and "resumes" in stderr
    assert len(list((patches / "run" / "checkpoints").glob("step-*.pt"))) == 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_patches(folder / "train.h5")
    write_patches(folder / "validation.h5", count=3, seed=1)
    arguments = [*overrides(folder, **{"training.steps": 40}), "-o", str(folder / "run"), "--device", "cpu"]
    assert main(["train", "pnn-small", *arguments]) == 0
    return folder


@pytest.fixture
def weights(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return trained / "run" / "weights.safetensors"


def test_the_weights_fuse_a_scene(fusion, make_pair, weights):
    pair = make_pair()
    whole = fusion("pansharpen", *pair.flags, "--method", "pnn", "--weights", weights, "-o", "pnn.tif")
    assert whole.code == 0, whole.stderr
    assert fusion("pansharpen", *pair.flags, "--weights", weights, "-o", "parts.tif", "--part-size", 256).code == 0
    assert fusion("pansharpen", *pair.flags, "--method", "exp", "-o", "exp.tif").code == 0
    images = {}
    for name in ("pnn", "parts", "exp"):
        with rasterio.open(f"{name}.tif") as dataset:
            images[name], tags = dataset.read().astype(float), dataset.tags()
            if name == "pnn":
                assert (tags["FUSION_METHOD"], tags["FUSION_UPSAMPLER"]) == ("pnn", "lanczos")
                assert tags["FUSION_WEIGHTS"].startswith("weights.safetensors sha256:")
    assert np.array_equal(images["pnn"], images["parts"])
    assert 0 < np.abs(images["pnn"] - images["exp"]).max() < 2047


@pytest.mark.parametrize("place", [(), ("--reduced-res",)])
def test_the_weights_are_evaluated(fusion, make_pair, trained, weights, place):
    """As a method among others: on a pair, and on patches."""
    patches = ["--data", trained / "validation.h5", "--protocol", "centred"]
    inputs = [*place, *make_pair().flags] if place else patches
    outcome = fusion("eval", *inputs, "--method", "exp", "--method", weights, "--json")
    assert outcome.code == 0, outcome.stderr
    assert str(weights) in outcome.stdout


def test_weights_and_scene_must_fit(fusion, make_pair, weights):
    flags = make_pair(bands=3).flags
    outcome = fusion("pansharpen", *flags, "--weights", weights, "-o", "out.tif")
    assert outcome.code == 3 and "bands 4, the scene has bands 3" in outcome.stderr
    flags = make_pair(ratio=2).flags
    assert "ratio 4, the scene has ratio 2" in fusion("pansharpen", *flags, "--weights", weights, "-o", "o.tif").stderr


def test_weights_of_another_sensor(fusion, make_pair, weights):
    flags = [*make_pair().flags, "--weights", weights, "-o", "out.tif"]
    refused = fusion("pansharpen", *flags, "--sensor", "GE1")
    assert refused.code == 3 and "trained for QB, the scene is of GE1" in refused.stderr
    assert fusion("pansharpen", *flags, "--sensor", "QB").code == 0


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--method", "pnn"], 2, "needs weights"),
        (["--method", "gsa", "--weights", "WEIGHTS"], 2, "gsa takes no weights"),
        (["--weights", "weights.pth"], 2, "takes a file .safetensors"),
        (["--weights", "nowhere.safetensors"], 3, "nowhere.safetensors"),
    ],
)
def test_weights_that_do_not_go_with_the_method(fusion, make_pair, weights, flags, code, message):
    flags = [weights if flag == "WEIGHTS" else flag for flag in flags]
    outcome = fusion("pansharpen", *make_pair().flags, *flags, "-o", "out.tif")
    assert outcome.code == code and message in outcome.stderr and "hint: " in outcome.stderr
