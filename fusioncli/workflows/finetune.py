"""Fit a network to a user's own scenes: a training run from its weights, on patches in memory; an adapter comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from fusioncli.config.architectures import PANSHARPENING
from fusioncli.config.data import DataConfig
from fusioncli.config.identity import Identity
from fusioncli.config.load import load_recipe
from fusioncli.config.recipe import (
    CheckpointConfig,
    ConsistencyConfig,
    OptimiserConfig,
    Recipe,
    ScheduleConfig,
    StartConfig,
    TrainingConfig,
    ValidationConfig,
)
from fusioncli.core.tiling import Blend
from fusioncli.errors import DataError, UsageError
from fusioncli.io.files import check_writable
from fusioncli.io.weights import read_header
from fusioncli.models.catalogue import WEIGHTS_SUFFIX
from fusioncli.models.networks import build_network
from fusioncli.models.start import start_network
from fusioncli.models.weights import Weights, load_weights, save_adapter
from fusioncli.workflows.finetune_request import FinetuneRequest
from fusioncli.workflows.memory import available_cores
from fusioncli.workflows.scene_patches import SceneCut, ScenePatches, cut_scenes
from fusioncli.workflows.train.events import Listener, Prepared, Validated
from fusioncli.workflows.train.feed import Feed
from fusioncli.workflows.train.interruption import listen_for_interruption
from fusioncli.workflows.train.learner import Learner
from fusioncli.workflows.train.records import belongs
from fusioncli.workflows.train.request import TrainReport, TrainRequest
from fusioncli.workflows.train.run import Session, lineage
from fusioncli.workflows.train.validate import Validation
from fusioncli.workflows.train.world import World, join_world

_LEAST_STEPS = 20
_VALIDATIONS = 10
_BATCH, _RATE = 16, 3e-4
_FRESH_RATE = 2e-3
_PATCH_PX = 64  # where the network does not ask for another size
_NAME, _MONITOR = "finetune", "ERGAS"
_TIMED_STEPS = 5


@dataclass(frozen=True)
class FinetuneReport:
    """What came out.

    Attributes:
        path: the adapter; where learning made nothing better, it holds the base's own numbers.
        sha256: of the file.
        steps: optimiser steps of the run.
        patches: how many trained and how many validated.
        before: indices of the base on the validation patches.
        after: of the base under the adapter.
        improved: whether the second are better.
        notes: what the user should know.
    """

    path: Path
    sha256: str
    steps: int
    patches: tuple[int, int]
    before: Mapping[str, float]
    after: Mapping[str, float]
    improved: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Tuned:
    """A run that is over.

    Attributes:
        before: indices of the base on the validation patches.
        found: the best weights, whole.
        steps: optimiser steps.
    """

    before: Mapping[str, float]
    found: TrainReport
    steps: int


def finetune(request: FinetuneRequest, listener: Listener) -> FinetuneReport:
    """Learn from scenes what is special about them; the best weights on the validation patches are kept.

    Only parameters that the network itself calls trainable are trained; the adapter holds nothing else. Ctrl-C leaves a
    checkpoint in the request's folder, and the same request goes on from there.

    Args:
        request: scenes and base.
        listener: told about everything; first about the base's own figures, as of step 0.

    Raises:
        DataError: scenes, base or output are unusable or do not go together, or learning diverges.
        UsageError: wrong names or a base that is no pansharpening network.
        KeyboardInterrupt: somebody asked to leave.
    """
    base = _open_base(request)
    identity = base.identity
    patch_px = _patch_px(identity)
    cut = SceneCut(
        identity,
        str(request.base),
        patch_px,
        request.sensor,
        request.coregister,
        request.effort.seed,
        request.threads or available_cores(),
        windows_px=patch_px // identity.ratio if request.consistency else 0,  # as large as a patch
        mtf_gain=request.mtf_gain,
    )
    patches = cut_scenes(request.pairs, cut, lambda *step: listener(Prepared(*step)))
    tuned = tune(request, identity, patches, listener)
    before, found = tuned.before, tuned.found
    improved = found.figures.get(_MONITOR, torch.inf) < before[_MONITOR]
    after = found.figures if improved else before
    facts = {"sensor": patches.training.facts.sensor, "recipe": _NAME, "metrics": dict(after)}
    tensors = load_weights(found.path).tensors if improved else base.tensors
    digest = save_adapter(request.output, tensors, identity.changed(**facts), base, _trained_names(identity))
    counts = len(patches.training), len(patches.validation)
    return FinetuneReport(
        request.output,
        digest,
        tuned.steps,
        counts,
        before,
        after,
        improved,
        _notes(patches, identity, improved),
    )


def tune(request: FinetuneRequest, identity: Identity, patches: ScenePatches, listener: Listener) -> Tuned:
    """The run itself, or what is left of it if the request's folder holds a part of this very run.

    Args:
        request: the base and how long to learn.
        identity: of the base.
        patches: what is learned from.
        listener: told about everything; first about the base's own figures, as of step 0.

    Raises:
        DataError: learning diverges, or the folder cannot be written to.
        KeyboardInterrupt: somebody asked to leave.
    """
    with listen_for_interruption() as interruption, join_world(request.device) as world:
        before, recipe, folder_belongs = _prepare(request, _recipe(request, identity, patches), patches, world)
        listener(Validated(0, before, False))
        run = TrainRequest(recipe, request.folder, device=request.device, resume=folder_belongs)
        found = Session(run, world, patches.samples, patches.validation).go(listener, interruption)
    assert found is not None  # this process leads
    return Tuned(before, found, recipe.training.steps)


def _open_base(request: FinetuneRequest) -> Weights:
    """The base, once it is clear that an adapter of it can be written."""
    output, path = request.output, request.base
    if output.suffix != WEIGHTS_SUFFIX or path.suffix != WEIGHTS_SUFFIX:
        wrong = path if path.suffix != WEIGHTS_SUFFIX else output
        raise UsageError(
            f"base and adapter are files {WEIGHTS_SUFFIX}, got {wrong}", "see what there is: fusion weights ls"
        )
    if output.resolve() == path.resolve():
        raise UsageError(f"{output} is the base itself", "name another file with -o")
    check_writable(output, request.overwrite, 0)
    identity = read_header(path).identity
    if identity.kind == "adapter":
        raise DataError(
            f"{path} is an adapter, of {identity.base.name if identity.base else 'another file'}",
            "give its base, and all scenes, to fit one adapter to all of them",
        )
    if (inputs := identity.model().inputs) != PANSHARPENING:
        raise UsageError(
            f"{path} is a network of {', '.join(inputs)}, not of MS and PAN", "choose a pansharpening network"
        )
    return load_weights(path)


def _patch_px(identity: Identity) -> int:
    """The tile of networks that have one, for they know no other size."""
    rule = build_network(identity.model()).rule(0)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue] - a Network
    return rule.tile_px if isinstance(rule, Blend) else max(1, _PATCH_PX // identity.ratio) * identity.ratio


def _trained_names(identity: Identity) -> set[str]:
    network = build_network(identity.model())
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def _recipe(request: FinetuneRequest, identity: Identity, patches: ScenePatches) -> Recipe:
    """The run as a recipe of its own; the number of steps is not final if it depends on the time."""
    sources, rate = patches.training.facts.sources, _FRESH_RATE if request.fresh else _RATE
    return Recipe(
        name=_NAME,
        loss="components" if request.fresh else "l1",
        description=f"{request.base.name}, fitted to {', '.join(sources)}",
        model=identity.model(),
        data=_data(identity, patches),
        start=StartConfig(weights=str(request.base)),
        optimiser=OptimiserConfig(name="adamw", learning_rate=rate, weight_decay=1e-4, clip_norm=1.0),
        training=TrainingConfig(
            steps=request.effort.steps or request.usual_steps, ema_decay=0.99, seed=request.effort.seed
        ),
        consistency=_consistency(request.consistency, patches),
        validation=ValidationConfig(metrics=("SAM", "ERGAS"), monitor=_MONITOR),
        checkpoint=CheckpointConfig(keep=1),
    )


def _data(identity: Identity, patches: ScenePatches) -> DataConfig:
    """Small batches where there are many bands, whose degradation takes most of the time."""
    sources = patches.training.facts.sources
    batch = max(_BATCH // 4, min(_BATCH, _BATCH**2 // identity.bands))
    return DataConfig(train=sources, validation=sources, patch_px=patches.training.crop_px, batch_size=batch)


def _consistency(weight: float, patches: ScenePatches) -> ConsistencyConfig:
    return ConsistencyConfig() if patches.windows is None else ConsistencyConfig(weight=weight, gains=patches.gains)


def _prepare(
    request: FinetuneRequest, recipe: Recipe, patches: ScenePatches, world: World
) -> tuple[dict[str, float], Recipe, bool]:
    """The base's own figures, the recipe with its final number of steps, and whether the folder holds this very run."""
    network, origin = start_network(recipe.model, recipe.start)
    learner, effort = Learner(recipe, network, world), request.effort
    start = perf_counter()
    before = Validation(patches.validation, recipe, world).measure(learner)
    validation_s = perf_counter() - start
    steps = effort.steps or (request.usual_steps if effort.minutes is None else _steps_before(request.folder))
    if steps is None and effort.minutes is not None:
        room_s = effort.minutes * 60 - _VALIDATIONS * validation_s
        steps = max(_LEAST_STEPS, int(room_s / _step_s(learner, Feed(patches.samples, recipe, world))))
    final = _with_steps(recipe, steps or request.usual_steps)
    same = lineage(final, origin, patches.samples, patches.validation)
    return before, final, belongs(request.folder, same)


