"""A run that was cut off anywhere ends with the very bytes of one that was not."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_runs import CrashError, Witness, request, settings, write_patches

from fusioncli.errors import DataError
from fusioncli.workflows.train.events import Progressed, Started, Validated
from fusioncli.workflows.train.launch import train

AVERAGED = {"training__ema_decay": 0.9, "training__steps": 40}


@pytest.fixture
def patches(tmp_path):
    write_patches(tmp_path / "train.h5")
    write_patches(tmp_path / "validation.h5", count=3, seed=1)
    return tmp_path


@pytest.mark.parametrize("step", [8, 20, 40])
def test_a_crash_costs_nothing_but_time(patches, one_thread, step):
    whole = train(request(patches, "whole", **AVERAGED), Witness())
    with pytest.raises(CrashError):
        train(request(patches, **AVERAGED), Witness(lambda event: getattr(event, "step", 0) == step))
    witness = Witness()
    resumed = train(request(patches, **AVERAGED), witness)
    assert resumed.resumed_from == witness.of(Started)[0].step > 0
    assert resumed.path.read_bytes() == whole.path.read_bytes()
    assert steps_logged(patches / "run") == steps_logged(patches / "whole")


def test_kill_9(patches):
    """A process of its own, killed without warning somewhere between two checkpoints."""
    long = {"training__steps": 3000, "checkpoint__every_steps": 3, "validation__every_steps": 100}
    arguments = [f"--set={text}" for text in settings(patches, **long)]
    program = "import sys; from fusioncli.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "train", "pnn-small", "-o", str(patches / "run"), "--device", "cpu"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list((patches / "run" / "checkpoints").glob("step-*.pt"))) == 2)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = max(int(path.stem[5:]) for path in (patches / "run" / "checkpoints").glob("step-*.pt"))
    witness = Witness(lambda event: isinstance(event, Validated))
    with pytest.raises(CrashError):
        train(request(patches, **long), witness)
    assert witness.of(Started)[0].step == reached < 100
    whole = Witness(lambda event: isinstance(event, Validated))
    with pytest.raises(CrashError):
        train(request(patches, "whole", **long), whole)
    assert witness.of(Validated) == whole.of(Validated)
    ours, theirs = (patches / name / "weights.safetensors" for name in ("run", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert not list((patches / "run" / "checkpoints").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_a_checkpoint(patches, one_thread, number):
    whole = train(request(patches, "whole", **AVERAGED), Witness())

    def interrupt(event):
        if isinstance(event, Progressed) and event.step == 20:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(request(patches, checkpoint__every_steps=1000, **AVERAGED), interrupt)
    assert signal.getsignal(number) is before
    assert [path.name for path in (patches / "run" / "checkpoints").iterdir()] == ["step-00000020.pt"]
    resumed = train(request(patches, checkpoint__every_steps=1000, **AVERAGED), Witness())
    assert resumed.resumed_from == 20 and resumed.path.read_bytes() == whole.path.read_bytes()


def test_a_damaged_checkpoint_gives_way_to_the_one_before(patches, one_thread):
    whole = train(request(patches), Witness())
    newest = sorted((patches / "run" / "checkpoints").glob("*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = train(request(patches), Witness())
    assert resumed.resumed_from == 10 and resumed.sha256 == whole.sha256


def test_a_finished_run_is_not_repeated(patches, one_thread):
    first, witness = train(request(patches), Witness()), Witness()
    again = train(request(patches), witness)
    assert again.resumed_from == again.step == 12 and again.sha256 == first.sha256
    assert not witness.of(Progressed)


def test_no_resume_starts_afresh(patches, one_thread):
    train(request(patches), Witness())
    other = train(request(patches, resume=False, training__seed=3), Witness())
    assert other.resumed_from == 0


OTHERS = {
    "recipe": {"optimiser__learning_rate": 5e-4},
    "network": {"model__options__widths": [7]},
    "data": {"data__validation": "train.h5"},
}


@pytest.mark.parametrize("what", OTHERS)
def test_checkpoints_of_another_run_are_refused(patches, one_thread, what, monkeypatch):
    monkeypatch.chdir(patches)
    train(request(patches), Witness())
    with pytest.raises(DataError, match="another recipe") as caught:
        train(request(patches, **OTHERS[what]), Witness())
    assert "--no-resume" in caught.value.hint


def test_changed_patches_are_refused(patches, one_thread):
    train(request(patches), Witness())
    write_patches(patches / "train.h5", seed=5)
    with pytest.raises(DataError, match="another training data"):
        train(request(patches), Witness())


def test_foreign_weights_are_not_overwritten(patches, one_thread):
    (patches / "run").mkdir()
    (patches / "run" / "weights.safetensors").write_bytes(b"precious")
    with pytest.raises(DataError, match="exists already"):
        train(request(patches), Witness())
    assert (patches / "run" / "weights.safetensors").read_bytes() == b"precious"


def test_more_or_less_frequent_checkpoints_are_the_same_run(patches, one_thread):
    with pytest.raises(CrashError):
        train(request(patches), Witness(lambda event: getattr(event, "step", 0) == 8))
    assert train(request(patches, checkpoint__every_steps=2), Witness()).resumed_from == 5


def steps_logged(folder: Path):
    with (folder / "log.csv").open() as file:
        return [(row["step"], row["ERGAS"]) for row in csv.DictReader(file)]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
