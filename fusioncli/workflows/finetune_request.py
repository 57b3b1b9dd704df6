"""What it takes to fit a network to scenes: which, from where, and for how long."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fusioncli.errors import UsageError
from fusioncli.io.files import check_writable, whole_file
from fusioncli.io.scene import PairRequest
from fusioncli.models.catalogue import WEIGHTS_SUFFIX
from fusioncli.workflows.requests import MtfGain

STEPS, FRESH_STEPS = 300, 400
CONSISTENCY, FRESH_CONSISTENCY = 0.0, 3.0


@dataclass(frozen=True)
class Effort:
    """How long to learn.

    Attributes:
        steps: optimiser steps; None for as many as the minutes allow, or for `STEPS`, `FRESH_STEPS` of a fresh network.
        minutes: about how long, as timed at the start; not looked at if there are steps.
        seed: of order and augmentation; equal seeds and steps give equal adapters on a CPU.
        consistency: weight of the error at full resolution, where the fused image, degraded, should be the MS; None for
            `CONSISTENCY`, `FRESH_CONSISTENCY` of a fresh network.
    """

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    consistency: float | None = None


@dataclass(frozen=True)
class FinetuneRequest:
    """One adapter.

    Attributes:
        pairs: the scenes.
        base: weights of the network, a whole one.
        output: the adapter.
        folder: where an interrupted run is continued from.
        overwrite: replace an existing adapter.
        effort: how long to learn.
        sensor: name of a sensor preset, or None to guess.
        coregister: measure the shift between MS and PAN and take it out.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: workers that cut patches, or None for one per core.
        fresh: the base has learned nothing yet.
        mtf_gain: instead of the sensor's.
    """

    pairs: Sequence[PairRequest]
    base: Path
    output: Path
    folder: Path
    overwrite: bool = False
    effort: Effort = field(default_factory=Effort)
    sensor: str | None = None
    coregister: bool = False
    device: str = "auto"
    threads: int | None = None
    fresh: bool = False
    mtf_gain: MtfGain | None = None

    @property
    def usual_steps(self) -> int:
        """Where nobody says how long to learn."""
        return FRESH_STEPS if self.fresh else STEPS

    @property
    def consistency(self) -> float:
        """Weight of the error at full resolution."""
        usual = FRESH_CONSISTENCY if self.fresh else CONSISTENCY
        return usual if self.effort.consistency is None else self.effort.consistency

    def clear(self) -> None:
        """Delete what an interrupted run would be continued from."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self, made: Path, save_to: Path | None) -> None:
        """Keep a file of weights that was made on the way, if somebody wants it and it is there, and clear up."""
        if save_to is not None and made.is_file():
            with whole_file(save_to) as temporary:
                shutil.copyfile(made, temporary)
        self.clear()


def check_kept(save_to: Path | None, option: str, overwrite: bool) -> None:
    """A place for weights that a job makes on the way; nothing where nobody wants them.

    Raises:
        UsageError: no file of weights.
        DataError: it exists and may not be replaced, or cannot be written.
    """
    if save_to is None:
        return
    if save_to.suffix != WEIGHTS_SUFFIX:
        raise UsageError(
            f"{option} takes a file {WEIGHTS_SUFFIX}, got {save_to}", f"name it {save_to.stem}{WEIGHTS_SUFFIX}"
        )
    check_writable(save_to, overwrite, 0)
