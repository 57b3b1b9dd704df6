"""`fusion recipes`: what can be trained, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from fusioncli.cli import render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions
from fusioncli.errors import DataError, UsageError

recipes = typer.Typer(
    help="Training recipes: list, show, copy and check them.", no_args_is_help=True, rich_markup_mode="rich"
)

_METAVAR = "NAME|FILE"
_HELP = "A packaged recipe's name, or a TOML file."


def _known_names() -> list[str]:
    from fusioncli.config.load import recipe_names

    return recipe_names()


@dataclass(frozen=True)
class RecipeOptions:
    """One recipe, with overrides."""

    recipe: Annotated[str, typer.Argument(metavar=_METAVAR, help=_HELP, autocompletion=_known_names)]
    sets: Annotated[
        list[str],
        typer.Option("--set", metavar="A.B=VALUE", help="Override one setting, value in TOML; repeatable."),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class RecipesArgument:
    """Any number of recipes."""

    recipes: Annotated[
        list[str],
        typer.Argument(metavar=f"[{_METAVAR}]…", help=f"{_HELP} All packaged ones by default."),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class CopyOptions:
    """One packaged recipe, and where it goes."""

    recipe: Annotated[str, typer.Argument(metavar=_METAVAR, help=_HELP, autocompletion=_known_names)]
    destination: Annotated[
        Path | None, typer.Argument(metavar="[FILE|FOLDER]", help="NAME.toml in this folder by default.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False


@recipes.command("ls")
@takes_groups
def ls(common: CommonOptions) -> None:
    """List the packaged recipes.

    Example: fusion recipes ls
    """
    from fusioncli.config.load import load_stages, recipe_names

    rows = [(name, load_stages(name)[0].description) for name in recipe_names()]
    render.result(render.table(rows), {"recipes": dict(rows)}, common)


@recipes.command("show")
@takes_groups
def show(recipe: RecipeOptions, common: CommonOptions) -> None:
    """Print a recipe with every setting, defaults and overrides included; what is printed is a recipe again.

    Example: fusion recipes show pnn-small --set training.steps=500 > mine.toml
    """
    from fusioncli.config.load import dump_recipe, header, load_stages, recipe_tables, recipe_text

    stages = load_stages(recipe.recipe, recipe.sets)
    comments = header(recipe_text(recipe.recipe))
    text = f"{comments}\n{dump_recipe(*stages)}" if comments else dump_recipe(*stages)
    render.result(text.rstrip("\n"), recipe_tables(*stages), common)


@recipes.command("cp")
@takes_groups
def cp(copy: CopyOptions, common: CommonOptions) -> None:
    """Copy a recipe, comments included, to change it.

    Example: fusion recipes cp pnn-small mine.toml
    """
    from fusioncli.config.load import recipe_text
    from fusioncli.io.files import check_writable, whole_file

    text = recipe_text(copy.recipe)
    name = f"{Path(copy.recipe).stem if copy.recipe.endswith('.toml') else copy.recipe}.toml"
    target = copy.destination or Path(name)
    if target.is_dir():
        target = target / name
    if target.exists() and not copy.overwrite:
        raise DataError(f"{target} exists already", "add --overwrite to replace it, or name another file")
    check_writable(target, overwrite=True, need_bytes=len(text))
    with whole_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    render.result(str(target), {"output": str(target)}, common)


@recipes.command("check")
@takes_groups
def check(given: RecipesArgument, common: CommonOptions) -> None:
    """Validate recipes and name every problem; leaves with exit code 2 if there is one.

    Example: fusion recipes check mine.toml
    """
    from fusioncli.config.load import recipe_names

    sources = given.recipes or recipe_names()
    problems = {source: _problems(source) for source in sources}
    wrong = {source: texts for source, texts in problems.items() if texts}
    for source, texts in wrong.items():
        for text in texts:
            typer.echo(f"problem: {source}: {text}", err=True)
    if not common.json:
        for source in sources:
            typer.echo(f"{source}: {'wrong' if source in wrong else 'right'}")
    else:
        render.result("", {"problems": problems}, common)
    if wrong:
        count = sum(map(len, wrong.values()))
        text = f"{len(wrong)} of {len(sources)} recipes {'is' if len(wrong) == 1 else 'are'} wrong: {count} problems"
        raise UsageError(text, "every setting, with its default: fusion recipes show pnn-small")


def _problems(source: str) -> list[str]:
    """All that is wrong with a recipe, its sensors' names included."""
    from fusioncli.config.load import load_stages
    from fusioncli.config.problems import RecipeError

    try:
        stages = load_stages(source)
    except RecipeError as error:
        return [problem.text for problem in error.problems]
    except UsageError as error:
        return [error.message]
    sensors = dict.fromkeys(sensor for recipe in stages for sensor in recipe.data.sensors())
    return [text for sensor in sensors for text in _sensor_problem(sensor)]


def _sensor_problem(name: str) -> list[str]:
    from fusioncli.core.sensors import find_sensor

    try:
        find_sensor(name)
    except UsageError as error:
        return [f"{error.message}: {error.hint}"]
    return []
