"""Finished parts on disk: one small GeoTIFF each, complete by construction, so that a run can be resumed."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from fusioncli.core.tiling import Rect
from fusioncli.io.files import write_failure

_CLIPPED_TAG = "FUSION_CLIPPED"


@dataclass(frozen=True)
class PartStore:
    """A folder of parts that belongs to exactly one job.

    Attributes:
        folder: `OUT.parts/<digest>`; another job on the same output gets another digest.
        bands: samples per pixel.
        dtype: numpy name of the sample type.
    """

    folder: Path
    bands: int
    dtype: str

    def path(self, part: Rect) -> Path:
        """Where a part is kept."""
        return self.folder / f"part_r{part.row0}_c{part.col0}_{part.height}x{part.width}.tif"

    def holds(self, part: Rect) -> bool:
        """Whether a part is finished: renamed into place and of full size, or marked as holding no data."""
        path = self.path(part)
        if self._blank(part).exists():
            return True
        samples = self.bands * part.height * part.width * np.dtype(self.dtype).itemsize
        return path.exists() and path.stat().st_size > samples

    def has_pixels(self, part: Rect) -> bool:
        """Whether a finished part has a file (a part without any valid pixel has none)."""
        return not self._blank(part).exists()

    def clipped(self, part: Rect) -> int:
        """How many samples of a finished part were clipped."""
        if not self.has_pixels(part):
            return 0
        with rasterio.open(self.path(part)) as dataset:
            return int(dataset.tags().get(_CLIPPED_TAG, 0))

    def write(self, part: Rect, samples: np.ndarray | None, clipped: int) -> None:
        """Keep a part.

        Args:
            part: its place.
            samples: (bands, h, w), or None when none of its pixels holds data.
            clipped: how many samples were clipped.

        Raises:
            DataError: the disk is full.
        """
        path = self.path(part) if samples is not None else self._blank(part)
        temporary = path.with_suffix(".tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if samples is None:
                temporary.touch()
            else:
                _write_tiff(temporary, samples, clipped)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise write_failure(path, error) from error

    def clear(self) -> None:
        """Remove the parts and the folder above them if nothing else is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # parts of another job are in it, or it was never made
            self.folder.parent.rmdir()

    def _blank(self, part: Rect) -> Path:
        return self.path(part).with_suffix(".empty")


def job_digest(files: Sequence[str], settings: object) -> str:
    """Identity of a job: its input files (path, size, time) and everything that changes a pixel.

    Args:
        files: input paths; those that are not local files count by name only.
        settings: JSON-like description of grids, model and output.
    """
    stamps = []
    for name in files:
        path = Path(name)
        stat = path.stat() if path.exists() else None
        stamps.append([str(path.resolve()) if stat else name, stat and [stat.st_size, stat.st_mtime_ns]])
    text = json.dumps([stamps, settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def remove_stale(folder: Path, keep: str) -> None:
    """Remove parts of earlier jobs on the same output, whose inputs or settings have changed since."""
    if folder.is_dir():
        for child in folder.iterdir():
            if child.is_dir() and child.name != keep:
                shutil.rmtree(child, ignore_errors=True)


def _write_tiff(path: Path, samples: np.ndarray, clipped: int) -> None:
    """Write an uncompressed GeoTIFF; a file that stays too short means a full disk, which GDAL does not report."""
    bands, height, width = samples.shape
    profile = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": samples.dtype.name,
    }
    try:
        with rasterio.open(path, "w", **profile, interleave="band", bigtiff="IF_SAFER") as dataset:
            dataset.write(samples)
            dataset.update_tags(**{_CLIPPED_TAG: clipped})
    except RasterioError as error:
        raise OSError(errno.ENOSPC, str(error)) from error
    if path.stat().st_size <= samples.nbytes:
        raise OSError(errno.ENOSPC, "short file")
