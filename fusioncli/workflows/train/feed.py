"""Which patches a step sees, as a pure function of the step; and their batches, read ahead of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import torch

from fusioncli.config.recipe import Recipe
from fusioncli.errors import UsageError
from fusioncli.workflows.train.learner import Batch
from fusioncli.workflows.train.world import World
from fusioncli.workflows.training_data import Samples

_AHEAD = 3  # batches


@dataclass(frozen=True)
class Pick:
    """One patch of one epoch, which fix its crop, flip and rotation.

    Attributes:
        epoch: how often all patches were seen before.
        index: of the patch.
    """

    epoch: int
    index: int


class Feed:
    """The batches of one process of a run.

    A batch of the recipe is shared by all processes, so a run sees the same patches in the same steps on any number
    of devices.
    """

    def __init__(self, data: Samples, recipe: Recipe, world: World) -> None:
        self._data, self._world = data, world
        self._passes, self._batch_size = recipe.training.accumulate, recipe.data.batch_size
        if self._batch_size % world.size:
            raise UsageError(
                f"data.batch_size = {self._batch_size} cannot be shared equally by {world.size} devices",
                f"--set data.batch_size={-(-self._batch_size // world.size) * world.size}",
            )
        self._order = lru_cache(maxsize=2)(data.order)

    def picks(self, number: int) -> list[Pick]:
        """This process's share of one batch; batches are counted from 0 over the whole run, epochs run into another."""
        share = self._batch_size // self._world.size
        first = number * self._batch_size + self._world.rank * share
        places = (divmod(place, len(self._data)) for place in range(first, first + share))
        return [Pick(epoch, int(self._order(epoch)[place])) for epoch, place in places]

    def steps(self, start: int, stop: int) -> Iterator[list[Batch]]:
        """The batches of each step, on the device; a thread reads a few of them ahead."""
        numbers = iter(range(start * self._passes, stop * self._passes))
        pool = ThreadPoolExecutor(1, thread_name_prefix="feed")
        waiting: deque[Future[dict[str, torch.Tensor]]] = deque()
        try:
            for _ in range(start, stop):
                ready = []
                for _ in range(self._passes):
                    while len(waiting) < _AHEAD and (number := next(numbers, None)) is not None:
                        waiting.append(pool.submit(self._load, number))
                    ready.append(self._place(waiting.popleft().result()))
                yield ready
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _load(self, number: int) -> dict[str, torch.Tensor]:
        batch = {name: torch.from_numpy(image) for name, image in self._data.batch(self.picks(number), number).items()}
        if self._world.device.type == "cuda":
            return {name: image.pin_memory() for name, image in batch.items()}
        return batch

    def _place(self, batch: dict[str, torch.Tensor]) -> Batch:
        return {name: image.to(self._world.device, non_blocking=True) for name, image in batch.items()}
