"""Recipes in stages: one complete recipe per stage, overrides for all or one, and every problem with its path."""

import tomllib

import pytest

from fusioncli.config.load import dump_recipe, load_recipe, load_stages, recipe_tables
from fusioncli.config.problems import RecipeError
from fusioncli.config.stages import fold, unfold
from fusioncli.errors import UsageError

TEXT = """
name = "twice"
description = "in two stages"

[model]
arch = "pnn"
bands = 4
ratio = 4

[data]
train = ["a.h5"]
validation = ["b.h5"]

[training]
ema_decay = 0.5

[[stages]]
name = "coarse"
loss = "l2"
[stages.training]
steps = 5
[stages.data.train]
scenes = 3
sensors = ["QB"]

[[stages]]
name = "fine"
[stages.training]
steps = 7
ema_decay = 0.9
"""


@pytest.fixture
def written(tmp_path):
    def write(*changes):
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "twice.toml").write_text(text, encoding="utf-8")
        return tmp_path / "twice.toml"

    return write


def problems(path, *sets):
    with pytest.raises(RecipeError) as caught:
        load_stages(path, sets)
    return [problem.text for problem in caught.value.problems]


def test_each_stage_is_a_complete_recipe(written):
    coarse, fine = load_stages(written())
    assert (coarse.name, coarse.stage, fine.name, fine.stage) == ("twice", "coarse", "twice", "fine")
    assert (coarse.loss, fine.loss) == ("l2", "l1")
    assert (coarse.training.steps, coarse.training.ema_decay) == (5, 0.5)
    assert (fine.training.steps, fine.training.ema_decay) == (7, 0.9)
    assert coarse.data.train.scenes == 3 and fine.data.train == ("a.h5",)
    assert coarse.data.validation == fine.data.validation == ("b.h5",)


def test_overrides_reach_all_stages_or_one(written):
    sets = ["stages.fine.training.steps=9", "training.steps=2", "stages.fine.loss=l2"]
    coarse, fine = load_stages(written(), sets, {"training.seed": 8})
    assert (coarse.training.steps, fine.training.steps) == (2, 9)
    assert coarse.training.seed == fine.training.seed == 8 and fine.loss == "l2"


def test_a_resolved_recipe_reads_back(written, tmp_path):
    stages = load_stages(written(), ["start.backbones.edsr=e.safetensors"])
    (tmp_path / "again.toml").write_text(dump_recipe(*stages), encoding="utf-8")
    assert load_stages(tmp_path / "again.toml") == stages
    tables = tomllib.loads(dump_recipe(*stages))
    assert tables == recipe_tables(*stages)
    assert tables["training"]["accumulate"] == 1 and tables["data"]["validation"] == ["b.h5"]
    assert [own["name"] for own in tables["stages"]] == ["coarse", "fine"]
    assert tables["stages"][1] == {
        "name": "fine", "loss": "l1", "data": {"train": ["a.h5"]}, "training": {"steps": 7, "ema_decay": 0.9}
    }  # fmt: skip


def test_folding_undoes_unfolding():
    one = {"stage": "a", "x": {"y": 1, "z": [1], "t": {}}, "only": 1, "kind": 1}
    two = {"stage": "b", "x": {"y": 2, "z": [1], "u": {"v": 1}}, "kind": {"of": 2}}
    three = {"stage": "c", "x": {"y": 1, "z": [2]}, "kind": True}
    for stages in ([one, two], [two, three, one], [one, {**one, "stage": "d"}]):
        assert list(unfold(fold(stages), {}).values()) == stages
    assert fold([one]) == one


def test_a_single_stage_is_an_ordinary_recipe(written, tmp_path):
    (tmp_path / "coarse.toml").write_text(dump_recipe(load_stages(written())[0]), encoding="utf-8")
    assert load_recipe(tmp_path / "coarse.toml").stage == "coarse"
    assert load_recipe("pnn-small").stage is None
    with pytest.raises(UsageError, match="the stages coarse, fine"):
        load_recipe(written())


def test_every_problem_at_once(written):
    path = written(
        ("bands = 4\n", ""),
        ("steps = 5", "stepz = 5"),
        ('loss = "l2"', "licence = 3\ncolour = 1"),
        ("ema_decay = 0.9", "ema_decay = 2.0"),
    )
    assert problems(path, "optimiser.name=sgd") == [
        "model.bands is missing",
        "optimiser.name = 'sgd' should be 'adam' or 'adamw'",
        "stages.coarse.licence = 3 should be a valid string",
        "stages.coarse.training.steps is missing",
        "stages.coarse.training.stepz = 5 is no setting (did you mean steps?)",
        "stages.coarse.colour = 1 is no setting",
        "stages.fine.training.ema_decay = 2.0 should be below 1",
    ]


@pytest.mark.parametrize(
    ("change", "sets", "text"),
    [
        (('name = "fine"', ""), (), "stages.1.name is missing"),
        (('name = "fine"', "name = 3"), (), "stages.1.name = 3 should be lower-case letters"),
        (('name = "fine"', 'name = "../x"'), (), "stages.1.name = '../x' should be lower-case letters"),
        (('name = "fine"', 'name = "coarse"'), (), "stages.1.name = 'coarse' should be another name"),
        (("", ""), ("stages.fin.loss=l2",), "stages.fin is no stage (did you mean fine?)"),
        (("", ""), ("stages.fine=l2",), "stages.fine = 'l2' should be a table"),
        (("", ""), ("stages=3",), "stages = 3 should be overrides of single stages"),
        (("", ""), ("stages.fine.stages.x=1",), "stages.fine.stages = {'x': 1} is no setting"),
    ],
)
def test_wrong_stages(written, change, sets, text):
    found = problems(written(change) if change[0] else written(), *sets)
    assert found[0].startswith(text)


@pytest.mark.parametrize("value", ["3", "[]", "[1, 2]", '{"a" = 1}'])
def test_stages_that_are_no_tables(tmp_path, value):
    head, _ = TEXT.split("[[stages]]", 1)
    path = tmp_path / "x.toml"
    path.write_text(f"stages = {value}\n{head}", encoding="utf-8")
    assert all("should be" in text for text in problems(path))
