"""Measure weights on the validation patches with the indices of `fusion eval`: means over patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, nan
from statistics import fmean

import torch
from torch import Tensor
from torch.func import functional_call

from fusioncli.config.recipe import Recipe
from fusioncli.errors import DataError
from fusioncli.metrics.contract import Metric
from fusioncli.metrics.suites import Suite, SuiteSettings, reduced_resolution
from fusioncli.workflows.train.learner import Learner
from fusioncli.workflows.train.world import World
from fusioncli.workflows.training_data import Samples

_BATCH = 8  # patches per forward pass; fixed, because figures may depend on it in the last digit


class Validation:
    """Validation patches, shared among the processes of a run."""

    def __init__(self, data: Samples, recipe: Recipe, world: World) -> None:
        self._data, self._world = data, world
        self._settings = SuiteSettings(recipe.model.ratio, data.facts.value_max or 1.0)
        self._names = recipe.validation.metrics

    def measure(self, learner: Learner) -> dict[str, float]:
        """Mean of each index over the patches where it is defined; NaN where it is for none.

        Every process gets the same figures, whatever their number.
        """
        own = dict(self._rows(learner))
        rows: dict[int, dict[str, float]] = {}
        for part in self._world.gather(own):
            rows |= part
        columns = {name: [rows[number][name] for number in sorted(rows)] for name in self._names}
        return {name: _mean(values) for name, values in columns.items()}

    def _rows(self, learner: Learner) -> Iterator[tuple[int, dict[str, float]]]:
        """Indices of each patch of this process's batches."""
        for numbers in self._data.groups(_BATCH)[self._world.rank :: self._world.size]:
            batch = {name: torch.from_numpy(image) for name, image in self._data.whole(numbers).items()}
            fused = self._fuse(learner, {name: image.to(self._world.device) for name, image in batch.items()})
            for place, number in enumerate(numbers):
                yield number, self._figures(batch["gt"][place], fused[place])

    @torch.no_grad()
    def _fuse(self, learner: Learner, batch: Mapping[str, Tensor]) -> Tensor:
        network, tensors = learner.network.eval(), learner.tensors
        inputs = learner.inputs(batch)
        return learner.arithmetic.run(lambda *images: functional_call(network, tensors, images), inputs).cpu()

    def _figures(self, gt: Tensor, fused: Tensor) -> dict[str, float]:
        peak = self._settings.data_range
        images = {"reference": (gt * peak)[None].double(), "fused": (fused * peak)[None].double()}
        suite = self._suite().update(images)
        return {metric.name: _value(metric) for metric in suite.metrics}

    def _suite(self) -> Suite:
        known = {metric.name: metric for metric in reduced_resolution(self._settings).metrics}
        return Suite(*(known[name] for name in self._names))


def _value(metric: Metric) -> float:
    try:
        return metric.compute()
    except DataError:  # undefined for this patch, such as a correlation with a constant band
        return nan


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if isfinite(value)]
    return fmean(defined) if defined else nan
