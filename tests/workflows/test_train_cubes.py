"""Networks for hyperspectral images learn from the patches of `fusion simulate` and from published ones."""

import numpy as np
import pytest
from training_runs import CrashError, Witness, write_cubes, write_patches

from fusioncli.config.load import load_recipe
from fusioncli.config.problems import RecipeError
from fusioncli.errors import DataError
from fusioncli.io.weights import read_header
from fusioncli.workflows.train.events import Validated
from fusioncli.workflows.train.feed import Pick
from fusioncli.workflows.train.launch import train
from fusioncli.workflows.train.request import TrainRequest
from fusioncli.workflows.train.sources import open_training

RECIPE = """
name = "cube"
description = "a small network for cubes"
[model]
arch = "infn"
bands = 6
guide_bands = 2
ratio = 4
[model.options]
width = 8
blocks = 1
hidden = [8]
latent = 4
[data]
train = ["train.h5"]
validation = ["validation.h5"]
patch_px = 16
batch_size = 2
[training]
steps = 4
[validation]
every_steps = 2
metrics = ["ERGAS", "SAM", "PSNR_band_mean", "SSIM"]
[checkpoint]
every_steps = 3
"""
METRICS = {"ERGAS", "SAM", "PSNR_band_mean", "SSIM"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fusioncli.workflows.train.world.available_cores", lambda: 1)
    write_cubes("train.h5")
    write_cubes("validation.h5", count=3, seed=1)
    return tmp_path


def request(folder, run, *sets):
    (folder / "cube.toml").write_text(RECIPE)
    return TrainRequest(load_recipe(folder / "cube.toml", sets), folder / run, 1, "cpu")


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(folder):
    witness = Witness()
    whole = train(request(folder, "whole"), witness)
    assert [event.figures.keys() for event in witness.of(Validated)] == [METRICS] * 2
    assert all(np.isfinite(list(event.figures.values())).all() for event in witness.of(Validated))
    with pytest.raises(CrashError):
        train(request(folder, "run"), Witness(lambda event: getattr(event, "step", 0) == 4))
    resumed = train(request(folder, "run"), Witness())
    assert (resumed.resumed_from, resumed.sha256) == (3, whole.sha256)
    identity = read_header(whole.path).identity
    assert (identity.arch, identity.bands, identity.guide_bands, identity.ratio) == ("infn", 6, 2, 4)
    assert identity.model() == request(folder, "run").recipe.model


def test_published_names_and_fractions(folder):
    """GT, LRHSI, RGB and HSI_up, float64 of 0 … 1, without a word on what they are."""
    own = open_training(request(folder, "run").recipe).batch([Pick(0, 1), Pick(3, 2)])
    for path, options in (("train.h5", {}), ("validation.h5", {"count": 3, "seed": 1})):
        write_cubes(path, foreign=True, **options)
    published = open_training(request(folder, "run", "data.value_max=1").recipe).batch([Pick(0, 1), Pick(3, 2)])
    assert own.keys() == published.keys() == {"gt", "hsi", "hsi_up", "msi"}
    for name, image in own.items():
        np.testing.assert_allclose(published[name], image, atol=1e-7)
    report = train(request(folder, "run", "data.value_max=1"), Witness())
    assert report.figures.keys() == METRICS


def test_images_of_a_batch_show_the_same_place(folder):
    batch = open_training(request(folder, "run").recipe).batch([Pick(epoch, 2) for epoch in range(30)])
    assert {name: image.shape for name, image in batch.items()} == {
        "gt": (30, 6, 16, 16), "hsi": (30, 6, 4, 4), "hsi_up": (30, 6, 16, 16), "msi": (30, 2, 16, 16)
    }  # fmt: skip
    means = batch["gt"].reshape(30, 6, 4, 4, 4, 4).mean((3, 5))
    assert np.abs(means - batch["hsi"]).max() <= 0.51 / 2047
    np.testing.assert_array_equal(batch["hsi_up"][:, :, ::4, ::4], batch["hsi"])
    assert np.corrcoef(batch["gt"].mean(1).ravel(), batch["msi"].mean(1).ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"guide_bands": 3}, "msi is 3 x 24 x 24, expected 2 x 24 x 24 at ratio 4", "--set model.guide_bands=3"),
        ({"bands": 5}, "has 5 bands, the recipe's model.bands is 6", "--set model.bands=5"),
        ({"ratio": 2}, "at ratio 4", "here 2"),
    ],
)
def test_other_patches_are_refused(folder, options, message, hint):
    write_cubes("train.h5", **options)
    with pytest.raises(DataError, match=message) as caught:
        train(request(folder, "run"), Witness())
    assert hint in caught.value.hint


def test_patches_of_pairs_are_refused(folder):
    write_patches("train.h5")
    with pytest.raises(DataError, match=r"lacks hsi or LRHSI and hsi_up or HSI_up and msi or RGB"):
        train(request(folder, "run"), Witness())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data.train={scenes = 2, sensors = "QB"}', r"data.train = .* should be patch files for infn"),
        ("model.ratio=1", "model.ratio = 1 should be at least 2"),
    ],
)
def test_wrong_recipes(folder, text, message):
    with pytest.raises(RecipeError, match=message):
        request(folder, "run", text)


def test_a_pan_has_one_band():
    with pytest.raises(RecipeError, match=r"model.guide_bands = 2 should be 1 for pnn, which takes no MSI"):
        load_recipe("pnn-small", ["model.guide_bands=2"])
