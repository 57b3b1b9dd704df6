"""Several processes train the weights that one trains; their errors and signals arrive."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from training_runs import Witness, request, settings, write_patches

from fusioncli.errors import DataError, UsageError
from fusioncli.workflows.train.events import Progressed, Started, Validated
from fusioncli.workflows.train.feed import Feed
from fusioncli.workflows.train.launch import adopt_slurm, first_host, train
from fusioncli.workflows.train.sources import open_training
from fusioncli.workflows.train.world import World

CHANGED = {"training__ema_decay": 0.9, "optimiser__clip_norm": 0.05, "training__accumulate": 2, "data__batch_size": 6}


@pytest.fixture
def patches(tmp_path):
    write_patches(tmp_path / "train.h5")
    write_patches(tmp_path / "validation.h5", count=20, seed=1)
    return tmp_path


def test_two_processes_train_the_weights_of_one(patches):
    one = train(request(patches, "one", **CHANGED), Witness())
    witness = Witness()
    two = train(request(patches, "two", devices=2, **CHANGED), witness)
    ours, theirs = load_file(one.path), load_file(two.path)
    assert all((ours[name] - theirs[name]).abs().max() <= 1e-6 for name in ours)
    assert any(tensor.abs().max() > 0 for name, tensor in ours.items() if name.startswith("layers.1"))
    assert two.figures == pytest.approx(one.figures, rel=1e-4)
    assert witness.of(Started)[0].device == "CPU x 2"
    assert len(witness.of(Validated)) == 3 and witness.of(Progressed)[-1].step == 12


def test_errors_of_a_process_arrive(patches):
    write_patches(patches / "train.h5", bands=8)
    with pytest.raises(DataError, match="has 8 bands") as caught:
        train(request(patches, devices=2), Witness())
    assert caught.value.hint.startswith("--set model.bands=8")


def test_a_batch_must_be_shared_equally(patches):
    recipe = request(patches, data__batch_size=5).recipe
    with pytest.raises(UsageError, match=r"data\.batch_size = 5") as caught:
        Feed(open_training(recipe), recipe, World(0, 2, torch.device("cpu")))
    assert caught.value.hint == "--set data.batch_size=6"


def test_slurm_is_understood():
    said = {
        "SLURM_NTASKS": "8",
        "SLURM_PROCID": "5",
        "SLURM_LOCALID": "1",
        "SLURM_JOB_ID": "1234567",
        "SLURM_JOB_NODELIST": "gpu[07-08]",
        "SLURM_TASKS_PER_NODE": "4(x2)",
    }
    adopt_slurm(said)
    assert (said["RANK"], said["WORLD_SIZE"], said["LOCAL_RANK"], said["LOCAL_WORLD_SIZE"]) == ("5", "8", "1", "4")
    assert (said["MASTER_ADDR"], said["MASTER_PORT"]) == ("gpu07", "30067")


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, {"RANK": "0", "SLURM_NTASKS": "4"}]
)
def test_slurm_is_left_alone(environment):
    before = dict(environment)
    adopt_slurm(environment)
    assert environment == before


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("gpu[03-07,12],fat1", "gpu03"),
        ("a[1,3]-ib", "a1-ib"),
        ("node-[001-010]", "node-001"),
    ],
)
def test_first_host(nodes, first):
    assert first_host(nodes) == first


PROGRAM = "import sys; from fusioncli.cli.main import main; sys.exit(main(sys.argv[1:]))"


def test_ctrl_c_reaches_every_process(patches):
    """From the terminal, which signals the whole group: each process hears it, and once more from its starter."""
    long = {"training__steps": 100000, "checkpoint__every_steps": 50000, "validation__every_steps": 100000}
    arguments = [f"--set={text}" for text in settings(patches, **long)]
    command = [sys.executable, "-c", PROGRAM, "train", "pnn-small", "-o", str(patches / "run"), "--devices", "2"]
    process = subprocess.Popen(
        [*command, "--device", "cpu", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    log, end = patches / "run" / "log.csv", time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") > 2):
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and stderr.splitlines()[-1].endswith("resumes")
    assert len(list((patches / "run" / "checkpoints").glob("step-*.pt"))) == 1
