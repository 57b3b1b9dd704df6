"""All samples of patch files as arrays: mapped where they lie as they are, else read into memory; checked once.

A contiguous file of 16-bit numbers, as `fusion simulate` writes it, is mapped: checking reads it once in order, which
leaves it in the system's file cache, shared by all processes of a run and as fast as an array in memory. Published
files hold whole numbers as float64; in memory they take a quarter of that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from fusioncli.errors import DataError
from fusioncli.io.patches import PatchFile

_READ_SAMPLES = 2**22
_MAPPED = ("uint16", "float32")
_INTERPOLATED = ("lms", "hsi_up", "sr")  # may overshoot the peak


@dataclass(frozen=True)
class Stack:
    """One image of all samples of some files.

    Attributes:
        parts: (n, bands, h, w) of each file, uint16 or float32.
    """

    parts: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        """Number of samples."""
        return sum(map(len, self.parts))

    def __getitem__(self, number: int) -> np.ndarray:
        """One sample, (bands, h, w), not copied."""
        part = bisect_right(self._starts, number) - 1
        return self.parts[part][number - self._starts[part]]

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(map(len, self.parts[:-1]))]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a sample."""
        bands, height, width = self.parts[0].shape[1:]
        return bands, height, width

    def chunks(self) -> Iterator[np.ndarray]:
        """All samples in order, some at a time."""
        for part in self.parts:
            step = _step(part.shape)
            yield from (part[start : start + step] for start in range(0, len(part), step))


def load_stack(files: Sequence[PatchFile], name: str, value_max: float) -> Stack:
    """One image of all samples.

    Args:
        files: of samples of one shape.
        name: one of their images, such as "gt".
        value_max: no measured sample may be larger; interpolation may overshoot it.

    Raises:
        DataError: shapes differ, a sample is not a number or too large, a file is damaged or does not fit the memory.
    """
    for file in files:
        if file.shapes[name] != files[0].shapes[name]:
            raise DataError(
                f"{name} is {file.shapes[name]} in {file.path} and {files[0].shapes[name]} in {files[0].path}",
                "train on files of equal patches",
            )
    return Stack(tuple(_load(file, name, value_max) for file in files))


def _load(file: PatchFile, name: str, value_max: float) -> np.ndarray:
    peak = np.inf if name in _INTERPOLATED else value_max
    try:
        mapped = _mapped(file, name)
        whole = _check(file, name, peak)
        return _in_memory(file, name, np.uint16 if whole else np.float32) if mapped is None else mapped
    except MemoryError as error:
        raise DataError(
            f"{file.path} does not fit the memory ({file.count} patches of {file.shapes[name]})",
            "split it, or write patches of your own with fusion simulate, which are read from the disk",
        ) from error


def _check(file: PatchFile, name: str, value_max: float) -> bool:
    """Refuse what would spoil a training; returns whether all samples are whole numbers of 16 bit."""
    whole, first = True, 0
    for images in _chunks(file, name):
        lowest, highest = float(images.min()), float(images.max())
        if not np.isfinite(lowest + highest):
            bad = int((~np.isfinite(images)).any((1, 2, 3)).argmax())
            raise DataError(
                f"{file.path}: {name} of patch {first + bad} holds NaN or infinite values",
                "leave such patches out, or cut them again with fusion simulate, which skips missing pixels",
            )
        if highest > value_max:
            raise DataError(
                f"{file.path}: {name} holds {highest:g}, more than value_max {value_max:g}", "state the true value_max"
            )
        whole = whole and lowest >= 0 and highest < 2**16 and (images.dtype.kind == "u" or not (images % 1).any())
        first += len(images)
    return whole


def _in_memory(file: PatchFile, name: str, dtype: type) -> np.ndarray:
    array, first = np.empty((file.count, *file.shapes[name]), dtype), 0
    for images in _chunks(file, name):
        array[first : first + len(images)] = images
        first += len(images)
    return array


def _chunks(file: PatchFile, name: str) -> Iterator[np.ndarray]:
    """Samples in order, (n, bands, h, w), as stored."""
    step = _step((file.count, *file.shapes[name]))
    for start in range(0, file.count, step):
        yield file.images(name, start, min(start + step, file.count))


def _step(shape: tuple[int, ...]) -> int:
    return max(1, _READ_SAMPLES // int(np.prod(shape[1:])))


def _mapped(file: PatchFile, name: str) -> np.ndarray | None:
    """The array where it lies in the file; None where it is chunked, compressed, or of another type."""
    import h5py

    if not h5py.is_hdf5(file.path):
        return None
    with h5py.File(file.path) as opened:
        item: Any = opened[file.keys[name]]
        offset = item.id.get_offset()
        if offset is None or item.ndim != 4 or item.dtype.name not in _MAPPED or not item.dtype.isnative:
            return None
        array = np.asarray(np.memmap(file.path, item.dtype, "r", offset, item.shape))  # plain views are cheaper
    return array.swapaxes(-1, -2) if file.path.suffix.lower() == ".mat" else array
