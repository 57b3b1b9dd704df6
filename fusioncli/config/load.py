"""Recipes by name or file: find, read, override, check, write."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from fusioncli.config.layers import Tables, stack
from fusioncli.config.problems import Problem, RecipeError, find_problems
from fusioncli.config.recipe import Recipe
from fusioncli.config.stages import KEY, find_stage_problems, fold, unfold
from fusioncli.config.toml import to_toml
from fusioncli.errors import UsageError

_NO_FLAGS: Mapping[str, object] = {}
_HINT = "every setting, with its default: fusion recipes show pnn-small"


def recipe_names() -> list[str]:
    """Names of the packaged recipes, sorted."""
    return sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml"))


def recipe_text(source: str | Path) -> str:
    """A recipe as it is written, comments included.

    Args:
        source: name of a packaged recipe, or a path that ends with ".toml" or has a folder in it.

    Raises:
        UsageError: there is none, or it is no text.
    """
    path = Path(source)
    try:
        if path.suffix == ".toml" or path.name != str(source):
            return path.read_text(encoding="utf-8")
        return _folder().joinpath(f"{source}.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        _not_found(str(source))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"recipe {source} cannot be read: {reason}", "recipes are TOML: fusion recipes ls") from error


def load_recipe(source: str | Path, sets: Sequence[str] = (), flags: Mapping[str, object] = _NO_FLAGS) -> Recipe:
    """A recipe of one stage; see `load_stages`.

    Raises:
        RecipeError, UsageError: as `load_stages`, or there are several stages.
    """
    recipe, *others = load_stages(source, sets, flags)
    if others:
        names = ", ".join(str(each.stage) for each in (recipe, *others))
        raise UsageError(f"recipe {source} has the stages {names}, and one is wanted here", "load_stages gives all")
    return recipe


def load_stages(
    source: str | Path, sets: Sequence[str] = (), flags: Mapping[str, object] = _NO_FLAGS
) -> tuple[Recipe, ...]:
    """A recipe with its overrides: defaults, under the recipe, under its stages, under `sets`, under `flags`.

    Args:
        source: as in `recipe_text`.
        sets: texts of `--set`, such as "training.steps=2000", or "stages.NAME.training.steps=2000" for one stage.
        flags: dotted names of settings that a command has flags of its own for; None stands for "not given".

    Returns:
        A complete recipe per stage; a single one for a recipe that has no stages.

    Raises:
        RecipeError: settings are wrong; it holds all the problems.
        UsageError: there is no such recipe, it is no TOML, or a text of `sets` is malformed.
    """
    tables, above = _parse(source, recipe_text(source)), stack({}, sets, flags)
    if problems := find_stage_problems(tables, above):
        raise RecipeError(str(source), problems, _HINT)
    checked = {name: _check(own) for name, own in unfold(tables, above).items()}
    if problems := _gather({name: found for name, found in checked.items() if isinstance(found, tuple)}, len(checked)):
        raise RecipeError(str(source), problems, _HINT)
    return tuple(recipe for recipe in checked.values() if isinstance(recipe, Recipe))


def _check(tables: Tables) -> Recipe | tuple[Problem, ...]:
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        return find_problems(error, tables, Recipe)


def _gather(found: Mapping[str, tuple[Problem, ...]], stages: int) -> tuple[Problem, ...]:
    """Problems of all stages once, as the recipe's; those of some under the stage's name."""
    sets = [set(problems) for problems in found.values()]
    shared = set.intersection(*sets) if len(sets) == stages else set()
    common = [problem for problem in next(iter(found.values()), ()) if problem in shared]
    own = [
        Problem(f"{KEY}.{name}.{problem.path}", f"{KEY}.{name}.{problem.text}")
        for name, problems in found.items()
        for problem in problems
        if problem not in shared
    ]
    return (*common, *own)


def dump_recipe(*stages: Recipe) -> str:
    """The resolved recipe as TOML: every setting, defaults included; `load_stages` reads the same stages back."""
    return to_toml(recipe_tables(*stages))


def recipe_tables(*stages: Recipe) -> Tables:
    """The resolved recipe as plain tables: what all stages share, and the rest in `stages`."""
    return fold([recipe.as_tables() for recipe in stages])


def header(text: str) -> str:
    """The comment block that opens a recipe."""
    found = re.match(r"(#.*\n)*", text)
    return found.group() if found else ""


def _folder() -> Path:
    return Path(str(files("fusioncli.config"))) / "recipes"


def _parse(source: str | Path, text: str) -> Tables:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = 'texts are quoted ("adam"), lists are [1, 2], tables start with [name]'
        raise UsageError(f"recipe {source} is not TOML: {error}", hint) from error


def _not_found(source: str) -> NoReturn:
    known = recipe_names()
    near = difflib.get_close_matches(Path(source).stem, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    if Path(source).is_file() or Path(f"{source}.toml").is_file():
        hint = f"a file is given with its ending: ./{source.removesuffix('.toml')}.toml; "
    raise UsageError(f"there is no recipe {source}", f"{hint}packaged: {', '.join(known)} (fusion recipes ls)")
