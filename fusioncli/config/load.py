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
from fusioncli.config.problems import RecipeError, find_problems
from fusioncli.config.recipe import Recipe
from fusioncli.config.toml import to_toml
from fusioncli.errors import UsageError

_NO_FLAGS: Mapping[str, object] = {}


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
    """A recipe with its overrides: defaults, under the recipe, under `sets`, under `flags`.

    Args:
        source: as in `recipe_text`.
        sets: texts of `--set`, such as "training.steps=2000".
        flags: dotted names of settings that a command has flags of its own for; None stands for "not given".

    Raises:
        RecipeError: settings are wrong; it holds all the problems.
        UsageError: there is no such recipe, it is no TOML, or a text of `sets` is malformed.
    """
    tables = stack(_parse(source, recipe_text(source)), sets, flags)
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        problems = find_problems(error, tables, Recipe)
        raise RecipeError(
            str(source), problems, "every setting, with its default: fusion recipes show pnn-small"
        ) from error


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as TOML: every setting, defaults included; `load_recipe` reads the same recipe back."""
    return to_toml(recipe.as_tables())


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
