"""How many parts at a time, and how large, fit the memory the user allows."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import numpy as np
import torch

from fusioncli.core.tiling import PART_PX, Blend, Tiling, Untiled
from fusioncli.errors import DataError, UsageError
from fusioncli.io.environment import CACHE_SHARE, cache_mb

_FIXED_MB = 420  # interpreter, torch and GDAL before any pixel
_MIN_PART_PX = 256
_AT_ONCE = 16  # windows; more gain nothing, and parts are seldom a multiple of many
_AT_ONCE_SAMPLES = 2**22  # bands x px of those windows
_TEMPORARIES = 5  # float copies of a window's bands that live at once inside a model, observed


@dataclass(frozen=True)
class Resources:
    """What the user allows.

    Attributes:
        threads: workers, or None for one per core.
        mem_limit_mb: upper bound of the process's memory.
        device: "auto", "cpu", "cuda" or "cuda:N".
        part_px: side of a part, or None to choose; the result does not depend on it.
    """

    threads: int | None = None
    mem_limit_mb: int = 1400
    device: str = "auto"
    part_px: int | None = None


@dataclass(frozen=True)
class Budget:
    """What will be used.

    Attributes:
        threads: workers.
        part_px: side of a part.
        memory_mb: expected peak of the process.
        device: where models run.
        dtype: floating-point type of the computation.
    """

    threads: int
    part_px: int
    memory_mb: int
    device: torch.device
    dtype: torch.dtype


def fit_memory(tiling: Tiling, bands: int, output_dtype: str, resources: Resources, held_bands: int = 0) -> Budget:
    """Lower the number of workers, then the part size, until the job fits.

    Args:
        tiling: tiles of the scene.
        bands: MS bands.
        output_dtype: numpy name of the output's type; float64 makes the computation float64.
        resources: limits.
        held_bands: of an image that takes as much memory inside the model, where that is more than `bands`.

    Raises:
        DataError: even one worker on the smallest part does not fit.
        UsageError: no such device.
    """
    dtype = torch.float64 if output_dtype == "float64" else torch.float32
    cache = cache_mb(resources.mem_limit_mb)
    threads = max(1, resources.threads or available_cores())
    part_px = resources.part_px or PART_PX
    sample_bytes = bands * (4 + 3 * np.dtype(output_dtype).itemsize)
    window_mb = _window_mb(tiling, max(bands, held_bands), dtype)
    room_mb = resources.mem_limit_mb - _FIXED_MB - cache

    def need_mb() -> float:
        return threads * (window_mb + _part_mb(tiling, part_px, sample_bytes))

    while threads > 1 and need_mb() > room_mb:
        threads -= 1
    while resources.part_px is None and part_px > _MIN_PART_PX and need_mb() > room_mb:
        part_px //= 2
    work_mb = need_mb()
    if work_mb > room_mb:
        whole = " (this upsampler needs the whole scene at once)" if isinstance(tiling.rule, Untiled) else ""
        enough_mb = (_FIXED_MB + work_mb) * CACHE_SHARE / (CACHE_SHARE - 1)
        raise DataError(
            f"the job needs about {enough_mb:.0f} MB, the limit is {resources.mem_limit_mb} MB{whole}",
            f"pass --mem-limit {int(enough_mb) + 2}" + (", or --upsampler cubic" if whole else ""),
        )
    return Budget(threads, part_px, int(_FIXED_MB + cache + work_mb), pick_device(resources.device), dtype)


def windows_at_once(tiling: Tiling, held_bands: int) -> int:
    """How many windows a model fuses in one call: several where they are small, else one.

    It depends on nothing but the tiles and the model, never on the machine or on what is left to do: results are
    bit-identical only between batches of one shape.
    """
    if not isinstance(tiling.rule, Blend):
        return 1
    return max(1, min(_AT_ONCE, _AT_ONCE_SAMPLES // (tiling.rule.tile_px**2 * held_bands)))


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pick_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into a device.

    Raises:
        UsageError: unknown, or no such GPU here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(f"no device is called '{name}'", "use auto, cpu, cuda or cuda:0")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"no device {name} is usable here", "use --device cpu, or install a CUDA build of torch")
    return device


def _window_mb(tiling: Tiling, bands: int, dtype: torch.dtype) -> float:
    height, width = tiling.largest_px
    if isinstance(tiling.rule, Blend):  # the halo is not copied within the model
        height = width = tiling.rule.tile_px
    samples = height * width * (bands * _TEMPORARIES + 3)
    return windows_at_once(tiling, bands) * samples * dtype.itemsize / 1e6


def _part_mb(tiling: Tiling, part_px: int, sample_bytes: int) -> float:
    return min(part_px, tiling.scene.height) * min(part_px, tiling.scene.width) * sample_bytes / 1e6
