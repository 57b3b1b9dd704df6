"""Patches in the layout of PanCollection: HDF5 and Matlab files of MS, PAN and, where it is known, the truth.

| file | axes of an image | samples |
|---|---|---|
| `.h5` | N, C, H, W | many |
| `.mat` up to v7 | H, W, C (PAN: H, W) | one |
| `.mat` v7.3, which is HDF5 | reversed: C, W, H or N, C, W, H | one or many |

Two families of names are in use: gt, ms, lms, pan and I_GT, I_MS_LR, I_MS, I_PAN; results of networks are called sr.
Hyperspectral patches are gt, hsi, msi, hsi_up or GT, LRHSI, RGB, HSI_up.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusioncli.errors import DataError
from fusioncli.io.patch_facts import PatchFacts

SUFFIXES = (".h5", ".mat")
_NAMES = {
    "gt": ("gt", "I_GT", "GT"),
    "ms": ("ms", "I_MS_LR"),
    "lms": ("lms", "I_MS"),
    "pan": ("pan", "I_PAN"),
    "hsi": ("hsi", "LRHSI"),
    "msi": ("msi", "RGB"),
    "hsi_up": ("hsi_up", "HSI_up"),
    "sr": ("sr",),
}


@dataclass(frozen=True)
class PatchFile:
    """One file of samples.

    Attributes:
        path: where it is.
        shapes: (bands, h, w) of the images that each sample has, by our names: gt, ms, lms, pan, sr.
        keys: the file's own names of them.
        count: number of samples.
        facts: what the file says about itself.
    """

    path: Path
    shapes: dict[str, tuple[int, int, int]]
    keys: dict[str, str]
    count: int
    facts: PatchFacts

    @property
    def value_max(self) -> float | None:
        """Peak that the file states, or None."""
        return self.facts.value_max

    def sample(self, number: int) -> dict[str, np.ndarray]:
        """The images of one sample, (bands, h, w) float64 each.

        Raises:
            DataError: the file is damaged.
        """
        return {name: self.images(name, number, number + 1)[0].astype(np.float64) for name in self.keys}

    def images(self, name: str, start: int, stop: int) -> np.ndarray:
        """One image of some samples, (n, bands, h, w), as stored.

        Raises:
            DataError: the file is damaged.
        """
        key = self.keys[name]
        try:
            if not _is_hdf5(self.path):
                return _from_hwc(_load_mat(self.path)[key])[None]
            import h5py

            with h5py.File(self.path) as file:
                return _from_hdf5(file[key], self.path, slice(start, stop))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path}: samples {start} … {stop - 1} cannot be read ({error})",
                "the file is damaged; download it again",
            ) from error


def open_patches(path: Path, needed: Sequence[str]) -> list[PatchFile]:
    """A file, or all files of a folder in the natural order of their names.

    Args:
        path: the file or folder.
        needed: images that every sample must have.

    Raises:
        DataError: nothing there, not such a file, or an image is missing.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder", "check the path")
    files = [path]
    if path.is_dir():
        files = sorted((file for file in path.iterdir() if file.suffix.lower() in SUFFIXES), key=_natural)
    if not files:
        raise DataError(f"{path} holds no {' or '.join(SUFFIXES)} file", "name a file or folder of test patches")
    return [_describe(file, needed) for file in files]


def _describe(path: Path, needed: Sequence[str]) -> PatchFile:
    try:
        arrays, facts = _arrays(path)
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{path} is neither an HDF5 nor a Matlab file ({error})", "name .h5 or .mat files of test patches"
        ) from error
    keys = {name: key for name, names in _NAMES.items() for key in names if key in arrays}
    missing = [name for name in needed if name not in keys]
    if missing:
        wanted = " and ".join(" or ".join(_NAMES[name]) for name in missing)
        raise DataError(f"{path} lacks {wanted}; it holds {', '.join(arrays) or 'nothing'}", "see docs/metrics.md")
    counts = {arrays[key][0] for key in keys.values()}
    if len(counts) > 1:
        raise DataError(f"{path}: its images have {sorted(counts)} samples, not one number", "export the file again")
    if not any(counts):
        raise DataError(f"{path} holds no sample", "name a file with samples")
    return PatchFile(path, {name: arrays[key][1] for name, key in keys.items()}, keys, counts.pop(), facts)


def _arrays(path: Path) -> tuple[dict[str, tuple[int, tuple[int, int, int]]], PatchFacts]:
    """Number of samples and shape of every image in a file, by its name there, and what the file says about itself."""
    if not _is_hdf5(path):
        images = {key: value for key, value in _load_mat(path).items() if getattr(value, "ndim", 0) in (2, 3)}
        return {key: (1, _shape(_from_hwc(value))) for key, value in images.items()}, PatchFacts()
    import h5py

    with h5py.File(path) as file:
        found = {key: item for key, item in file.items() if isinstance(item, h5py.Dataset) and item.ndim in (2, 3, 4)}
        described = {
            key: (item.shape[0] if item.ndim == 4 else 1, _hdf5_shape(item.shape, path)) for key, item in found.items()
        }
        return described, PatchFacts.read(file.attrs)


def _is_hdf5(path: Path) -> bool:
    import h5py

    return bool(h5py.is_hdf5(path))


def _load_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
    except (MatReadError, zlib.error, TypeError) as error:  # what scipy makes of damaged files
        raise ValueError(error) from error


def _from_hdf5(item: Any, path: Path, some: slice) -> np.ndarray:  # noqa: ANN401 - h5py.Dataset, untyped
    """Samples as (n, bands, h, w); Matlab stores its axes in reverse order."""
    images = np.asarray(item[some] if item.ndim == 4 else item[()])
    if path.suffix.lower() == ".mat":
        images = images.swapaxes(-1, -2)
    return images.reshape((-1, *_hdf5_shape(item.shape, path)))


def _hdf5_shape(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """(bands, h, w) of a sample."""
    bands, first, second = shape[-3:] if len(shape) > 2 else (1, *shape)
    return (bands, second, first) if path.suffix.lower() == ".mat" else (bands, first, second)


def _from_hwc(image: np.ndarray) -> np.ndarray:
    return image.transpose(2, 0, 1) if image.ndim == 3 else image[None]


def _shape(image: np.ndarray) -> tuple[int, int, int]:
    bands, height, width = image.shape
    return bands, height, width


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """So that file 10 comes after file 9."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
