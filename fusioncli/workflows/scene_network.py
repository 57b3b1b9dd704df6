"""A job for a cube with a network of its own: INFN, trained on the job's scene alone, if that beats the methods.

It starts as the best linear method and learns what that lacks: one scale coarser, by Wald's protocol, as `finetune`
does, and at full resolution, that the fused cube degrades to the HSI. A strip of the scene is kept out of the training;
there the network and every method for cubes fuse the same windows, and the better one does the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.sensors import Sensor
from fusioncli.errors import DataError, UsageError
from fusioncli.io.patch_arrays import Stack
from fusioncli.io.scene import ScenePair
from fusioncli.models.catalogue import AUTO, CUBE_METHODS, WEIGHTS_SUFFIX
from fusioncli.models.hyperspectral.detail import DetailFusion, HyperDetail
from fusioncli.models.infn.subspace import SubspaceInfn
from fusioncli.models.networks import build_network
from fusioncli.models.weights import fill, load_weights, save_weights
from fusioncli.workflows.finetune import tune
from fusioncli.workflows.finetune_request import Effort, FinetuneRequest, check_kept
from fusioncli.workflows.fuse import fitted
from fusioncli.workflows.memory import available_cores
from fusioncli.workflows.plan import FusePlan, cut_scene, model_for, plan_fusion
from fusioncli.workflows.requests import FuseRequest
from fusioncli.workflows.scene_patches import SceneCut, ScenePatches, cut_scenes, held_out, roomy_side
from fusioncli.workflows.selfcheck import LEAST_CELLS, Score, compare
from fusioncli.workflows.train.events import Listener, Prepared

_PATCH_PX, _OVERLAP = 32, 4
_WINDOW_CELLS = 12
_STEPS_UNCHECKED = 150  # where no ground is held out, so that nothing tells when to stop …
_BELIEVED_UNCHECKED = 0.5  # … nor how much of what was learned holds for the scene
_COMPONENTS, _FEW_BANDS = 10, 16
_OPTIONS = {"width": 32, "blocks": 2, "hidden": (64, 64)}


@dataclass(frozen=True)
class SceneNetworkReport:
    """What came out.

    Attributes:
        weights: of the network.
        scores: of the best method for cubes and of the network on the strip that was held out; None where the scene
            has no room for one.
        steps: optimiser steps of the run.
        patches: how many trained and how many validated.
        notes: what the user should know.
    """

    weights: Path
    scores: tuple[Score, Score] | None
    steps: int
    patches: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def improved(self) -> bool:
        """Whether the network does the job; one that nothing could be held against does."""
        return self.scores is None or self.scores[1].ergas < self.scores[0].ergas


@dataclass(frozen=True)
class SceneNetwork:
    """What is learned before a job is done.

    Attributes:
        job: without a method.
        request: of the run, whose folder is kept until the job is done: an interrupted job takes up where it was left.
        save_to: where the weights go in the end, or None.
    """

    job: FuseRequest
    request: FinetuneRequest
    save_to: Path | None

    def learn(self, listener: Listener) -> SceneNetworkReport:
        """Train and compare.

        Raises:
            DataError: unusable files, a scene that is too small, too little memory, or learning diverges.
            KeyboardInterrupt: somebody asked to leave.
        """
        plan = plan_fusion(replace(self.job, method=replace(self.job.method, name=HyperDetail.name)))
        pair, sensor = plan.pair, plan.sensor
        linear = fitted(plan, lambda *_: None)
        assert isinstance(linear, DetailFusion)
        cut = self._cut(pair, sensor, len(linear.weights))
        patches = cut_scenes(self.request.pairs, cut, lambda *step: listener(Prepared(*step)))
        identity = cut.identity.changed(sensor=patches.training.facts.sensor)
        self.request.folder.mkdir(exist_ok=True)
        self._tempered.unlink(missing_ok=True)  # of another run, which may have been cut off
        _write_start(self.request.base, identity, patches, linear, self.request.effort.seed)
        self._check_memory(plan)
        tuned = tune(self._bounded(cut.held_out), identity, patches, listener)
        learned = tuned.found.path
        scores = self._scores(pair, sensor, cut, learned) if cut.held_out else None
        if scores is None:
            _temper(learned, self._tempered)
            learned = self._tempered
        counts = len(patches.training), len(patches.validation)
        return SceneNetworkReport(learned, scores, tuned.steps, counts, patches.notes)

    def job_after(self, report: SceneNetworkReport) -> FuseRequest:
        """The job with the better one of network and method."""
        if report.improved:
            return replace(self.job, method=replace(self.job.method, weights=report.weights))
        assert report.scores is not None  # it was held against something
        return replace(self.job, method=replace(self.job.method, name=report.scores[0].method))

    def finish(self) -> None:
        """Keep the weights, if somebody wants them, and delete the folder of the run."""
        made = self._tempered if self._tempered.is_file() else self.request.folder / f"weights{WEIGHTS_SUFFIX}"
        self.request.finish(made, self.save_to)

    @property
    def _tempered(self) -> Path:
        return self.request.folder / f"tempered{WEIGHTS_SUFFIX}"

    def _check_memory(self, plan: FusePlan) -> None:
        """Refuse a job that has too little for the network, before anything is learned."""
        model = model_for(str(self.request.base), self.job.method, plan.sensor, plan.pair)
        cut_scene(plan.pair, model, plan.values.dtype, self.job.resources)

    def _bounded(self, checked: bool) -> FinetuneRequest:
        """The run; a short one if it is not checked and nobody says how long."""
        effort = self.request.effort
        if checked or effort.steps is not None or effort.minutes is not None:
            return self.request
        return replace(self.request, effort=replace(effort, steps=_STEPS_UNCHECKED))

    def _cut(self, pair: ScenePair, sensor: Sensor, classes: int) -> SceneCut:
        ratio, bands = pair.alignment.ratio, pair.bands
        options = {**_OPTIONS, "components": bands if bands <= _FEW_BANDS else _COMPONENTS, "classes": classes}
        images = {"bands": bands, "guide_bands": pair.guide_bands, "ratio": ratio}
        model = ModelConfig.model_validate({"arch": "infn", "options": options, **images})
        identity = Identity.of_model(model, value_max=1.0, upsampler=self.job.method.upsampler)
        side, held_out = roomy_side(pair, sensor, self.job.method.upsampler, max(LEAST_CELLS, _PATCH_PX // ratio))
        return SceneCut(
            identity,
            self.request.base.name,
            side * ratio,
            sensor,
            seed=self.request.effort.seed,
            threads=self.request.threads or available_cores(),
            overlap=_OVERLAP,
            windows_px=_WINDOW_CELLS if self.request.consistency else 0,
            held_out=held_out,
        )

    def _scores(self, pair: ScenePair, sensor: Sensor, cut: SceneCut, weights: Path) -> tuple[Score, Score]:
        """Of the best method for cubes, and of the network."""
        names = [*(method.name for method in CUBE_METHODS), str(weights)]
        models = {name: model_for(name, self.job.method, sensor, pair) for name in names}
        scores = compare(pair, sensor, models, held_out(pair, sensor, cut))
        by_network = {score.method == str(weights): score for score in reversed(scores)}
        if len(by_network) < 2:
            raise DataError(
                "the strip that is held out of the training holds too little data to compare methods on",
                "fuse without --adapt",
            )
        return by_network[False], by_network[True]


def plan_scene_network(job: FuseRequest, effort: Effort, save_to: Path | None) -> SceneNetwork:
    """Plan it; writes nothing.

    Args:
        job: of a cube, without a method.
        effort: how long to learn.
        save_to: where to keep the weights, or None.

    Raises:
        UsageError: the job has a method.
        DataError: the weights cannot be written.
    """
    method, path = job.method, job.output.path
    if method.weights is not None or method.name.lower() != AUTO:
        raise UsageError(
            "--adapt trains a network on this scene and compares it with every method for cubes",
            "leave out --method and --weights, or --adapt",
        )
    check_kept(save_to, "--save-weights", job.output.overwrite)
    folder = path.with_name(path.name + ".adapt")
    start = folder / f"start{WEIGHTS_SUFFIX}"
    request = FinetuneRequest(
        (job.pair,),
        start,
        start,
        folder,
        overwrite=True,
        effort=effort,
        sensor=method.sensor,
        device=job.resources.device,
        threads=job.resources.threads,
        fresh=True,
    )
    return SceneNetwork(job, request, save_to)


def _write_start(path: Path, identity: Identity, patches: ScenePatches, linear: DetailFusion, seed: int) -> None:
    """A network that does what the linear method does, with the directions and scales of the training patches."""
    model, stacks = identity.model(), patches.training.stacks
    torch.manual_seed(seed)
    network = SubspaceInfn(model.bands, model.guide_bands, model.options, model.ratio)  # pyright: ignore[reportArgumentType] - of an infn
    network.adjust(_pixels(stacks["gt"]), _pixels(stacks["msi"]), linear)
    save_weights(path, network.state_dict(), identity)


def _temper(path: Path, to: Path) -> None:
    """Weights of which only a part is believed."""
    weights = load_weights(path)
    network = build_network(weights.identity.model())
    fill(network, weights)
    assert isinstance(network, SubspaceInfn)
    network.temper(_BELIEVED_UNCHECKED)
    save_weights(to, network.state_dict(), weights.identity)


def _pixels(stack: Stack) -> torch.Tensor:
    """(bands, pixels) of all patches."""
    parts: Sequence[np.ndarray] = stack.parts
    return torch.from_numpy(np.concatenate([part.swapaxes(0, 1).reshape(part.shape[1], -1) for part in parts], 1))
