"""What a user asks of `fusion train`, and what comes out, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fusioncli.config.recipe import Recipe
from fusioncli.workflows.train.events import Size


@dataclass(frozen=True)
class TrainRequest:
    """One training run, or one stage of it.

    Attributes:
        recipe: resolved.
        folder: where weights, logs and checkpoints go; it is made if there is none.
        devices: processes on this machine, one GPU each where there are GPUs.
        device: "auto", "cpu", "cuda" or "cuda:N".
        resume: continue from the newest checkpoint in the folder; otherwise what a run left there is deleted.
    """

    recipe: Recipe
    folder: Path
    devices: int = 1
    device: str = "auto"
    resume: bool = True

    @property
    def weights(self) -> Path:
        """Where the result goes."""
        return self.folder / "weights.safetensors"


@dataclass(frozen=True)
class TrainReport:
    """What came out.

    Attributes:
        path: the weights: the best ones by the monitored index, or the last ones without validation.
        step: optimiser steps taken in all.
        resumed_from: step that the run continued from; 0 for a fresh run.
        figures: indices of these weights; empty without validation.
        sha256: of the file.
        size: of the network.
    """

    path: Path
    step: int
    resumed_from: int
    figures: Mapping[str, float]
    sha256: str
    size: Size
