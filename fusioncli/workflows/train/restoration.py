"""Pictures that a network learns to restore: spoiled by one task per batch, as a pure function of seed and number.

The pre-training of Chen et al., "Pre-Trained Image Processing Transformer", CVPR 2021, section 3.2, has all patches of
a batch share one task, drawn at random; here batches have the tasks in turn, so that all are seen equally often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fusioncli.config.architectures import TASKS, Task
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.ops.restoration import add_noise, coarsen
from fusioncli.workflows.training_data import PatchSet, Pick

FACTORS: Mapping[Task, int] = {"sr2": 2, "sr3": 3, "sr4": 4}
SIGMAS_8BIT: Mapping[Task, float] = {"denoise30": 30.0, "denoise50": 50.0}


@dataclass(frozen=True)
class RestorationSet:
    """Pictures and what is done to them.

    A batch is image (N, 3, h, w) and gt (N, 3, h, w), float32, 0 … 1, and task (N,) int64, all equal: its place in
    `TASKS`.

    Attributes:
        clean: the pictures, `gt` only.
        tasks: what is done, in turn.
    """

    clean: PatchSet
    tasks: tuple[Task, ...]

    @property
    def facts(self) -> PatchFacts:
        """Values are 0 … 1 whatever the pictures were."""
        return PatchFacts(value_max=1.0, licence=self.clean.facts.licence)

    @property
    def digest(self) -> str:
        """Of the pictures."""
        return self.clean.digest

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.clean)

    def order(self, epoch: int) -> np.ndarray:
        """A permutation of all pictures for an epoch."""
        return self.clean.order(epoch)

    def batch(self, picks: Sequence[Pick], number: int) -> dict[str, np.ndarray]:
        """Random crops, spoiled by the task of the batch."""
        gt = self.clean.batch(picks)["gt"]
        return self._spoiled(gt, self._task(number), [(pick.epoch, pick.index) for pick in picks])

    def groups(self, size: int) -> list[range]:
        """All pictures, those of one task together: picture n has the task that batch n would have."""
        shares = [range(len(self))[first :: len(self.tasks)] for first in range(len(self.tasks))]
        return [share[first : first + size] for share in shares for first in range(0, len(share), size)]

    def whole(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """The middle of each picture, of the size of a crop, spoiled by their task."""
        task = self._task(indices[0])  # of all of them, by `groups`
        gt = np.stack([self.clean.middle("gt", index) for index in indices])
        return self._spoiled(gt, task, [(0, index) for index in indices])

    def _task(self, number: int) -> Task:
        return self.tasks[number % len(self.tasks)]

    def _spoiled(self, gt: np.ndarray, task: Task, keys: Sequence[tuple[int, int]]) -> dict[str, np.ndarray]:
        clean = torch.from_numpy(gt)
        if task in FACTORS:
            image = coarsen(clean, FACTORS[task])
        else:
            noise = np.stack([self._noise(gt.shape[1:], *key) for key in keys])
            image = add_noise(clean, torch.from_numpy(noise), SIGMAS_8BIT[task])
        return {"gt": gt, "image": image.numpy(), "task": np.full(len(gt), TASKS.index(task), np.int64)}

    def _noise(self, shape: tuple[int, ...], epoch: int, index: int) -> np.ndarray:
        return np.random.default_rng([self.clean.seed, epoch, index]).standard_normal(shape, np.float32)
