"""Settings in layers: a recipe, then `--set` texts, then the flags of a command; the last one wins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from fusioncli.errors import UsageError

Tables = dict[str, Any]


def parse_set(text: str) -> Tables:
    """`a.b=value` as nested tables. The value is TOML; what is no TOML is taken as text.

    Raises:
        UsageError: no "=", or an empty name.
    """
    path, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in path.split(".")):
        raise UsageError(f"--set takes NAME.NAME=VALUE, got '{text}'", "for example --set training.steps=2000")
    return nested(path.strip(), _value(value.strip()))


def _value(text: str) -> object:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def nested(path: str, value: object) -> Tables:
    """One setting as nested tables."""
    for part in reversed(path.split(".")):
        value = {part.strip(): value}
    assert isinstance(value, dict)
    return value


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tables:
    """Both layers as one: tables are merged key by key, anything else in `above` replaces what it covers."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and isinstance(value, Mapping):
            value = merge(lower, value)
        merged[key] = value
    return merged


def stack(tables: Tables, sets: Sequence[str], flags: Mapping[str, object]) -> Tables:
    """A recipe under its overrides; a flag that is None was not given.

    Raises:
        UsageError: a `--set` that cannot be read.
    """
    given = [nested(path, value) for path, value in flags.items() if value is not None]
    for layer in [*map(parse_set, sets), *given]:
        tables = merge(tables, layer)
    return tables
