"""`fusion train`: from a recipe and patches to weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusioncli.cli import render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import RUN, CommonOptions, Device
from fusioncli.cli.recipes import RecipeOptions

if TYPE_CHECKING:
    from fusioncli.workflows.train.events import Event, Listener, Started


@dataclass(frozen=True)
class TrainOptions:
    """Where a run goes and what it may use."""

    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", rich_help_panel=RUN, help="Result; runs/NAME by default."),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", min=1, rich_help_panel=RUN, help="The same as --set training.steps=N."),
    ] = None
    devices: Annotated[
        int,
        typer.Option(
            "--devices",
            metavar="N",
            min=1,
            rich_help_panel=RUN,
            help="Processes on this machine, one GPU each where there are any.",
        ),
    ] = 1
    device: Device = "auto"
    stage: Annotated[
        str | None,
        typer.Option("--stage", metavar="NAME", rich_help_panel=RUN, help="Train one stage of a recipe in several."),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", rich_help_panel=RUN, help="Continue from the newest checkpoint, or start afresh."
        ),
    ] = True


@takes_groups
def train(recipe: RecipeOptions, run: TrainOptions, common: CommonOptions) -> None:
    """Train a network as a recipe says; a killed run is continued, bit for bit, by the same command.

    The last line of stdout is the path of the weights.

    Example: fusion train pnn-small -o runs/pnn --set data.train=train.h5 --set data.validation=validation.h5
    """
    from fusioncli.config.load import load_stages
    from fusioncli.workflows.train.request import TrainRequest
    from fusioncli.workflows.train.stages import train_stages

    stages = load_stages(recipe.recipe, recipe.sets, {"training.steps": run.steps})
    folder = run.output or Path("runs") / stages[0].name
    request = TrainRequest(stages[0], folder, run.devices, run.device, run.resume)
    with training_display(common) as listener:
        report = train_stages(stages, request, listener, run.stage)
    if report is None:  # one of several processes, and not the one that speaks
        return
    if report.resumed_from:
        done = report.resumed_from == report.step
        text = "the run was complete already" if done else f"continued from step {report.resumed_from}"
        render.notes([text], common)
    facts = {
        "output": str(report.path),
        "sha256": report.sha256,
        "step": report.step,
        "resumed_from": report.resumed_from,
        "trainable": report.size.trainable,
        "parameters": report.size.parameters,
        "metrics": {name: value for name, value in report.figures.items() if isfinite(value)},
    }
    render.result(str(report.path), facts, common)


@contextmanager
def training_display(common: CommonOptions) -> Iterator[Listener]:
    """A line per validation, and a bar with loss, rate, images per second and remaining time on a terminal."""
    from fusioncli.workflows.train.events import Prepared, Progressed, Started, Validated

    with _bar(common) as advance:

        def show(event: Event) -> None:
            match event:
                case Prepared():
                    advance(event.done, event.total, event.stage)
                case Started():
                    render.notes([_start_line(event), *event.notes], common)
                    advance(event.step, event.steps, "")
                case Progressed():
                    text = f"loss {event.loss:.5f}  rate {event.learning_rate:.2e}  {event.images_per_s:.0f} images/s"
                    advance(event.step, event.steps, text)
                case Validated() if common.level >= 0:
                    figures = "  ".join(f"{name} {value:.4f}" for name, value in event.figures.items())
                    typer.echo(f"step {event.step}  {figures}{'  best' if event.best else ''}", err=True)

        yield show


def _start_line(event: Started) -> str:
    size, stage = event.size, f"stage {event.stage}: " if event.stage else ""
    learns = f"{size.trainable:,} of {size.parameters:,} parameters learn"
    return f"{stage}{learns}, on {event.device}, from step {event.step} of {event.steps}"


@contextmanager
def _bar(common: CommonOptions) -> Iterator[Callable[[int, int, str], None]]:
    if common.level < 0 or not sys.stderr.isatty():
        yield lambda step, steps, text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: list[Any] = []

        def advance(step: int, steps: int, text: str) -> None:
            if not tasks:
                tasks.append(bar.add_task("", total=steps))
            bar.update(tasks[0], completed=step, total=steps, description=text)

        yield advance
