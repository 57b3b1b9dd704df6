"""Patches to learn from: their order, crop and orientation are pure functions of seed, epoch and index.

So a run that is resumed, or shared by any number of processes, sees the very same patches in the very same steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from fusioncli.io.patch_arrays import Stack, load_stack
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patches import PatchFile

PAN_NAMES = ("gt", "ms", "lms", "pan")
CUBE_NAMES = ("gt", "hsi", "msi", "hsi_up")
_COARSE = ("ms", "hsi")
_ORDER, _CROP_ROW, _CROP_COL, _ORIENTATION = range(4)


class Pick(Protocol):
    """One patch of one epoch."""

    @property
    def epoch(self) -> int:
        """How often all patches were seen before."""
        ...

    @property
    def index(self) -> int:
        """Of the patch."""
        ...


def sample_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """A permutation of 0 … count - 1, the same on every machine."""
    return np.argsort(_scatter(seed, epoch, np.arange(count), _ORDER), kind="stable")


def augment(sample: Mapping[str, np.ndarray], seed: int, epoch: int, index: int) -> dict[str, np.ndarray]:
    """Flip and rotate the images of a sample alike, in one of the eight ways of a square.

    Args:
        sample: (..., h, w), square.
        seed: of the run.
        epoch: how often all samples were seen before.
        index: of the sample.

    Returns:
        Views of the images.
    """
    way = int(_scatter(seed, epoch, np.array(index), _ORIENTATION) & np.uint64(7))
    return {name: _oriented(image, way) for name, image in sample.items()}


@dataclass(frozen=True)
class PatchSet:
    """Patches of some files.

    Attributes:
        stacks: (n, bands, h, w) of each image, DN.
        facts: of all patches; `value_max` is known.
        ratio: fine pixels per coarse pixel.
        seed: of order and augmentation.
        crop_px: side of a training patch on the fine grid, a multiple of the ratio.
        augmented: flip and rotate training patches.
    """

    stacks: Mapping[str, Stack]
    facts: PatchFacts
    ratio: int
    seed: int
    crop_px: int
    augmented: bool = True

    def __len__(self) -> int:
        """How many patches there are."""
        return len(self.stacks["gt"])

    def order(self, epoch: int) -> np.ndarray:
        """A permutation of all patches for an epoch."""
        return sample_order(self.seed, epoch, len(self))

    def batch(self, picks: Sequence[Pick]) -> dict[str, np.ndarray]:
        """Training patches, (N, bands, h, w) float32 in units of `value_max`."""
        epochs, indices = (np.array([getattr(pick, name) for pick in picks]) for name in ("epoch", "index"))
        corners = [self._corners(epochs, indices, axis) for axis in (_CROP_ROW, _CROP_COL)]
        ways = _scatter(self.seed, epochs, indices, _ORIENTATION) & np.uint64(7 if self.augmented else 0)
        patches = list(zip(indices.tolist(), *(corner.tolist() for corner in corners), ways.tolist(), strict=True))
        return {name: self._filled(name, stack, patches) for name, stack in self.stacks.items()}

    def whole(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Patches as they are, (N, bands, h, w) float32 in units of `value_max`."""
        return {
            name: np.stack([np.multiply(stack[index], self._unit, dtype=np.float32) for index in indices])
            for name, stack in self.stacks.items()
        }

    @cached_property
    def digest(self) -> str:
        """Of all that training sees."""
        digest = hashlib.sha256(repr(self.facts).encode())
        for name, stack in self.stacks.items():
            digest.update(name.encode())
            for images in stack.chunks():
                digest.update(np.ascontiguousarray(images).data)
        return digest.hexdigest()

    @property
    def _unit(self) -> np.float32:
        return np.float32(1 / (self.facts.value_max or 1.0))

    def _corners(self, epochs: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
        """First coarse row or column of each crop."""
        room = self.stacks["gt"].shape[-1 if axis == _CROP_COL else -2] // self.ratio - self.crop_px // self.ratio + 1
        return (_scatter(self.seed, epochs, indices, axis) >> np.uint64(32)) * np.uint64(room) >> np.uint64(32)

    def _filled(self, name: str, stack: Stack, patches: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
        """One image of a batch: each patch is cut, turned and placed in one pass over its pixels."""
        scale = 1 if name in _COARSE else self.ratio
        side = self.crop_px // self.ratio * scale
        batch = np.empty((len(patches), stack.shape[0], side, side), np.float32)
        for place, (index, row, col, way) in enumerate(patches):
            first, left = row * scale, col * scale
            crop = stack[index][:, first : first + side, left : left + side]
            batch[place] = _oriented(crop, way)
        batch *= self._unit
        return batch


def load_patches(files: Sequence[PatchFile], names: Sequence[str], facts: PatchFacts) -> dict[str, Stack]:
    """Some images of all samples, checked.

    Args:
        files: of samples of one shape.
        names: images, `PAN_NAMES` or `CUBE_NAMES`.
        facts: of all samples; `value_max` is known.

    Raises:
        DataError: as `load_stack`.
    """
    assert facts.value_max is not None
    return {name: load_stack(files, name, facts.value_max) for name in names}


def _oriented(image: np.ndarray, way: int) -> np.ndarray:
    """One of the eight ways to lay a square: bit 0 flips rows, bit 1 columns, bit 2 swaps them."""
    image = image[..., :: -1 if way & 1 else 1, :: -1 if way & 2 else 1]
    return image.swapaxes(-1, -2) if way & 4 else image


def _scatter(seed: int, epoch: int | np.ndarray, index: np.ndarray, use: int) -> np.ndarray:
    """64 random-looking bits for each index: SplitMix64 (Steele et al., OOPSLA 2014) over all four numbers."""
    bits = np.uint64(seed % 2**64)
    with np.errstate(over="ignore"):
        for number in (use, epoch, index):
            bits = np.asarray(bits + np.asarray(number).astype(np.uint64) + np.uint64(1)) * np.uint64(
                0x9E3779B97F4A7C15
            )
            bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            bits ^= bits >> np.uint64(31)
    return bits
