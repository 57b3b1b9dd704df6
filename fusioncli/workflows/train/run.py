"""One process of a training run, from the recipe to the weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from time import perf_counter

import torch
from torch import nn

from fusioncli.config.identity import Identity
from fusioncli.config.recipe import Recipe
from fusioncli.errors import DataError
from fusioncli.io.files import write_failure
from fusioncli.io.weights import file_sha256
from fusioncli.metrics.suites import SuiteSettings, reduced_resolution
from fusioncli.models.start import Origin, start_network
from fusioncli.models.weights import save_weights
from fusioncli.workflows.train import records
from fusioncli.workflows.train.checkpoint import Checkpoints, Lineage, RunState, generators, restore_generators
from fusioncli.workflows.train.events import Event, Listener, Progressed, Size, Started, Validated
from fusioncli.workflows.train.feed import Feed
from fusioncli.workflows.train.interruption import Interruption, listen_for_interruption
from fusioncli.workflows.train.learner import Learner
from fusioncli.workflows.train.request import TrainReport, TrainRequest
from fusioncli.workflows.train.sources import open_training, open_validation
from fusioncli.workflows.train.validate import Validation
from fusioncli.workflows.train.world import World, join_world
from fusioncli.workflows.training_data import Samples

_REPORT_EVERY = 10  # steps, at most; several processes agree then on whether to leave


def run(requests: Sequence[TrainRequest], listener: Listener) -> TrainReport | None:
    """Train in this process, together with the others that the environment names, if any.

    Args:
        requests: the run, or its stages in their order; all their patches are looked at before the first step.
        listener: told about everything, in the leading process only.

    Returns:
        What came out of the last one; None in a process that does not lead.

    Raises:
        DataError: patches, checkpoints, weights to start from or the folder are unusable, or the training diverges.
        UsageError: the recipe does not suit the devices.
        KeyboardInterrupt: somebody asked to leave; a checkpoint has been written.
    """
    told = listener if os.environ.get("RANK", "0") == "0" else _nobody
    opened: dict[object, tuple[Samples, Samples | None]] = {}
    for request in requests:
        if (what := _what_is_read(request.recipe)) not in opened:
            opened[what] = _open(request.recipe, told)
    report = None
    with listen_for_interruption() as interruption, join_world(requests[0].device) as world:
        for request in requests:
            data = opened[_what_is_read(request.recipe)]
            with _determinism(request.recipe.training.deterministic):
                report = Session(request, world, *data).go(listener, interruption)
            world.gather(None)  # nobody starts from weights that the leader has not written yet
    return report


def _what_is_read(recipe: Recipe) -> object:
    """Equal for stages that learn from the same patches."""
    model = recipe.model
    return recipe.data, model.inputs, model.bands, model.guide_bands, model.ratio, recipe.training.seed, recipe.licence


def _open(recipe: Recipe, listener: Listener) -> tuple[Samples, Samples | None]:
    training = open_training(recipe, listener)
    return training, open_validation(recipe, training, listener)


def _nobody(event: Event) -> None:
    """Hear nothing: what a process listens to that does not lead."""


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, before its first use
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


class Session:
    """A run in one process: the learner, its data, and where it stands."""

    def __init__(self, request: TrainRequest, world: World, training: Samples, validation: Samples | None) -> None:
        recipe = request.recipe
        self._request, self._recipe, self._world, self._facts = request, recipe, world, training.facts
        self._feed = Feed(training, recipe, world)
        self._validation = None if validation is None else Validation(validation, recipe, world)
        sets = {"train": training} if validation is None else {"train": training, "validation": validation}
        self._data = {name: {"patches": len(data), "sha256": data.digest} for name, data in sets.items()}
        torch.manual_seed(recipe.training.seed)  # the same initial weights everywhere
        network, self._origin = start_network(recipe.model, recipe.start)
        self._size = _size(network)
        self._lineage = lineage(recipe, self._origin, training, validation)
        self._checkpoints = Checkpoints(request.folder / "checkpoints", self._lineage, recipe.checkpoint.keep)
        self._learner = Learner(recipe, network, world)
        torch.manual_seed(recipe.training.seed + 1 + world.rank)  # but not the same dropout
        self._state = RunState()
        self._path = request.weights

    def go(self, listener: Listener, interruption: Interruption) -> TrainReport | None:
        """Train to the end; see `run`."""
        self._state = self._start()
        resumed_from = self._state.step
        log = None
        if self._world.leads:
            self._write_run({})
            log = records.Log(self._request.folder, self._recipe.validation.metrics, resumed_from)

        def tell(event: Event) -> None:
            if log is not None:
                log.add(event)
                listener(event)

        try:
            tell(self._started(resumed_from))
            self._train(tell, interruption)
        finally:
            if log is not None:
                log.close()
        return self._finish(resumed_from) if self._world.leads else None

    def _started(self, step: int) -> Started:
        recipe = self._recipe
        title, notes = self._world.title, self._origin.notes
        return Started(step, recipe.training.steps, title, recipe.stage or "", self._size, notes)

    def _start(self) -> RunState:
        """The newest state, in all processes, or a fresh one in a clean folder."""
        if self._world.leads:
            self._prepare_folder()
        self._world.gather(None)  # nobody looks for states before the leader has tidied up
        state = self._checkpoints.latest() or RunState()
        if state.step:
            self._learner.restore(state.learner)
            restore_generators(state.generators, self._world.rank, self._world.device)
        return state

    def _prepare_folder(self) -> None:
        folder = self._request.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_failure(folder, error) from error
        if not self._request.resume:
            self._checkpoints.clear()
            self._path.unlink(missing_ok=True)
        elif self._path.exists() and not self._checkpoints.latest() and not records.belongs(folder, self._lineage):
            raise DataError(
                f"{self._path} exists already, and there is no checkpoint of this run to continue",
                "choose another folder with -o, or start afresh in this one with --no-resume",
            )

    def _train(self, tell: Listener, interruption: Interruption) -> None:
        state, steps = self._state, self._recipe.training.steps
        if self._is_over():
            return
        validates, saves = self._recipe.validation.every_steps, self._recipe.checkpoint.every_steps
        losses, since = [], perf_counter()
        for batches in self._feed.steps(state.step, steps):
            losses.append(self._learner.step(batches, state.step))
            state.step += 1
            if not any(map(self._due, (_REPORT_EVERY, validates, saves))):
                if self._world.size == 1 and interruption.asked:
                    self._leave()
                continue
            tell(self._progress(torch.stack(losses), perf_counter() - since))
            if self._due(validates):
                self._validate(tell)
            if self._world.any(interruption.asked):
                self._leave()
            if self._due(saves) or self._is_over():
                self._save()
            if self._is_over():
                return
            losses, since = [], perf_counter()

    def _leave(self) -> None:
        self._save()
        raise KeyboardInterrupt

    def _progress(self, losses: torch.Tensor, seconds: float) -> Progressed:
        step, training = self._state.step, self._recipe.training
        loss = self._world.mean(float(losses.mean()))
        if not isfinite(loss):
            raise DataError(
                f"the training diverged: the loss is {loss} at step {step}",
                "lower the rate or clip: --set optimiser.learning_rate=1e-4 --set optimiser.clip_norm=1",
            )
        images = len(losses) * training.accumulate * self._recipe.data.batch_size
        return Progressed(step, training.steps, loss, self._learner.learning_rate, images / seconds)

    def _validate(self, tell: Listener) -> None:
        """Measure the weights and keep them if they are the best so far."""
        if self._validation is None:
            return
        figures, state = self._validation.measure(self._learner), self._state
        value = figures[self._recipe.validation.monitor]
        best = isfinite(value) and (state.best is None or self._is_better(value, state.best))
        state.stale = 0 if best else state.stale + 1
        if best:
            state.best, state.figures = value, figures
            self._keep_weights(figures)
        tell(Validated(state.step, figures, best))

    def _is_better(self, value: float, best: float) -> bool:
        known = {metric.name: metric for metric in reduced_resolution(SuiteSettings(1, 1.0)).metrics}
        return value > best if known[self._recipe.validation.monitor].higher_is_better else value < best

    def _due(self, every_steps: int) -> bool:
        return self._state.step % every_steps == 0 or self._state.step == self._recipe.training.steps

    def _is_over(self) -> bool:
        patience = self._recipe.training.early_stop
        return self._state.step >= self._recipe.training.steps or bool(patience and self._state.stale >= patience)

    def _save(self) -> None:
        self._state.generators = self._world.gather(generators(self._world.device))
        if self._world.leads:
            self._state.learner = self._learner.state()
            self._checkpoints.save(self._state)

    def _finish(self, resumed_from: int) -> TrainReport:
        if not self._path.exists():
            self._keep_weights(self._state.figures)
        digest = file_sha256(self._path)
        figures = self._state.figures
        self._write_run({"step": self._state.step, "sha256": digest, "metrics": figures})
        return TrainReport(self._path, self._state.step, resumed_from, figures, digest, self._size)

    def _keep_weights(self, figures: dict[str, float]) -> None:
        if self._world.leads:
            save_weights(self._path, self._learner.tensors, self._identity(figures))

    def _identity(self, figures: dict[str, float]) -> Identity:
        facts = self._facts
        return Identity.of_model(
            self._recipe.model,
            sensor=facts.sensor or None,
            value_max=facts.value_max,
            upsampler=facts.upsampler or None,
            stage=self._recipe.stage,
            start=self._origin.files,
            recipe=self._recipe.name,
            metrics={name: value for name, value in figures.items() if isfinite(value)},
            licence=facts.licence,
        )

    def _write_run(self, result: dict[str, object]) -> None:
        folder = self._request.folder
        start = {name: base.model_dump() for name, base in self._origin.files.items()}
        facts = {"device": self._world.title, "processes": self._world.size, "data": self._data, "start": start}
        facts |= {"parameters": vars(self._size)}
        records.write_recipe(folder, self._recipe)
        records.write_run(folder, self._recipe, {**facts, "lineage": vars(self._lineage), "result": result})


def _size(network: nn.Module) -> Size:
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return Size(sum(count for count, learns in counts if learns), sum(count for count, _ in counts))


def lineage(recipe: Recipe, origin: Origin, training: Samples, validation: Samples | None) -> Lineage:
    """What the states of a run belong to: settings that change no weights are left out of the digest.

    Files to start from count by their contents, wherever they lie.
    """
    silent = {"description": "-", "checkpoint": type(recipe.checkpoint)(), "start": type(recipe.start)()}
    start = {name: base.sha256 for name, base in origin.files.items()}
    text = json.dumps([recipe.model_copy(update=silent).as_tables(), start], sort_keys=True)
    digests = training.digest + ("" if validation is None else validation.digest)
    return Lineage(
        recipe.model.arch,
        hashlib.sha256(text.encode()).hexdigest(),
        hashlib.sha256(digests.encode()).hexdigest(),
    )
