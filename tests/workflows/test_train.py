"""Training: it learns, it repeats itself, and what it leaves behind is enough to do so."""

import csv
import json
import tomllib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_runs import VALUE_MAX, Witness, request, write_patches

from fusioncli.config.load import load_recipe
from fusioncli.errors import DataError, UsageError
from fusioncli.io.weights import read_header
from fusioncli.metrics.ergas import Ergas
from fusioncli.metrics.sam import Sam
from fusioncli.models.trained import trained
from fusioncli.models.weights import load_weights
from fusioncli.workflows.train.events import Progressed, Started, Validated
from fusioncli.workflows.train.launch import train
from fusioncli.workflows.train.request import TrainRequest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def patches(tmp_path):
    write_patches(tmp_path / "train.h5")
    write_patches(tmp_path / "validation.h5", count=5, seed=1)
    return tmp_path


def test_training_learns_and_reports(patches):
    witness = Witness()
    report = train(
        request(patches, training__steps=60, validation__every_steps=20, optimiser__learning_rate=0.005), witness
    )
    assert [event.step for event in witness.of(Started)] == [0]
    validated = witness.of(Validated)
    assert [event.step for event in validated] == [20, 40, 60]
    assert validated[-1].figures["ERGAS"] < 0.7 * validated[0].figures["ERGAS"]
    losses = [event.loss for event in witness.of(Progressed)]
    assert losses[-1] < losses[0]
    best = min(validated, key=lambda event: event.figures["ERGAS"])
    assert report.figures == best.figures and report.step == 60


def test_weights_say_what_they_are(patches):
    report = train(request(patches), Witness())
    identity = read_header(report.path).identity
    assert (identity.arch, identity.bands, identity.ratio, identity.sensor) == ("pnn", 4, 4, "QB")
    assert (identity.value_max, identity.upsampler, identity.recipe) == (VALUE_MAX, "lanczos", "pnn-small")
    assert (identity.licence, identity.metrics) == ("CC0-1.0", dict(report.figures))


def test_validation_figures_are_those_of_the_indices(patches):
    """Recomputed from the weights' file, patch by patch, in double precision."""
    images = write_patches(patches / "validation.h5", count=5, seed=1)
    report = train(request(patches), Witness())
    network = trained(load_weights(report.path)).network.double()
    sam, ergas = [], []
    for number in range(5):
        one = {name: torch.from_numpy(image[number : number + 1].astype(float)) for name, image in images.items()}
        fused = network(*(one[name] / VALUE_MAX for name in ("ms", "lms", "pan"))) * VALUE_MAX
        sam.append(Sam().update(one["gt"], fused).compute())
        ergas.append(Ergas(4).update(one["gt"], fused).compute())
    assert report.figures == pytest.approx({"SAM": np.mean(sam), "ERGAS": np.mean(ergas)}, rel=1e-4)


def test_equal_runs_give_equal_files(patches):
    first = train(request(patches, "one", training__ema_decay=0.9), Witness())
    second = train(request(patches, "two", training__ema_decay=0.9), Witness())
    other = train(request(patches, "three", training__ema_decay=0.9, training__seed=1), Witness())
    assert first.path.read_bytes() == second.path.read_bytes() != other.path.read_bytes()


def test_the_resolved_recipe_repeats_the_run(patches):
    report = train(request(patches), Witness())
    again = load_recipe(report.path.parent / "recipe.toml")
    repeated = train(TrainRequest(again, patches / "again", 1, "cpu"), Witness())
    assert repeated.sha256 == report.sha256


def test_records(patches):
    report = train(request(patches), Witness())
    folder = report.path.parent
    run = json.loads((folder / "run.json").read_text())
    assert run["result"]["sha256"] == report.sha256
    assert run["recipe"] == tomllib.loads((folder / "recipe.toml").read_text())
    assert run["data"]["train"]["patches"] == 10 and len(run["data"]["train"]["sha256"]) == 64
    assert run["versions"].keys() >= {"fusioncli", "torch"} and run["command"] and run["device"] == "CPU"
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["loss"]] == [4, 5, 8, 10, 12]
    assert [int(row["step"]) for row in rows if row["ERGAS"]] == [4, 8, 12]


def test_accumulated_passes_equal_one_large_batch(patches):
    whole = train(request(patches, "whole", data__batch_size=8), Witness())
    halves = train(request(patches, "halves", data__batch_size=4, training__accumulate=2), Witness())
    assert_close(load_file(whole.path), load_file(halves.path), 1e-6)


def test_gradient_checkpointing_changes_nothing(patches):
    plain = train(request(patches, "plain"), Witness())
    thrifty = train(request(patches, "thrifty", training__gradient_checkpointing=True), Witness())
    assert_close(load_file(plain.path), load_file(thrifty.path), 1e-7)


def test_deterministic_mode_and_bf16_run(patches):
    changed = {"training__deterministic": True, "training__precision": "bf16", "optimiser__clip_norm": 0.5}
    report = train(request(patches, **changed), Witness())
    assert report.step == 12 and not torch.are_deterministic_algorithms_enabled()


def test_early_stop(patches):
    """At a rate of almost nothing no validation after the first is better."""
    witness = Witness()
    changed = {"training__early_stop": 2, "training__steps": 100, "optimiser__learning_rate": 1e-30}
    report = train(request(patches, **changed), witness)
    assert report.step == 12 and [event.best for event in witness.of(Validated)] == [True, False, False]


SPOILED = {
    "value_max": ({"value_max": 500}, {}, "more than value_max 500", DataError),
    "unstated": ({"value_max": None}, {}, "states value_max", UsageError),
    "bands": ({"bands": 8}, {}, "has 8 bands, the recipe's model.bands is 4", DataError),
    "ratio": ({"ratio": 2}, {}, "expected 1 x 32 x 32|expected 4 x 64 x 64", DataError),
    "nan": ({"gt": np.full((10, 4, 32, 32), np.nan, np.float32)}, {}, "holds NaN", DataError),
    "small": ({"side_px": 8}, {}, "data.patch_px is 16", DataError),
    "missing": ({}, {"data__train": "nowhere.h5"}, "no such file", DataError),
}


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_patches_are_refused(case, patches):
    spoiled, changed, message, kind = SPOILED[case]
    write_patches(patches / "train.h5", **spoiled)
    with pytest.raises(kind, match=message) as caught:
        train(request(patches, **changed), Witness())
    assert caught.value.hint
    assert not (patches / "run").exists()


def test_training_and_validation_must_agree(patches):
    write_patches(patches / "validation.h5", value_max=4095)
    with pytest.raises(DataError, match=r"2047.*4095"):
        train(request(patches), Witness())


def test_divergence_is_an_error(patches, monkeypatch):
    monkeypatch.setattr("fusioncli.workflows.train.learner.learning_rate", lambda recipe, step: 1e30)
    with pytest.raises(DataError, match="diverged"):
        train(request(patches), Witness())
    assert not list((patches / "run" / "checkpoints").glob("*.pt"))


def assert_close(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert (tensor - theirs[name]).abs().max() <= tolerance, name
