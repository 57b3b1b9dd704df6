"""Write patches as HDF5 in the layout of PanCollection: one contiguous N, C, H, W array per image.

Neither chunks nor compression: a contiguous array is read at the speed of memory, a compressed one a thousand times
slower. Such arrays cannot grow, so the number of patches is stated first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fusioncli.errors import DataError
from fusioncli.io.files import check_writable, whole_file
from fusioncli.io.patch_facts import PatchFacts

Images = Mapping[str, np.ndarray]
"""Images of one or several samples by name: gt, ms, lms, pan, or gt, hsi, msi, hsi_up."""
Shapes = Mapping[str, tuple[int, int, int]]
"""(bands, h, w) of each image of a sample."""

PATCH_TYPES = ("uint16", "float32")


@dataclass(frozen=True)
class PatchNumbers:
    """The numbers a patch may hold.

    Attributes:
        dtype: one of `PATCH_TYPES`.
        value_max: DN that is mapped to 1.
    """

    dtype: str
    value_max: float

    def check(self, name: str, measured: np.ndarray) -> None:
        """Refuse measurements that could not be stored as they are.

        Raises:
            DataError: one is larger than `value_max`, or negative where whole numbers are stored.
        """
        lowest, highest = float(measured.min(initial=0.0)), float(measured.max(initial=0.0))
        if highest > self.value_max:
            raise DataError(
                f"{name} holds {highest:g}, more than value_max {self.value_max:g}",
                "give the true peak with --data-range or --bit-depth",
            )
        if self.dtype == "uint16" and lowest < 0:
            raise DataError(f"{name} holds {lowest:g}, which uint16 cannot store", "add --dtype float32")

    def store(self, image: np.ndarray) -> np.ndarray:
        """As stored: whole numbers are rounded, and what interpolation overshoots is clipped."""
        if self.dtype == "uint16":
            return np.clip(np.rint(image), 0, self.value_max).astype(np.uint16)
        return np.minimum(image, self.value_max).astype(np.float32)


@dataclass(frozen=True)
class PatchLayout:
    """Everything about a patch file that is known before its pixels.

    Attributes:
        count: number of patches.
        shapes: of the images of a patch.
        numbers: how they are stored.
        facts: attributes of the file.
    """

    count: int
    shapes: Shapes
    numbers: PatchNumbers
    facts: PatchFacts

    @property
    def bytes(self) -> int:
        """Size of the file, all but a few kB."""
        samples = sum(bands * height * width for bands, height, width in self.shapes.values())
        return self.count * samples * np.dtype(self.numbers.dtype).itemsize

    @contextmanager
    def write(self, path: Path, overwrite: bool) -> Iterator[PatchWriter]:
        """A writer whose file gets its name when all patches are in it, and is gone if anything fails before.

        Raises:
            DataError: the file exists (without overwrite), or the disk is full.
        """
        check_writable(path, overwrite, self.bytes)
        with whole_file(path) as temporary:
            offsets = self._lay_out(temporary)
            with temporary.open("rb+") as file:
                writer = PatchWriter(self.numbers, file, offsets)
                yield writer
            if writer.done != self.count:
                raise ValueError(f"{writer.done} of {self.count} patches were written")

    def _lay_out(self, path: Path) -> dict[str, int]:
        """Write everything but the samples; returns where those of each image belong.

        HDF5 does not survive a disk that fills up, so that it writes these few kB only.
        """
        import h5py

        with path.open("wb") as file:
            file.truncate(self.bytes)  # fails where such a file cannot be
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        with h5py.File(path, "w") as file:
            file.attrs.update(self.facts.attributes())
            for name, shape in self.shapes.items():
                file.create_dataset(name, (self.count, *shape), self.numbers.dtype, dcpl=properties)
            return {name: file[name].id.get_offset() for name in self.shapes}


class PatchWriter:
    """Appends patches to an open file.

    Attributes:
        done: patches written so far.
    """

    def __init__(self, numbers: PatchNumbers, file: BinaryIO, offsets: Mapping[str, int]) -> None:
        self._numbers, self._file, self._offsets, self.done = numbers, file, offsets, 0

    def append(self, images: Images) -> None:
        """Store some patches, (n, bands, h, w) each, DN."""
        count = len(next(iter(images.values())))
        for name, image in images.items():
            samples = np.ascontiguousarray(self._numbers.store(image))
            self._file.seek(self._offsets[name] + self.done * (samples.nbytes // count))
            self._file.write(samples.data)
        self.done += count
