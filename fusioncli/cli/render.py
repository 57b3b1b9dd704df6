"""What people see: notes and a progress bar on stderr, results on stdout."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from fusioncli.cli.options import CommonOptions


def notes(texts: Sequence[str], common: CommonOptions) -> None:
    """One `note:` line each, unless quiet."""
    if common.level >= 0:
        for text in texts:
            typer.echo(f"note: {text}", err=True)


def details(texts: Sequence[str], common: CommonOptions) -> None:
    """Lines for -v."""
    if common.level >= 1:
        for text in texts:
            typer.echo(text, err=True)


def result(line: str, facts: Mapping[str, Any], common: CommonOptions) -> None:
    """The last line of stdout: a plain line, or the facts as one JSON object."""
    typer.echo(json.dumps(facts, default=str, allow_nan=False) if common.json else line)


def table(rows: Sequence[tuple[str, object]]) -> str:
    """Two aligned columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def listen_to_gdal(common: CommonOptions) -> None:
    """Show GDAL's own messages at -vv; otherwise our errors carry what matters."""
    logger = logging.getLogger("rasterio")
    logger.handlers = [logging.StreamHandler() if common.level >= 2 else logging.NullHandler()]
    logger.propagate = False


@contextmanager
def progress_bar(common: CommonOptions) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr when it is a terminal and the user is not quiet; silence in pipes."""
    if common.level < 0 or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done)

        yield show
