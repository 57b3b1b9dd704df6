"""Networks that restore one picture: what they are given, task by task, and short runs of them."""

import numpy as np
import pytest
import torch
from conftest import write_raster
from training_runs import CrashError, Witness

from fusioncli.config.architectures import TASKS
from fusioncli.config.load import load_recipe
from fusioncli.config.problems import RecipeError
from fusioncli.errors import DataError, UsageError
from fusioncli.ops.restoration import coarsen
from fusioncli.workflows.train.events import Prepared, Validated
from fusioncli.workflows.train.feed import Feed, Pick
from fusioncli.workflows.train.launch import train
from fusioncli.workflows.train.request import TrainRequest
from fusioncli.workflows.train.sources import open_training, open_validation
from fusioncli.workflows.train.world import World

RECIPE = """
name = "restore"
description = "a small network that restores pictures"
[model]
arch = "edsr-pretraining"
bands = 3
ratio = 1
[model.options.edsr]
width = 6
blocks = 1
[data]
train = ["train"]
validation = ["validation"]
patch_px = 24
batch_size = 4
[training]
steps = 10
[validation]
every_steps = 5
metrics = ["PSNR_pooled", "PSNR_band_mean"]
monitor = "PSNR_pooled"
[checkpoint]
every_steps = 4
"""
DRAWN = '{scenes = 2, seed = 5, sensors = ["WV3"]}'