def _steps_before(folder: Path) -> int | None:
    """Of the run that is to be continued: timed again, there might be another number."""
    path = folder / "recipe.toml"
    return load_recipe(path).training.steps if path.is_file() else None


def _step_s(learner: Learner, feed: Feed) -> float:
    """Seconds for a step, after one that warms up; the learner is of no use after that."""
    start = perf_counter()
    for step, batches in enumerate(feed.steps(0, 1 + _TIMED_STEPS)):
        float(learner.step(batches, step))
        if step == 0:
            start = perf_counter()
    return (perf_counter() - start) / _TIMED_STEPS


def _with_steps(recipe: Recipe, steps: int) -> Recipe:
    every = max(1, steps // _VALIDATIONS)
    return recipe.model_copy(
        update={
            "training": recipe.training.model_copy(update={"steps": steps}),
            "schedule": ScheduleConfig(kind="cosine", warmup_steps=min(50, steps // 10)),
            "validation": recipe.validation.model_copy(update={"every_steps": every}),
            "checkpoint": recipe.checkpoint.model_copy(update={"every_steps": every}),
        }
    )


def _notes(patches: ScenePatches, identity: Identity, improved: bool) -> tuple[str, ...]:
    notes = list(patches.notes)
    if identity.sensor and (sensor := patches.training.facts.sensor) not in identity.sensor.split():
        notes.append(f"the base was trained for {identity.sensor}, the scene is of {sensor}")
    if not improved:
        notes.append("learning made nothing better on the validation patches: the adapter leaves the base as it is")
    return tuple(notes)
