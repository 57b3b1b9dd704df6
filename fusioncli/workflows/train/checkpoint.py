"""The state of a run on disk: whole files, one per kept step, that a killed run continues from bit for bit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fusioncli.errors import DataError
from fusioncli.io.files import whole_file, write_failure

_SCHEMA = 1


@dataclass(frozen=True)
class Lineage:
    """What a state belongs to; another one's state is refused.

    Attributes:
        arch: architecture of the network.
        recipe: digest of all settings that shape the weights.
        data: digest of the patches.
    """

    arch: str
    recipe: str
    data: str


@dataclass
class RunState:
    """Where a run stands; everything else follows from the recipe.

    Attributes:
        step: optimiser steps that are done.
        learner: weights, running mean, optimiser.
        generators: torch's random generators, one dict per process.
        best: value of the monitored index that is to be beaten.
        figures: all indices of the best weights.
        stale: validations since then.
    """

    step: int = 0
    learner: dict[str, Any] = field(default_factory=dict)
    generators: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    stale: int = 0


@dataclass(frozen=True)
class Checkpoints:
    """The kept states of one run.

    Attributes:
        folder: where they are.
        lineage: of the run.
        keep: how many.
    """

    folder: Path
    lineage: Lineage
    keep: int

    def save(self, state: RunState) -> None:
        """Write a state and delete all but the newest; a crash at any moment leaves the old ones whole.

        Raises:
            DataError: the disk is full or the folder cannot be written to.
        """
        path = self.folder / f"step-{state.step:08d}.pt"
        contents = {"schema": _SCHEMA, "lineage": vars(self.lineage), "state": vars(state)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary, temporary.open("wb") as file:
                torch.save(contents, file)
        except OSError as error:
            raise write_failure(path, error) from error
        except RuntimeError as error:  # what torch's writer makes of a full disk
            raise DataError(
                f"{path} cannot be written ({error})", "free some space; the same command resumes"
            ) from error
        for old in (*self._paths()[self.keep :], *self.folder.glob(".step-*")):  # the latter left by a killed process
            old.unlink(missing_ok=True)

    def latest(self) -> RunState | None:
        """The newest state that can be read, or None.

        Raises:
            DataError: it is of another architecture, recipe or data.
        """
        for path in self._paths():
            if (contents := _read(path)) is not None:
                self._check(path, contents)
                return RunState(**contents["state"])
        return None

    def clear(self) -> None:
        """Delete all states."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        """Newest first."""
        return sorted((path for path in self.folder.glob("step-*.pt") if _step(path) is not None), reverse=True)

    def _check(self, path: Path, contents: Mapping[str, Any]) -> None:
        theirs, ours = contents["lineage"], vars(self.lineage)
        if theirs == ours:
            return
        what = next(name for name in ours if theirs.get(name) != ours[name])
        values = f" ('{theirs.get(what)}', not '{ours[what]}')" if what == "arch" else ""
        name = {"arch": "architecture", "recipe": "recipe", "data": "training data"}[what]
        raise DataError(
            f"{path} was left by a run with another {name}{values}",
            "choose another folder with -o, or start afresh in this one with --no-resume",
        )


def _step(path: Path) -> int | None:
    found = re.fullmatch(r"step-(\d+)\.pt", path.name)
    return int(found.group(1)) if found else None


def _read(path: Path) -> dict[str, Any] | None:
    """The contents, or None if they are damaged or of another schema; the next older state serves then."""
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises whatever unpickling stumbles over
        return None
    return contents if isinstance(contents, dict) and contents.get("schema") == _SCHEMA else None


def generators(device: torch.device) -> dict[str, Any]:
    """The state of torch's random generators of one process."""
    gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"cpu": torch.get_rng_state(), "gpu": gpu}


def restore_generators(states: list[dict[str, Any]], rank: int, device: torch.device) -> None:
    """Set the random generators of a process as they were, if a process of that rank took part."""
    if rank >= len(states):
        return
    torch.set_rng_state(states[rank]["cpu"])
    if device.type == "cuda" and states[rank]["gpu"] is not None:
        torch.cuda.set_rng_state(states[rank]["gpu"], device)
