"""The flags of `fusion finetune`, and those with which `fusion pansharpen` does it on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from fusioncli.cli.options import (
    INPUT,
    OUTPUT,
    Coregister,
    Device,
    IgnoreGeoref,
    MtfGainText,
    OverwriteFiles,
    PairsMs,
    PairsPan,
    SensorName,
    SrcNodata,
    Threads,
)
from fusioncli.errors import UsageError

if TYPE_CHECKING:
    from fusioncli.workflows.adaptation import Adaptation
    from fusioncli.workflows.finetune_request import Effort
    from fusioncli.workflows.requests import FuseRequest
    from fusioncli.workflows.scene_network import SceneNetwork

_LEARNING = "Learning"

Steps = Annotated[
    int | None,
    Option("--steps", metavar="N", min=1, rich_help_panel=_LEARNING, help="Optimiser steps; 300 by default."),
]
Minutes = Annotated[
    float | None,
    Option("--minutes", metavar="T", min=0.1, rich_help_panel=_LEARNING, help="About so long, instead of --steps."),
]
Seed = Annotated[
    int | None, Option("--seed", metavar="N", min=0, rich_help_panel=_LEARNING, help="Of order, flips and rotations.")
]

Consistency = Annotated[
    float | None,
    Option(
        "--consistency",
        metavar="W",
        min=0,
        rich_help_panel=_LEARNING,
        help="Weight of the error at full resolution, where the fused scene, degraded, should be the MS.",
    ),
]


@dataclass(frozen=True)
class FinetuneScenes:
    """What is learned from."""

    ms: PairsMs
    pan: PairsPan
    base: Annotated[
        Path, Option("--base", metavar="FILE", rich_help_panel=INPUT, help="Weights of the network to start from.")
    ]
    sensor: SensorName = None
    mtf_gain: MtfGainText = None
    src_nodata: SrcNodata = None
    ignore_georef: IgnoreGeoref = False
    coregister: Coregister = False


@dataclass(frozen=True)
class LearnOptions:
    """How long."""

    steps: Steps = None
    minutes: Minutes = None
    seed: Seed = None
    consistency: Consistency = None

    @property
    def effort(self) -> Effort:
        """As data.

        Raises:
            UsageError: steps and minutes.
        """
        from fusioncli.workflows.finetune_request import Effort

        if self.steps is not None and self.minutes is not None:
            raise UsageError("--steps and --minutes both say how long to learn", "leave one of them out")
        return Effort(self.steps, self.minutes, self.seed or 0, self.consistency)

    def refuse_lone(self, others: Mapping[str, object]) -> None:
        """Refuse these flags, and others by name, where there is no --adapt that they go with (UsageError)."""
        own = {"--steps": self.steps, "--minutes": self.minutes, "--seed": self.seed, "--consistency": self.consistency}
        given = {**others, **own}
        if lone := [name for name, value in given.items() if value is not None]:
            raise UsageError(f"{lone[0]} goes with --adapt", f"add --adapt, or leave out {lone[0]}")


@dataclass(frozen=True)
class AdapterOptions:
    """Where the adapter goes."""

    output: Annotated[
        Path, Option("-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="Adapter, a .safetensors file.")
    ]
    overwrite: OverwriteFiles = False


@dataclass(frozen=True)
class LearnRun:
    """What it may use."""

    threads: Threads = "ALL_CPUS"
    device: Device = "auto"


@dataclass(frozen=True)
class AdaptOptions(LearnOptions):
    """Whether a network is fitted to the scene before it fuses it."""

    adapt: Annotated[
        bool, Option("--adapt", rich_help_panel=_LEARNING, help="Fit the network of --weights to this scene first.")
    ] = False
    save_adapter: Annotated[
        Path | None, Option("--save-adapter", metavar="FILE", rich_help_panel=_LEARNING, help="Keep what it learned.")
    ] = None

    def adaptation(self, job: FuseRequest) -> Adaptation | None:
        """What is to be learned before a job is done, if anything.

        Raises:
            UsageError: flags that go together are not together, or there is no network to adapt.
            DataError: the adapter cannot be written.
        """
        if not self.adapt:
            self.refuse_lone({"--save-adapter": self.save_adapter})
            return None
        from fusioncli.workflows.adaptation import plan_adaptation

        return plan_adaptation(job, self.effort, self.save_adapter)


@dataclass(frozen=True)
class SceneNetworkOptions(LearnOptions):
    """Whether a network is trained on the scene of a cube before it is fused."""

    adapt: Annotated[
        bool,
        Option("--adapt", rich_help_panel=_LEARNING, help="Train a small INFN on this scene; used if it does better."),
    ] = False
    save_weights: Annotated[
        Path | None, Option("--save-weights", metavar="FILE", rich_help_panel=_LEARNING, help="Keep what it learned.")
    ] = None

    def network(self, job: FuseRequest) -> SceneNetwork | None:
        """What is to be learned before a job is done, if anything.

        Raises:
            UsageError: flags that go together are not together, or a job with a method.
            DataError: the weights cannot be written.
        """
        if not self.adapt:
            self.refuse_lone({"--save-weights": self.save_weights})
            return None
        from fusioncli.workflows.scene_network import plan_scene_network

        return plan_scene_network(job, self.effort, self.save_weights)
