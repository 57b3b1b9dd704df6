"""A bounded sample of pixels that does not depend on how the scene is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

SAMPLE_PX = 4096


@dataclass(frozen=True)
class Sample:
    """The `SAMPLE_PX` different pixels whose spectra have the smallest hash: as good as drawn by lot.

    The hash is of the values themselves, so that the sample of a union of pixel sets is the same whatever the sets.

    Attributes:
        keys: (n,) uint64, ascending.
        pixels: (channels, n).
    """

    keys: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, pixels: Tensor, hashed: int) -> Self:
        """From (channels, pixels), of which the first `hashed` channels make the key."""
        values = pixels.cpu().numpy()
        return cls._smallest(_hash(values[:hashed]), values)

    def __add__(self, other: Self) -> Self:
        """Sample of the union of two sets of pixels."""
        keys, pixels = np.r_[self.keys, other.keys], np.concatenate([self.pixels, other.pixels], 1)
        return self._smallest(keys, pixels)

    @classmethod
    def _smallest(cls, keys: np.ndarray, pixels: np.ndarray) -> Self:
        distinct, first = np.unique(keys, return_index=True)
        return cls(distinct[:SAMPLE_PX], np.ascontiguousarray(pixels[:, first[:SAMPLE_PX]]))


def _hash(values: np.ndarray) -> np.ndarray:
    """One uint64 per column: a sum of the float32 bits times odd constants, mixed (as SplitMix64 does)."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    odd = _mixed(np.arange(1, len(bits) + 1, dtype=np.uint64)) | np.uint64(1)
    return _mixed((bits * odd[:, None]).sum(0, dtype=np.uint64))


def _mixed(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
