"""`fusion recipes`: what is printed is a recipe again, and every problem has a line."""

import tomllib

import pytest

from fusioncli.config.load import load_recipe, recipe_names, recipe_text


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_ls(fusion):
    outcome = fusion("recipes", "ls")
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == recipe_names()
    assert fusion("recipes", "ls", "--json").json["recipes"]["pnn-small"] == load_recipe("pnn-small").description


def test_show_prints_a_complete_recipe(fusion, tmp_path):
    outcome = fusion("recipes", "show", "pnn-small", "--set", "training.steps=77", "--set", "data.sensor=QB")
    assert outcome.code == 0 and outcome.stdout.startswith("# pnn-small: ")
    (tmp_path / "shown.toml").write_text(outcome.stdout)
    shown = load_recipe("shown.toml")
    assert shown == load_recipe("pnn-small", ["training.steps=77", "data.sensor=QB"])
    assert tomllib.loads(outcome.stdout)["optimiser"]["weight_decay"] == 0.0
    as_json = fusion("recipes", "show", "shown.toml", "--json").json
    assert as_json == tomllib.loads(outcome.stdout)


def test_cp(fusion, tmp_path):
    outcome = fusion("recipes", "cp", "pnn-small")
    assert (outcome.code, outcome.last_line) == (0, "pnn-small.toml")
    assert (tmp_path / "pnn-small.toml").read_text() == recipe_text("pnn-small")
    again = fusion("recipes", "cp", "pnn-small")
    assert again.code == 3 and "exists already" in again.stderr and "--overwrite" in again.stderr
    assert fusion("recipes", "cp", "pnn-small", "--overwrite").code == 0
    (tmp_path / "sub").mkdir()
    assert fusion("recipes", "cp", "pnn-small", "sub").last_line == "sub/pnn-small.toml"
    assert fusion("recipes", "cp", "sub/pnn-small.toml", "mine.toml").last_line == "mine.toml"
    assert fusion("recipes", "check", "mine.toml").code == 0
    assert fusion("recipes", "cp", "pnn-small", "no/mine.toml").code == 3


def test_check_takes_all_packaged_recipes(fusion):
    outcome = fusion("recipes", "check")
    assert outcome.code == 0
    assert outcome.stdout.splitlines() == [f"{name}: right" for name in recipe_names()]


def test_check_names_every_problem_of_every_recipe(fusion, tmp_path):
    text = recipe_text("pnn-small")
    (tmp_path / "a.toml").write_text(text.replace("learning_rate", "lerning_rate").replace("steps = 1200", "steps = 0"))
    (tmp_path / "b.toml").write_text(text.replace("[data]", "[data"))
    (tmp_path / "c.toml").write_text(text.replace("patch_px = 32 ", 'patch_px = 32\nsensor = "QBX"'))
    outcome = fusion("recipes", "check", "pnn-small", "a.toml", "b.toml", "c.toml", "missing")
    assert outcome.code == 2
    assert outcome.stdout.splitlines() == ["pnn-small: right", *(f"{x}: wrong" for x in ("a.toml", "b.toml", "c.toml")),
                                           "missing: wrong"]  # fmt: skip
    problems = [line for line in outcome.stderr.splitlines() if line.startswith("problem: ")]
    assert problems[0].startswith("problem: a.toml: optimiser.lerning_rate = 0.002 is no setting (did you mean")
    assert problems[1] == "problem: a.toml: training.steps = 0 should be at least 1"
    assert problems[2].startswith("problem: b.toml: recipe b.toml is not TOML")
    assert problems[3].startswith("problem: c.toml: ") and "QBX" in problems[3]
    assert problems[4] == "problem: missing: there is no recipe missing"
    assert "error: 4 of 5 recipes are wrong: 5 problems" in outcome.stderr
    as_json = fusion("recipes", "check", "pnn-small", "a.toml", "--json")
    assert as_json.code == 2 and len(as_json.json["problems"]["a.toml"]) == 2
    assert as_json.json["problems"]["pnn-small"] == []


def test_a_wrong_override_is_one_error_with_all_problems(fusion):
    outcome = fusion("recipes", "show", "pnn-small", "--set", "optimizer.name=adam", "--set", "loss=l3")
    assert (outcome.code, outcome.stdout) == (2, "")
    error, hint = outcome.stderr.splitlines()
    assert error.startswith("error: recipe pnn-small has 2 problems: loss = 'l3' should be 'l1'")
    assert "; optimizer" in error and "did you mean optimiser?" in error and hint.startswith("hint: ")


def test_usage(fusion):
    assert fusion("recipes").code == 2
    unknown = fusion("recipes", "chek")
    assert unknown.code == 2 and "hint: try: fusion recipes --help" in unknown.stderr
    assert fusion("recipes", "show").code == 2
    malformed = fusion("recipes", "show", "pnn-small", "--set", "training.steps")
    assert malformed.code == 2 and "--set takes NAME.NAME=VALUE, got 'training.steps'" in malformed.stderr
