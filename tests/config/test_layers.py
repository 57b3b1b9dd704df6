"""Layers of settings: the last one wins, tables are merged, lists and kinds are replaced."""

import pytest

from fusioncli.config.layers import merge, parse_set, stack
from fusioncli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("true", True),
        ("'QB'", "QB"),
        ("QB", "QB"),
        ("", ""),
        ("a=b", "a=b"),
        ('["a.h5", "b.h5"]', ["a.h5", "b.h5"]),
        ("{scenes = 2}", {"scenes": 2}),
        ("/data/my patches.h5", "/data/my patches.h5"),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_values_are_toml_or_else_text(text, value):
    assert parse_set(f"a.b={text}") == {"a": {"b": value}}


@pytest.mark.parametrize("text", ["", "a", "=1", "a..b=1", ".a=1", "a.=1"])
def test_malformed_overrides(text):
    with pytest.raises(UsageError, match="--set takes"):
        parse_set(text)


def test_merge_is_deep_and_leaves_its_inputs_alone():
    below = {"a": {"b": {"x": 1, "y": 2}, "c": [1, 2]}, "d": 1}
    above = {"a": {"b": {"y": 3}, "c": [9]}, "e": 2}
    assert merge(below, above) == {"a": {"b": {"x": 1, "y": 3}, "c": [9]}, "d": 1, "e": 2}
    assert below == {"a": {"b": {"x": 1, "y": 2}, "c": [1, 2]}, "d": 1}


def test_a_table_and_a_list_replace_each_other():
    assert merge({"train": ["a.h5"]}, {"train": {"scenes": 2}}) == {"train": {"scenes": 2}}
    assert merge({"train": {"scenes": 2}}, {"train": ["a.h5"]}) == {"train": ["a.h5"]}


def test_flags_over_sets_over_recipe():
    recipe = {"training": {"steps": 1, "seed": 1, "accumulate": 1}}
    resolved = stack(recipe, ["training.steps=2", "training.seed=2", "training.seed=3"], {"training.seed": 4})
    assert resolved == {"training": {"steps": 2, "seed": 4, "accumulate": 1}}


def test_a_flag_that_was_not_given_changes_nothing_and_zero_does():
    recipe = {"training": {"seed": 1, "augment": True}}
    flags = {"training.seed": None, "training.augment": False}
    assert stack(recipe, [], flags) == {"training": {"seed": 1, "augment": False}}