@pytest.fixture(autouse=True)
def small_work(monkeypatch):
    for place in ("world", "drawn", "pictures"):
        monkeypatch.setattr(f"fusioncli.workflows.train.{place}.available_cores", lambda: 1)
    monkeypatch.setattr("fusioncli.workflows.train.drawn._SCENE_PX", 48)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures of several kinds and sizes, one of them in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    for name, kind, size, bands in (
        ("train/a.png", "PNG", (40, 56), 3),
        ("train/b.JPG", "JPEG", (24, 31), 3),
        ("train/more/c.tif", "GTiff", (48, 24), 4),
        ("validation/d.png", "PNG", (30, 26), 3),
        ("validation/e.png", "PNG", (25, 25), 3),
        ("validation/f.png", "PNG", (24, 24), 3),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_raster(path, rng.integers(0, 256, (bands, *size)).astype(np.uint8), driver=kind)
    (tmp_path / "train" / "readme.txt").write_text("no picture")
    return tmp_path


def recipe(folder, *sets):
    (folder / "restore.toml").write_text(RECIPE)
    return load_recipe(folder / "restore.toml", sets)


def request(folder, run, *sets):
    return TrainRequest(recipe(folder, *sets), folder / run, 1, "cpu")


def read(path):
    import rasterio

    with rasterio.open(path) as dataset:
        return dataset.read([1, 2, 3])


# Batches ------------------------------------------------------------------------------------------


def test_pictures_are_cropped_and_turned_and_never_mixed_up(folder):
    data = open_training(recipe(folder))
    assert len(data) == 3 and data.facts.value_max == 1.0
    pictures = [read(folder / "train" / name) for name in ("a.png", "b.JPG", "more/c.tif")]
    batch = data.batch([Pick(epoch, index) for epoch in range(20) for index in range(3)], 0)
    assert {name: (image.shape, image.dtype.name) for name, image in batch.items()} == {
        "gt": ((60, 3, 24, 24), "float32"), "image": ((60, 3, 24, 24), "float32"), "task": ((60,), "int64")
    }  # fmt: skip
    for number, crop in enumerate(np.rint(batch["gt"] * 255).astype(np.uint8)):
        assert any(shown(crop, turned) for turned in turns(pictures[number % 3])), number


def turns(picture):
    flipped = (picture, picture[:, :, ::-1])
    return [np.rot90(image, quarter, (1, 2)) for image in flipped for quarter in range(4)]


def shown(crop, picture):
    _, height, width = picture.shape
    places = ((row, col) for row in range(height - 23) for col in range(width - 23))
    return any(np.array_equal(crop, picture[:, row : row + 24, col : col + 24]) for row, col in places)


def test_batches_have_the_tasks_in_turn(folder):
    data = open_training(recipe(folder))
    picks = [Pick(0, 0), Pick(1, 0), Pick(0, 1)]
    for number in range(10):
        batch = data.batch(picks, number)
        assert batch["task"].tolist() == [number % 5] * 3
        gt, image = torch.from_numpy(batch["gt"]), torch.from_numpy(batch["image"])
        match TASKS[number % 5]:
            case "sr2" | "sr3" | "sr4" as task:
                torch.testing.assert_close(image, coarsen(gt, int(task[2:])))
            case task:
                noise = (image - gt) * 255 / float(task[7:])
                assert noise.std(dim=(1, 2, 3)).sub(1).abs().max() < 0.06 and noise.mean().abs() < 0.04
                assert torch.corrcoef(noise.flatten(1)).fill_diagonal_(0).abs().max() < 0.1  # other noise everywhere


def test_noise_belongs_to_the_picture_and_the_epoch(folder):
    data, other = open_training(recipe(folder)), open_training(recipe(folder, "training.seed=1"))
    noise = {}
    for seed, some in ((0, data), (1, other)):
        for epoch in (0, 1):
            alone, second = (some.batch(picks, 3) for picks in ([Pick(epoch, 1)], [Pick(9, 0), Pick(epoch, 1)]))
            np.testing.assert_array_equal(alone["image"][0], second["image"][1])
            noise[seed, epoch] = (alone["image"] - alone["gt"]).round(3).tobytes()
    assert len(set(noise.values())) == 4


def test_processes_of_a_run_share_the_task_of_a_batch(folder):
    found = recipe(folder, "data.batch_size=2")
    shares = [Feed(open_training(found), found, World(rank, 2, torch.device("cpu"))) for rank in range(2)]
    whole = Feed(open_training(found), found, World(0, 1, torch.device("cpu")))
    steps = zip(whole.steps(0, 6), *(share.steps(0, 6) for share in shares), strict=True)
    for [batch], *parts in steps:
        for name, image in batch.items():
            assert torch.equal(torch.cat([part[0][name] for part in parts]), image)


def test_tasks_can_be_chosen(folder):
    data = open_training(recipe(folder, 'data.restoration.tasks=["denoise50", "sr2"]'))
    assert [int(data.batch([Pick(0, 0)], number)["task"][0]) for number in range(3)] == [4, 0, 4]


def test_validation_has_every_picture_once_and_one_task_per_group(folder):
    found = recipe(folder, 'data.restoration.tasks=["sr2", "denoise30"]')
    data = open_validation(found, open_training(found))
    groups = data.groups(2)
    assert [list(group) for group in groups] == [[0, 2], [1]]
    first, second = (data.whole(group) for group in groups)
    assert (first["task"].tolist(), second["task"].tolist()) == ([0, 0], [3])
    middle = read(folder / "validation" / "d.png")[:, 3:27, 1:25]
    np.testing.assert_array_equal(np.rint(first["gt"][0] * 255), middle)
    np.testing.assert_array_equal(second["image"], data.whole([1])["image"])
    many = open_training(recipe(folder, "data.train=validation"))
    assert sorted(index for group in many.groups(8) for index in group) == [0, 1, 2]


def test_eight_and_sixteen_bits_meet_at_one(folder):
    deep = np.full((3, 24, 24), 2**15, np.uint16)
    write_raster(folder / "train" / "z.png", deep, driver="PNG")
    data = open_training(recipe(folder, "data.augment=false"))
    batch = data.batch([Pick(0, 3)], 0)
    np.testing.assert_allclose(batch["gt"], 2**15 / 65535, rtol=1e-6)
    crop = np.rint(data.batch([Pick(0, 1)], 0)["gt"][0] * 255)
    assert shown(crop, read(folder / "train" / "b.JPG"))
    stated = open_training(recipe(folder, "data.value_max=65536"))
    np.testing.assert_array_equal(stated.batch([Pick(0, 3)], 0)["gt"], 0.5)


def test_scenes_are_three_of_their_bands(folder):
    found = recipe(folder, f"data.train={DRAWN}")
    data = open_training(found)
    assert len(data) == 8 and data.facts.value_max == 1.0 and data.facts.licence.startswith("CC0")
    assert open_validation(found, data) is not None  # pictures will do
    gt = data.batch([Pick(0, index) for index in range(8)], 0)["gt"]
    assert gt.shape == (8, 3, 24, 24) and 0.02 < gt.mean() < 0.9
    assert data.digest == open_training(found).digest
    other = open_training(recipe(folder, f"data.train={DRAWN.replace('5', '6')}"))
    assert data.digest != other.digest


# Runs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["pictures", DRAWN])
def test_a_run_that_was_cut_off_ends_with_the_same_bytes(folder, source):
    sets = ["data.validation=validation"] if source == "pictures" else [f"data.train={source}"]
    witness = Witness()
    whole = train(request(folder, "whole", *sets), witness)
    assert {event.stage.split(" for ")[1] for event in witness.of(Prepared)} == {"data.train", "data.validation"}
    assert [event.figures.keys() for event in witness.of(Validated)] == [{"PSNR_pooled", "PSNR_band_mean"}] * 2
    assert all(np.isfinite(list(event.figures.values())).all() for event in witness.of(Validated))
    with pytest.raises(CrashError):
        train(request(folder, "run", *sets), Witness(lambda event: getattr(event, "step", 0) == 5))
    resumed = train(request(folder, "run", *sets), Witness())
    assert (resumed.resumed_from, resumed.sha256) == (4, whole.sha256)


# Refusals -----------------------------------------------------------------------------------------

GREY, SMALL, FRACTIONS = np.zeros((1, 30, 30), np.uint8), np.zeros((3, 30, 20), np.uint8), np.zeros((3, 30, 30), "f4")
REFUSED = {
    "no folder": ({}, ["data.train=nowhere"], "nowhere: no such folder", DataError),
    "no pictures": ({"empty/x.txt": None}, ["data.train=empty"], r"empty holds no picture \(.png", DataError),
    "a file": ({}, ["data.train=train/a.png"], "a.png: no such folder", DataError),
    "grey": ({"train/g.png": GREY}, [], "g.png has 1 bands of uint8, not red, green and blue", DataError),
    "fractions": ({"train/g.tif": FRACTIONS}, [], "g.tif has 3 bands of float32", DataError),
    "small": ({"train/s.png": SMALL}, [], r"1 of 4 pictures .* data.patch_px 24, such as .*s.png \(20 x", DataError),
    "damaged": ({"train/x.png": None}, [], "x.png cannot be opened", DataError),
    "peak": ({}, ["data.value_max=100"], "holds 25., more than data.value_max 100", DataError),
    "sensor": ({}, ['data.train={scenes = 1, sensors = "WV9"}'], "no sensor is called 'WV9'", UsageError),
    "factor": ({}, ["data.patch_px=32"], "data.patch_px = 32 should be a multiple of 3, for the task sr3", RecipeError),
    "task": ({}, ["data.restoration.tasks=sr5"], "'sr5' should be 'sr2', 'sr3'.*did you mean sr", RecipeError),
    "model bands": ({}, ["model.bands=4"], "model.bands = 4 should be 3 for edsr-pretraining", RecipeError),
    "model ratio": ({}, ["model.ratio=2"], "model.ratio = 2 should be 1 for edsr-pretraining", RecipeError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_network_can_learn_from_is_refused(case, folder):
    files, sets, message, kind = REFUSED[case]
    for name, image in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if image is None:
            path.write_text("no picture")
        else:
            write_raster(path, image, driver="PNG" if path.suffix == ".png" else "GTiff")
    with pytest.raises(kind, match=message) as caught:
        train(request(folder, "run", *sets), Witness())
    assert caught.value.hint
    assert not (folder / "run").exists()


def test_other_networks_restore_nothing():
    with pytest.raises(RecipeError, match=r"data.restoration = .* should be left out for pnn"):
        load_recipe("pnn-small", ["data.restoration.tasks=sr2"])
