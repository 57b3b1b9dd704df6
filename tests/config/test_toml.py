"""Whatever is written is read back by the standard library's reader."""

import random
import tomllib

import pytest

from fusioncli.config.toml import to_toml

LETTERS = "ab é\u20ac\U0001f600\"'\\\n\t\r\x00\x1f\x7f#=[]. "


def random_value(rng, depth):
    kinds = [
        lambda: rng.randint(-(10**12), 10**12),
        lambda: rng.choice([0.0, -0.0, 1e-300, 1.5, -2e22, 1e16, rng.random()]),
        lambda: rng.random() < 0.5,
        lambda: "".join(rng.choices(LETTERS, k=rng.randint(0, 9))),
        lambda: [random_value(rng, 9) for _ in range(rng.randint(0, 3))],
        lambda: random_tables(rng, depth + 1),
    ]
    return rng.choice(kinds[: 6 if depth < 3 else 4])()


def random_tables(rng, depth=0):
    keys = {"".join(rng.choices('abc_-1 ."é', k=rng.randint(1, 4))) for _ in range(rng.randint(0, 5))}
    return {key: random_value(rng, depth) for key in keys}


def test_any_tables_survive():
    rng = random.Random(4)
    for _ in range(500):
        tables = random_tables(rng)
        again = tomllib.loads(to_toml(tables))
        assert again == tables


def test_numbers_keep_their_type():
    again = tomllib.loads(to_toml({"a": 1.0, "b": 1, "c": True, "d": 1e-05, "e": 1e22}))
    assert {name: type(value) for name, value in again.items()} == {
        "a": float,
        "b": int,
        "c": bool,
        "d": float,
        "e": float,
    }


def test_plain_values_come_before_tables():
    """A key after a table's head would belong to the table."""
    assert tomllib.loads(to_toml({"t": {"x": 1}, "y": 2})) == {"t": {"x": 1}, "y": 2}


def test_empty_tables_stay():
    assert tomllib.loads(to_toml({"a": {}, "b": {"c": {}}})) == {"a": {}, "b": {"c": {}}}


def test_null_has_no_place():
    with pytest.raises(TypeError, match="None"):
        to_toml({"a": None})
