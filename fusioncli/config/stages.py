"""Recipes in stages: a common part and what each stage changes, unfolded to one complete recipe per stage and back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from fusioncli.config.layers import Tables, merge
from fusioncli.config.problems import Problem

KEY = "stages"
"""Of the list of stages in a recipe, and of the table of their overrides above it."""
_NAME = re.compile("[a-z0-9][a-z0-9-]*")


def unfold(tables: Tables, above: Tables) -> dict[str, Tables]:
    """The tables of each stage, complete and in order: the common part, under the stage's own, under what lies above.

    Args:
        tables: of a recipe; its `stages`, if it has any, passed `find_stage_problems`.
        above: overrides of all stages; its table `stages` has those of single stages, by name.

    Returns:
        By the stage's name; one entry without a name for a recipe that has no stages.
    """
    common, single = _without(tables, KEY), above.get(KEY, {})
    above = _without(above, KEY)
    if KEY not in tables:
        return {"": merge(common, above)}
    layers = {
        own["name"]: (_without(own, "name"), above, single.get(own["name"], {}), {"stage": own["name"]})
        for own in tables[KEY]
    }
    return {name: reduce(merge, own, common) for name, own in layers.items()}


def fold(stages: Sequence[Tables]) -> Tables:
    """What `unfold` takes apart: settings that all stages share, and the others in `stages`.

    Args:
        stages: complete tables, each with its name as `stage`; a single one is left as it is.
    """
    if len(stages) == 1:
        return dict(stages[0])
    common = reduce(_shared, stages)
    own = [{"name": tables["stage"], **_difference(_without(tables, "stage"), common)} for tables in stages]
    return {**common, KEY: own}


def find_stage_problems(tables: Tables, above: Tables) -> tuple[Problem, ...]:
    """What is wrong with the list of stages as such: no tables, or names that are missing, odd, double, unknown."""
    stages, single = tables.get(KEY, []), above.get(KEY, {})
    if not isinstance(stages, list) or (KEY in tables and not stages):
        return (Problem(KEY, f"stages = {stages!r} should be tables, each headed by [[stages]]"),)
    if not isinstance(single, Mapping):
        return (Problem(KEY, f"stages = {single!r} should be overrides of single stages: --set stages.NAME.A.B=VALUE"),)
    return (*_name_problems(stages), *_override_problems(stages, single))


def _name_problems(stages: Sequence[Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, own in enumerate(stages):
        path = f"{KEY}.{place}.name"
        name = own.get("name") if isinstance(own, Mapping) else None
        if not isinstance(own, Mapping):
            yield Problem(f"{KEY}.{place}", f"{KEY}.{place} = {own!r} should be a table")
        elif name is None:
            yield Problem(path, f"{path} is missing")
        elif not isinstance(name, str) or not _NAME.fullmatch(name):
            yield Problem(path, f"{path} = {name!r} should be lower-case letters, digits and dashes")
        elif name in seen:
            yield Problem(path, f"{path} = {name!r} should be another name than that of a stage before")
        else:
            seen.add(name)


def _override_problems(stages: Sequence[Any], single: Mapping[str, Any]) -> Iterator[Problem]:
    names = [str(own.get("name")) for own in stages if isinstance(own, Mapping)]
    for name, value in single.items():
        path = f"{KEY}.{name}"
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            yield Problem(path, f"{path} is no stage{f' (did you mean {near[0]}?)' if near else ''}")
        elif not isinstance(value, Mapping):
            yield Problem(path, f"{path} = {value!r} should be a table")


def _without(tables: Mapping[str, Any], key: str) -> Tables:
    return {name: value for name, value in tables.items() if name != key}


def _shared(one: Mapping[str, Any], other: Mapping[str, Any]) -> Tables:
    """Settings with the same value in both, tables key by key."""
    shared: Tables = {}
    for key, value in one.items():
        if key in other and isinstance(value, Mapping) and isinstance(other[key], Mapping):
            shared[key] = _shared(value, other[key])
        elif key in other and value == other[key] and type(value) is type(other[key]):
            shared[key] = value
    return shared


def _difference(tables: Mapping[str, Any], common: Mapping[str, Any]) -> Tables:
    """What `common` needs merged over it to become `tables`."""
    own: Tables = {}
    for key, value in tables.items():
        if key not in common:
            own[key] = value
        elif isinstance(value, Mapping) and (inner := _difference(value, common[key])):
            own[key] = inner
    return own
