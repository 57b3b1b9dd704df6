"""Learning rate, order and augmentation are pure functions of the step."""

import math

import numpy as np
import pytest
import torch
from training_runs import settings, write_patches

from fusioncli.config.load import load_recipe
from fusioncli.workflows.train.feed import Feed, Pick
from fusioncli.workflows.train.schedule import learning_rate
from fusioncli.workflows.train.sources import open_training
from fusioncli.workflows.train.world import World

CPU = torch.device("cpu")


def recipe(tmp_path, **changed):
    return load_recipe("pnn-small", settings(tmp_path, **changed))


def rates(tmp_path, **changed):
    found = recipe(tmp_path, training__steps=10, optimiser__learning_rate=0.1, **changed)
    return [learning_rate(found, step) for step in range(10)]


def test_cosine(tmp_path):
    found = rates(tmp_path, schedule__warmup_steps=2, schedule__decay=0.2)
    expected = [0.05, 0.1] + [0.02 + 0.08 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert found == pytest.approx(expected)


def test_stairs(tmp_path):
    changed = {"schedule__every_steps": 4, "schedule__decay": 0.5, "schedule__warmup_steps": 1}
    assert rates(tmp_path, schedule__kind="step", **changed) == pytest.approx([0.1] + [0.1] * 4 + [0.05] * 4 + [0.025])


def test_constant(tmp_path):
    assert rates(tmp_path, schedule__kind="constant", schedule__warmup_steps=0) == [0.1] * 10


@pytest.fixture
def patches(tmp_path):
    return write_patches(tmp_path / "train.h5", count=10)


def feed(tmp_path, rank=0, size=1, **changed):
    found = recipe(tmp_path, **changed)
    return Feed(open_training(found), found, World(rank, size, CPU))


def test_every_epoch_has_every_patch_once(tmp_path, patches):
    picks = [pick for number in range(5) for pick in feed(tmp_path, data__batch_size=4).picks(number)]
    assert [pick.epoch for pick in picks] == [0] * 10 + [1] * 10
    first, second = ([pick.index for pick in picks if pick.epoch == epoch] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10)) and first != second


def test_processes_share_a_batch(tmp_path, patches):
    whole = feed(tmp_path, data__batch_size=6)
    shares = [feed(tmp_path, rank, 3, data__batch_size=6) for rank in range(3)]
    for number in range(4):
        assert [pick for share in shares for pick in share.picks(number)] == whole.picks(number)


def test_steps_continue_anywhere(tmp_path, patches):
    """The batches of a run that starts at step 3 are those of one that has come there."""
    whole = list(feed(tmp_path, training__accumulate=2).steps(0, 5))
    rest = list(feed(tmp_path, training__accumulate=2).steps(3, 5))
    for ours, theirs in zip(rest, whole[3:], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert all(torch.equal(one[name], other[name]) for name in one)


def test_turned_and_cropped_alike(tmp_path, patches):
    """All images of a patch show the same place, in units of the peak, and all eight turns occur."""
    data = open_training(recipe(tmp_path))
    batch = data.batch([Pick(epoch, 0) for epoch in range(60)])
    assert batch["gt"].dtype == np.float32 and batch["gt"].shape == (60, 4, 16, 16)
    means = batch["gt"].reshape(60, 4, 4, 4, 4, 4).mean((3, 5))
    assert np.abs(means - batch["ms"]).max() <= 0.51 / 2047
    assert np.abs(batch["gt"][:, 1:3].mean(1, keepdims=True) - batch["pan"]).max() <= 1.01 / 2047
    again = data.batch([Pick(7, 0)])
    assert np.array_equal(again["gt"][0], batch["gt"][7])
    assert turns_of(batch["pan"][:, 0], patches["pan"][0, 0] / np.float32(2047)) == set(range(8))


def turns_of(seen, whole):
    """Which of the eight turns of any 16 px crop the images are."""
    crops = {}
    for row in range(0, 17, 4):
        for col in range(0, 17, 4):
            crop = whole[row : row + 16, col : col + 16]
            for turn in range(8):
                turned = np.rot90(crop, turn % 4)
                crops[np.round((turned[:, ::-1] if turn >= 4 else turned) * 2047).astype(int).tobytes()] = turn
    return {crops[np.round(image * 2047).astype(int).tobytes()] for image in seen}


def test_without_augmentation_nothing_turns(tmp_path, patches):
    data = open_training(recipe(tmp_path, data__augment=False, data__patch_px=32))
    batch = data.batch([Pick(epoch, 3) for epoch in range(5)])
    assert (batch["gt"] == batch["gt"][:1]).all()
    assert np.allclose(batch["gt"][0] * 2047, patches["gt"][3])
