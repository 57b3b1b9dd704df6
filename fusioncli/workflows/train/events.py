"""What a training run tells whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How many numbers a network has.

    Attributes:
        trainable: those that learn.
        parameters: all of them.
    """

    trainable: int
    parameters: int


@dataclass(frozen=True)
class Prepared:
    """Some of the training data is drawn or read; before `Started`.

    Attributes:
        stage: what is being done, in words.
        done: scenes or files that are done.
        total: of them.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Started:
    """The run, or a stage of it, is about to take its first step.

    Attributes:
        step: optimiser steps that are done already.
        steps: of the whole run.
        device: where it computes, in words.
        stage: name of the stage; empty for a run in one.
        size: of the network.
        notes: on the files that its weights started from.
    """

    step: int
    steps: int
    device: str
    stage: str
    size: Size
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Progressed:
    """Some optimiser steps are done.

    Attributes:
        step: steps done.
        steps: of the whole run.
        loss: mean over the steps since the last such event.
        learning_rate: of the last of them.
        images_per_s: patches per second, all devices together.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    images_per_s: float


@dataclass(frozen=True)
class Validated:
    """The weights were measured on the validation patches.

    Attributes:
        step: steps done.
        figures: mean of each index over the patches where it is defined.
        best: whether these are the best weights so far.
    """

    step: int
    figures: Mapping[str, float]
    best: bool


Event = Prepared | Started | Progressed | Validated
Listener = Callable[[Event], None]
