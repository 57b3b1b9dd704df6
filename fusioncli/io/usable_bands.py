"""Which bands of a hyperspectral cube hold an image: the others are not fused, and stay empty in the product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from fusioncli.errors import DataError
from fusioncli.io.raster import Raster, open_raster, reading, spread_windows

_LOOKS_PER_SIDE = 3
_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class UsableBands:
    """The bands of a stack of files, sorted out.

    Attributes:
        files: with their usable bands only; files without any are left out.
        left_out: positions, from 0, of the other bands among all bands of all files.
        notes: which they are, and why.
    """

    files: tuple[Raster, ...]
    left_out: frozenset[int]
    notes: tuple[str, ...]


def usable_bands(files: Sequence[Raster]) -> UsableBands:
    """Leave out bands that the file's bad band list rejects, and those that hold one value or none all over.

    Raises:
        DataError: no band is left, or a file is damaged.
    """
    kept, left_out, notes, first = [], set(), [], 0
    for file in files:
        reasons = {band.index: "rejected by the bad band list" for band in file.bands if band.rejected}
        rest = [band.index for band in file.bands if not band.rejected]
        reasons |= dict.fromkeys(_empty(file, rest), "no pixel, or one value all over")
        good = tuple(band for band in file.bands if band.index not in reasons)
        kept += [replace(file, bands=good)] if good else []
        left_out |= {first + place for place, band in enumerate(file.bands) if band.index in reasons}
        for reason in dict.fromkeys(reasons.values()):
            numbers = sorted(number for number, why in reasons.items() if why == reason)
            notes.append(f"{_runs(numbers)} of {file.path}: {reason}; not fused, nodata in the result")
        first += len(file.bands)
    if not kept:
        raise DataError(
            f"no band of {files[0].path} holds an image: {notes[0].partition(': ')[2].partition(';')[0]}",
            "check its nodata value and its bad band list: fusion info FILE",
        )
    return UsableBands(tuple(kept), frozenset(left_out), tuple(notes))


def _empty(file: Raster, bands: list[int]) -> list[int]:
    """Bands of which no two valid pixels differ: few windows tell for most, the rest is read whole."""
    with open_raster(file.source) as dataset:
        looks = spread_windows(dataset, _LOOKS_PER_SIDE)
        for windows in (looks, _strips(dataset)):
            low, high = np.full(len(bands), np.inf), np.full(len(bands), -np.inf)
            for window in windows if bands else ():
                with reading(file.path, "a look at its bands"):
                    samples = dataset.read(bands, window=window).astype(np.float64)
                valid = np.isfinite(samples)
                if file.nodata is not None:
                    valid &= samples != file.nodata
                low = np.minimum(low, np.where(valid, samples, np.inf).min((1, 2)))
                high = np.maximum(high, np.where(valid, samples, -np.inf).max((1, 2)))
            bands = [band for band, one, other in zip(bands, low, high, strict=True) if one >= other]
    return bands


def _strips(dataset: DatasetReader) -> Iterator[Window]:
    for row in range(0, dataset.height, _ROWS_AT_ONCE):
        yield Window(0, row, dataset.width, min(_ROWS_AT_ONCE, dataset.height - row))  # pyright: ignore[reportCallIssue] - attrs class


def _runs(numbers: Sequence[int]) -> str:
    """Such as "bands 1, 3-5"."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    runs = [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
    return f"band{'s' if len(numbers) > 1 else ''} {', '.join(runs)}"
