"""Patches to learn from: their order, crop and orientation are pure functions of seed, epoch and index.

So a run that is resumed, or shared by any number of processes, sees the very same patches in the very same steps.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from fusioncli.errors import DataError
from fusioncli.io.patch_arrays import Stack, load_stack
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patches import PatchFile

COARSE_NAMES = ("ms", "hsi")
GUIDE_NAMES = ("pan", "msi")
FULL = "full_"
"""Begins the names of images at full resolution, which have no truth beside them."""
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


class Samples(Protocol):
    """What a network learns from, or is measured on, wherever it comes from.

    Batches hold the truth, `gt`, and the inputs of the network by name, (N, bands, h, w) float32 in units of
    `value_max`; what is no image is one number per sample.
    """

    @property
    def facts(self) -> PatchFacts:
        """Of all samples; `value_max` is known."""
        ...

    @property
    def digest(self) -> str:
        """Of all that training sees."""
        ...

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    def order(self, epoch: int) -> np.ndarray:
        """A permutation of all samples for an epoch."""
        ...

    def batch(self, picks: Sequence[Pick], number: int) -> dict[str, np.ndarray]:
        """Samples to learn from, of the batch of that number: a pure function of both."""
        ...

    def groups(self, size: int) -> list[range]:
        """All samples in groups of at most so many that may share a batch of `whole`."""
        ...

    def whole(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Samples to measure on: always the same, neither cropped nor turned at random."""
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
        stacks: (n, bands, h, w) of each image, DN; parts of different sizes are cropped, but cannot be had whole.
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

    def batch(self, picks: Sequence[Pick], number: int = 0) -> dict[str, np.ndarray]:
        """Training patches, (N, bands, h, w) float32 in units of `value_max`; the batch's number changes nothing."""
        epochs, indices = (np.array([getattr(pick, name) for pick in picks]) for name in ("epoch", "index"))
        corners = [self._corners(epochs, indices, axis) for axis in (_CROP_ROW, _CROP_COL)]
        ways = _scatter(self.seed, epochs, indices, _ORIENTATION) & np.uint64(7 if self.augmented else 0)
        patches = list(zip(indices.tolist(), *(corner.tolist() for corner in corners), ways.tolist(), strict=True))
        return {name: self._filled(name, stack, patches) for name, stack in self.stacks.items()}

    def groups(self, size: int) -> list[range]:
        """All patches in order, in groups of so many."""
        return [range(len(self))[first : first + size] for first in range(0, len(self), size)]

    def whole(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Patches as they are, (N, bands, h, w) float32 in units of `value_max`."""
        return {
            name: np.stack([np.multiply(stack[index], self._unit, dtype=np.float32) for index in indices])
            for name, stack in self.stacks.items()
        }

    def middle(self, name: str, index: int) -> np.ndarray:
        """The middle of one fine image of a patch, of the size of a crop: (bands, h, w) float32, `value_max` is 1."""
        image = self.stacks[name][index]
        top, left = ((size - self.crop_px) // 2 for size in image.shape[-2:])
        crop = image[:, top : top + self.crop_px, left : left + self.crop_px]
        return np.multiply(crop, self._unit, dtype=np.float32)

    @property
    def digest(self) -> str:
        """Of all that training sees."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
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
        sides = [self.stacks["gt"][index].shape[-1 if axis == _CROP_COL else -2] for index in indices.tolist()]
        room = np.array(sides) // self.ratio - self.crop_px // self.ratio + 1
        return (_scatter(self.seed, epochs, indices, axis) >> np.uint64(32)) * room.astype(np.uint64) >> np.uint64(32)

    def _filled(self, name: str, stack: Stack, patches: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
        """One image of a batch: each patch is cut, turned and placed in one pass over its pixels."""
        scale = 1 if name in COARSE_NAMES else self.ratio
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
        names: images, such as gt, ms, lms and pan.
        facts: of all samples; `value_max` is known.

    Raises:
        DataError: as `load_stack`.
    """
    assert facts.value_max is not None
    return {name: load_stack(files, name, facts.value_max) for name in names}


def check_memory(size: int, what: str) -> None:
    """Refuse at once what could not be held (DataError: it is larger than the machine's memory).

    Args:
        size: bytes.
        what: what they are, with the setting that names it.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise DataError(
            f"{what} takes {size / 1e9:.1f} GB, the memory has {memory / 1e9:.1f} GB",
            "take fewer, or write patch files with fusion simulate, which are read from the disk",
        )


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
