"""A run in stages: each starts from the one before, and a cut anywhere costs nothing but time."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest
from training_runs import CrashError, Witness, request, staged, write_patches

from fusioncli.config.load import load_stages
from fusioncli.errors import DataError, UsageError
from fusioncli.io.weights import file_sha256, read_header
from fusioncli.workflows.train.events import Progressed, Size, Started, Validated
from fusioncli.workflows.train.launch import train
from fusioncli.workflows.train.request import TrainRequest
from fusioncli.workflows.train.stages import train_stages

PROGRAM = """
import sys
from fusioncli.cli.main import main
from fusioncli.workflows.train import world
world.available_cores = lambda: 1
sys.exit(main(sys.argv[1:]))
"""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def patches(tmp_path):
    write_patches(tmp_path / "train.h5")
    write_patches(tmp_path / "validation.h5", count=3, seed=1)
    return tmp_path


def run(folder, name="run", witness=None, only=None, resume=True, **changed):
    witness = Witness() if witness is None else witness
    recipes = staged(folder, **changed)
    return train_stages(recipes, TrainRequest(recipes[0], folder / name, 1, "cpu", resume), witness, only)


def weights(folder, name="run"):
    return [(folder / name / stage / "weights.safetensors").read_bytes() for stage in ("coarse", "fine")]


def test_each_stage_is_an_ordinary_run_from_the_weights_before(patches):
    witness = Witness()
    report = run(patches, witness=witness)
    assert report.path == patches / "run" / "fine" / "weights.safetensors" and report.step == 9
    assert [(event.stage, event.steps) for event in witness.of(Started)] == [("coarse", 12), ("fine", 9)]
    coarse, fine = staged(patches)
    first = train(TrainRequest(coarse, patches / "a", 1, "cpu"), Witness())
    second = fine.model_copy(update={"start": fine.start.model_copy(update={"weights": str(first.path)})})
    train(TrainRequest(second, patches / "b", 1, "cpu"), Witness())
    assert weights(patches) == [(patches / name / "weights.safetensors").read_bytes() for name in ("a", "b")]
    alone = train(TrainRequest(fine, patches / "c", 1, "cpu"), Witness())
    assert alone.path.read_bytes() != weights(patches)[1]


def test_what_a_stage_leaves(patches):
    run(patches)
    coarse, fine = (patches / "run" / stage for stage in ("coarse", "fine"))
    digest = file_sha256(coarse / "weights.safetensors")
    identity = read_header(fine / "weights.safetensors").identity
    assert identity.stage == "fine" and identity.start["weights"].sha256 == digest
    before = read_header(coarse / "weights.safetensors").identity
    assert (before.stage, before.start) == ("coarse", {}) and '"start"' not in before.to_json()
    facts = json.loads((fine / "run.json").read_text())
    assert facts["start"] == {"weights": {"name": "weights.safetensors", "sha256": digest}}
    assert facts["parameters"] == {"trainable": 976, "parameters": 976}  # (5·5·5 + 1)·6 + (6·3·3 + 1)·4 = 756 + 220
    assert load_stages(patches / "run" / "recipe.toml") == staged(patches)
    (again,) = load_stages(fine / "recipe.toml")
    assert again.stage == "fine" and again.start.weights == str(coarse / "weights.safetensors")


def at(stage, step):
    """True of the first event of a stage at some step, but for its start."""
    seen = []

    def fatal(event):
        if isinstance(event, Started):
            seen.append(event.stage)
        return seen[-1:] == [stage] and isinstance(event, Progressed | Validated) and event.step == step

    return fatal


@pytest.mark.parametrize(("stage", "step"), [("coarse", 8), ("coarse", 12), ("fine", 4), ("fine", 9)])
def test_a_crash_costs_nothing_but_time(patches, stage, step):
    run(patches, "whole")
    with pytest.raises(CrashError):
        run(patches, witness=Witness(at(stage, step)))
    report = run(patches)
    assert weights(patches) == weights(patches, "whole") and report.step == 9


def test_a_crash_between_stages(patches):
    run(patches, "whole")
    with pytest.raises(CrashError):
        run(patches, witness=Witness(lambda event: isinstance(event, Started) and event.stage == "fine"))
    witness = Witness()
    run(patches, witness=witness)
    assert weights(patches) == weights(patches, "whole")
    assert [event.step for event in witness.of(Started)] == [12, 0]


def test_kill_9_in_the_second_stage(patches):
    long = {"checkpoint__every_steps": 3, "validation__every_steps": 50}
    staged(patches, **long)
    flags = ["-o", str(patches / "run"), "--device", "cpu", "--set", "stages.fine.training.steps=150"]
    command = [sys.executable, "-c", PROGRAM, "train", str(patches / "staged.toml"), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list((patches / "run" / "fine" / "checkpoints").glob("step-*.pt")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    recipes = load_stages(patches / "staged.toml", ["stages.fine.training.steps=150"])
    witness = Witness()
    for name in ("run", "whole"):
        train_stages(recipes, TrainRequest(recipes[0], patches / name, 1, "cpu"), witness)
    starts = [event.step for event in witness.of(Started)]
    assert starts[0] == 12 and 0 < starts[1] < 150 and starts[2:] == [0, 0]
    assert weights(patches) == weights(patches, "whole")


def test_finished_stages_are_skipped(patches):
    first, witness = run(patches), Witness()
    again = run(patches, witness=witness)
    assert again.sha256 == first.sha256 and again.resumed_from == 9 and not witness.of(Progressed)


def test_a_moved_folder_is_the_same_run(patches):
    run(patches)
    (patches / "run").rename(patches / "moved")
    witness = Witness()
    run(patches, "moved", witness)
    assert not witness.of(Progressed)


def test_no_resume_starts_all_stages_afresh(patches):
    run(patches)
    witness = Witness()
    run(patches, witness=witness, resume=False, training__seed=4)
    assert [event.step for event in witness.of(Started)] == [0, 0]


def test_one_stage_alone(patches):
    run(patches, "whole")
    with pytest.raises(DataError, match=r"stage fine starts from the weights of the stage before, and .*coarse") as no:
        run(patches, only="fine")
    assert "without --stage" in no.value.hint and not (patches / "run").exists()
    first = run(patches, only="coarse")
    assert first.path.parent.name == "coarse" and not (patches / "run" / "fine").exists()
    run(patches, only="fine")
    assert weights(patches) == weights(patches, "whole")
    with pytest.raises(UsageError, match="no stage finer") as unknown:
        run(patches, only="finer")
    assert "coarse, fine" in unknown.value.hint
    with pytest.raises(UsageError, match="no stage x") as unknown:
        train_stages([request(patches).recipe], request(patches), Witness(), "x")
    assert "has no stage" in unknown.value.hint


def test_one_stage_from_other_weights(patches):
    run(patches, "other", training__seed=5)
    given = {"start__weights": str(patches / "other" / "coarse" / "weights.safetensors")}
    report = run(patches, only="fine", **given)
    digest = file_sha256(patches / "other" / "coarse" / "weights.safetensors")
    assert read_header(report.path).identity.start["weights"].sha256 == digest


def test_another_first_stage_makes_another_second(patches):
    run(patches)
    run(patches, only="coarse", resume=False)
    run(patches)  # the same again
    changed = staged(patches, optimiser__weight_decay=0.1)
    whole = TrainRequest(changed[0], patches / "run", 1, "cpu", False)
    train_stages(changed, whole, Witness(), "coarse")
    with pytest.raises(DataError, match="another recipe"):
        train_stages(changed, dataclasses.replace(whole, resume=True), Witness())


def test_weights_of_another_shape_are_refused(patches):
    run(patches, "narrow")
    narrow = str(patches / "narrow" / "coarse" / "weights.safetensors")
    with pytest.raises(DataError, match=r"layers\.0\.weight \(6x5x5x5, not 7x5x5x5\)"):
        run(patches, start__weights=narrow, model__options__widths=[7])
    with pytest.raises(DataError, match="cannot be read"):
        run(patches, start__weights=str(patches / "nowhere.safetensors"))


def test_size_is_told(patches):
    witness = Witness()
    assert run(patches, witness=witness, only="coarse").size == witness.of(Started)[0].size == Size(976, 976)


def test_command_line(fusion, patches, monkeypatch):
    monkeypatch.chdir(patches)
    staged(patches)
    outcome = fusion("train", "staged.toml", "--device", "cpu")
    assert (outcome.code, outcome.last_line) == (0, "runs/pnn-small/fine/weights.safetensors")
    notes = [line for line in outcome.stderr.splitlines() if line.startswith("note: ")]
    assert notes[0].startswith("note: stage coarse: 976 of 976 parameters learn, on CPU, from step 0 of 12")
    assert notes[2].startswith("note: 4 tensors from runs/pnn-small/coarse/weights.safetensors")
    again = fusion("train", "staged.toml", "--device", "cpu", "--json")
    assert again.json["trainable"] == again.json["parameters"] == 976
    assert fusion("train", "staged.toml", "--stage", "fin").code == 2
    assert fusion("train", "staged.toml", "--stage", "fine", "-o", "elsewhere").code == 3
    assert fusion("recipes", "check", "staged.toml").code == 0
    shown = fusion("recipes", "show", "staged.toml")
    assert '[[stages]]\nname = "coarse"' in shown.stdout
