"""What a run leaves beside its weights: the resolved recipe, `run.json`, a CSV log, and TensorBoard's if installed."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fusioncli import __version__
from fusioncli.config.load import dump_recipe
from fusioncli.config.recipe import Recipe
from fusioncli.io.files import whole_file
from fusioncli.workflows.train.checkpoint import Lineage
from fusioncli.workflows.train.events import Event, Progressed, Validated

_FIGURES = ("loss", "learning_rate", "images_per_s")


def write_text(path: Path, text: str) -> None:
    """A text file that is whole or not there (DataError: it cannot be written)."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_recipe(folder: Path, *stages: Recipe) -> None:
    """The resolved recipe: `fusion train FOLDER/recipe.toml` repeats the run."""
    write_text(folder / "recipe.toml", dump_recipe(*stages))


def write_run(folder: Path, recipe: Recipe, facts: Mapping[str, Any]) -> None:
    """`run.json`: what was run, where, on which data, and what came of it."""
    run = {
        "command": sys.argv,
        "folder": str(Path.cwd()),
        "versions": {"fusioncli": __version__, "python": platform.python_version()}
        | {name: version(name) for name in ("torch", "numpy", "h5py", "safetensors")},
        "platform": platform.platform(),
        **facts,
        "recipe": recipe.as_tables(),
    }
    write_text(folder / "run.json", json.dumps(_finite(run), indent=1) + "\n")


def belongs(folder: Path, lineage: Lineage) -> bool:
    """Whether the run that a folder holds is of this lineage."""
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))["lineage"] == vars(lineage)
    except (OSError, ValueError, KeyError):
        return False


def _finite(value: Any) -> Any:  # noqa: ANN401 - anything JSON knows
    """JSON has no NaN: undefined figures become null."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Log:
    """The course of a run as a table, one row per event; a resumed run continues it without repeating a step."""

    def __init__(self, folder: Path, indices: Sequence[str], step: int) -> None:
        """Open the log of a run that stands at `step`; rows beyond it are dropped."""
        self._path, self._columns = folder / "log.csv", ("step", *_FIGURES, *indices)
        write_text(self._path, self._kept(step))
        self._board = _board(folder / "tensorboard", step)

    def add(self, event: Event) -> None:
        """Write down a progress or a validation; other events pass."""
        if isinstance(event, Progressed):
            self._write(event.step, {name: getattr(event, name) for name in _FIGURES}, "training")
        elif isinstance(event, Validated):
            self._write(event.step, event.figures, "validation")

    def close(self) -> None:
        """Flush what TensorBoard still holds."""
        if self._board is not None:
            self._board.close()

    def _write(self, step: int, values: Mapping[str, float], group: str) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow([step, *(values.get(name, "") for name in self._columns[1:])])
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def _kept(self, step: int) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self._columns)
        if step and self._path.exists():
            with self._path.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file) if len(row) == len(self._columns) and row[0].isdecimal()]
            writer.writerows(row for row in rows if int(row[0]) <= step)
        return text.getvalue()


def _board(folder: Path, step: int) -> Any:  # noqa: ANN401 - SummaryWriter, or None
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
