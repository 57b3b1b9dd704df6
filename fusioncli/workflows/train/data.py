"""Patches to learn from, held in memory: checked, cropped, turned, and scaled to units of `value_max`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fusioncli.workflows.train.feed import Pick

NAMES = ("gt", "ms", "lms", "pan")


@dataclass(frozen=True)
class SetFacts:
    """What all patches of a set have in common.

    Attributes:
        value_max: DN that is mapped to 1.
        sensor: whose images they are, or "".
        upsampler: how `lms` was made of `ms`, or "".
        licence: of the imagery, or "".
    """

    value_max: float
    sensor: str = ""
    upsampler: str = ""
    licence: str = ""


@dataclass(frozen=True)
class PatchSet:
    """Patches in memory.

    Attributes:
        images: gt, ms, lms and pan, (n, bands, h, w), DN.
        facts: of all patches.
        ratio: PAN pixels per MS pixel.
        seed: of order and augmentation.
        crop_px: side of a training patch on the PAN grid.
        augment: flip and rotate training patches.
    """

    images: Mapping[str, np.ndarray]
    facts: SetFacts
    ratio: int
    seed: int
    crop_px: int
    augment: bool

    def __len__(self) -> int:
        """How many patches there are."""
        return len(self.images["gt"])

    def order(self, epoch: int) -> np.ndarray:
        """A permutation of all patches for an epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(self))

    def batch(self, picks: Sequence[Pick]) -> dict[str, np.ndarray]:
        """Training patches, (N, bands, h, w) float32 in units of `value_max`."""
        patches = [self._turned(pick) for pick in picks]
        return self._in_units({name: np.stack([patch[name] for patch in patches]) for name in NAMES})

    def whole(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Patches as they are, (N, bands, h, w) float32 in units of `value_max`."""
        return self._in_units({name: self.images[name][np.asarray(indices)] for name in NAMES})

    @cached_property
    def digest(self) -> str:
        """Of all that training sees."""
        digest = hashlib.sha256(repr(self.facts).encode())
        for name in NAMES:
            digest.update(np.ascontiguousarray(self.images[name]))
        return digest.hexdigest()

    def _turned(self, pick: Pick) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, pick.epoch, pick.index])
        cells, side = self.images["ms"].shape[-2:], self.crop_px // self.ratio
        row, col = (int(rng.integers(0, room - side + 1)) for room in cells)
        turns = int(rng.integers(8)) if self.augment else 0
        patch = {}
        for name in NAMES:
            scale = 1 if name == "ms" else self.ratio
            rows, cols = (slice(first * scale, (first + side) * scale) for first in (row, col))
            image = np.rot90(self.images[name][pick.index, :, rows, cols], turns % 4, (1, 2))
            patch[name] = image[:, :, ::-1] if turns >= 4 else image
        return patch

    def _in_units(self, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.multiply(i, 1 / self.facts.value_max, dtype=np.float32) for name, i in images.items()}
