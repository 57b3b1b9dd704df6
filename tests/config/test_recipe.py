"""The schema: defaults, units and ranges, settings that exclude each other."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from fusioncli.config.architectures import ARCHITECTURES, PnnOptions
from fusioncli.config.data import Synthetic
from fusioncli.config.problems import setting_names
from fusioncli.config.recipe import Index, ModelConfig, Recipe

LEAST = {
    "name": "least",
    "description": "what cannot be left out",
    "model": {"arch": "pnn", "bands": 8, "ratio": 4},
    "data": {"train": "a.h5"},
    "training": {"steps": 10},
}


def recipe(**tables):
    """The least recipe with some tables extended."""
    merged = {name: {**LEAST[name], **t} if isinstance(LEAST.get(name), dict) else t for name, t in tables.items()}
    return Recipe.model_validate({**LEAST, **merged})


def test_defaults_fill_what_is_left_out():
    least = recipe()
    assert least.model.options == PnnOptions(widths=(64, 32), kernels_px=(9, 5, 5), residual=True)
    assert least.data.train == ("a.h5",) and least.data.validation == ()
    assert least.optimiser.name == "adam" and least.schedule.kind == "cosine"
    assert (least.training.ema_decay, least.optimiser.clip_norm, least.training.early_stop) == (0, 0, 0)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        recipe().training.steps = 3


def test_patches_are_read_or_drawn():
    drawn = recipe(data={"train": {"scenes": 5, "sensors": ["QB", "WV2"]}, "validation": ["v.h5"], "sensor": "WV3"})
    assert drawn.data.train == Synthetic(scenes=5, seed=0, sensors=("QB", "WV2"))
    assert drawn.data.validation == ("v.h5",)
    assert drawn.data.sensors() == ("WV3", "QB", "WV2")


def test_tables_read_back_as_the_same_recipe():
    drawn = recipe(data={"train": {"scenes": 5, "sensors": "QB"}, "value_max": 2047})
    assert Recipe.model_validate(drawn.as_tables()) == drawn
    assert "sensor" not in drawn.as_tables()["data"]  # None has no word in TOML


def test_options_are_those_of_the_architecture():
    wide = ModelConfig(arch="pnn", bands=4, ratio=4, options=PnnOptions(widths=(8,), kernels_px=(3, 3)))
    assert isinstance(wide.options, PnnOptions) and wide.options.widths == (8,)
    assert set(ARCHITECTURES) >= {"pnn", "infn"}
    with pytest.raises(ValidationError, match=r"options\.depth"):
        recipe(model={"options": {"depth": 3}})


@pytest.mark.parametrize(
    ("tables", "path"),
    [
        ({"name": "Pnn Small"}, ("name",)),
        ({"description": ""}, ("description",)),
        ({"loss": "l3"}, ("loss",)),
        ({"model": {"arch": "vgg"}}, ("model", "arch")),
        ({"model": {"bands": 0}}, ("model", "bands")),
        ({"model": {"bands": "4"}}, ("model", "bands")),
        ({"model": {"ratio": 1}}, ("model", "ratio")),
        ({"model": {"options": {"widths": [0, 3]}}}, ("model", "options", "widths", 0)),
        ({"model": {"options": {"kernels_px": [9, 5]}}}, ("model", "options", "kernels_px")),
        ({"model": {"options": {"kernels_px": [9, 4, 5]}}}, ("model", "options", "kernels_px")),
        ({"data": {"train": []}}, ("data", "train")),
        ({"data": {"patch_px": 66}}, ("data", "patch_px")),
        ({"data": {"batch_size": 2.5}}, ("data", "batch_size")),
        ({"data": {"value_max": 0}}, ("data", "value_max")),
        ({"data": {"upsampler": "nearest"}}, ("data", "upsampler")),
        ({"data": {"augment": 1}}, ("data", "augment")),
        ({"optimiser": {"learning_rate": 0}}, ("optimiser", "learning_rate")),
        ({"optimiser": {"learning_rate": float("nan")}}, ("optimiser", "learning_rate")),
        ({"optimiser": {"clip_norm": -1.0}}, ("optimiser", "clip_norm")),
        ({"schedule": {"kind": "step", "decay": 0.5}}, ("schedule", "every_steps")),
        ({"schedule": {"kind": "step", "every_steps": 5}}, ("schedule", "decay")),
        ({"schedule": {"kind": "cosine", "every_steps": 5}}, ("schedule", "every_steps")),
        ({"training": {"steps": 0}}, ("training", "steps")),
        ({"training": {"ema_decay": 1.0}}, ("training", "ema_decay")),
        ({"training": {"precision": "fp16"}}, ("training", "precision")),
        ({"training": {"early_stop": 3}}, ("training", "early_stop")),
        ({"validation": {"metrics": []}}, ("validation", "metrics")),
        ({"validation": {"metrics": ["SAM"], "monitor": "ERGAS"}}, ("validation", "monitor")),
        ({"checkpoint": {"keep": 0}}, ("checkpoint", "keep")),
    ],
)
def test_wrong_settings_are_found_where_they_are(tables, path):
    with pytest.raises(ValidationError) as caught:
        recipe(**tables)
    assert [error["loc"] for error in caught.value.errors()] == [path]


def test_indices_are_those_of_the_suite():
    from fusioncli.metrics.suites import SuiteSettings, suite

    assert list(get_args(Index)) == [metric.name for metric in suite("reduced-resolution", SuiteSettings(4, 1)).metrics]


def test_upsamplers_are_those_of_the_engine():
    from fusioncli.ops.sampling import UPSAMPLERS

    for name in UPSAMPLERS:
        assert recipe(data={"upsampler": name}).data.upsampler == name


def test_the_manual_has_every_setting():
    manual = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    tables = {
        "model",
        "model.options",
        "model.options.edsr",
        "model.options.ipt",
        "data",
        "data.restoration",
        "start",
        "optimiser",
        "schedule",
        "training",
        "consistency",
        "validation",
        "checkpoint",
    }
    documented = set(re.findall(r"`([a-z_.]+)`", "\n".join(re.findall(r"^\| (`[^|]*) \|", manual, re.MULTILINE))))
    assert documented == set(setting_names(Recipe)) - tables
