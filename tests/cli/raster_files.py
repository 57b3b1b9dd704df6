"""Pairs on disk whose look is known in closed form, and variants of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from conftest import Outcome, Pair, write_raster

FINE = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)
"""PAN grid of every pair made here and by `make_pair`."""


def samples_of(path: Path) -> np.ndarray:
    """All bands, (bands, h, w)."""
    with rasterio.open(path) as dataset:
        return dataset.read()


def rewritten(path: Path, name: str, samples: np.ndarray | None = None, **profile: object) -> Path:
    """A copy in the same folder with other samples or another profile."""
    with rasterio.open(path) as dataset:
        options = {**dataset.profile, **profile}
    samples = samples_of(path) if samples is None else samples
    count, height, width = samples.shape
    dtype = profile.get("dtype", samples.dtype.name)
    options |= {"count": count, "height": height, "width": width, "dtype": dtype}
    with rasterio.open(path.with_name(name), "w", **options) as dataset:
        dataset.write(samples)
    return path.with_name(name)


def gentle_pair(folder: Path, shape: tuple[int, int] = (64, 80), ratio: int = 4, dtype: str = "float32") -> Pair:
    """Four bands that rise and fall over hundreds of PAN px around 600, with detail of a few px common to all."""
    height, width = shape[0] * ratio, shape[1] * ratio
    rows, cols = np.mgrid[0:height, 0:width]
    broad = [np.sin(rows / (40 + 7 * b) + b) * np.cos(cols / (50 - 6 * b) - b) for b in range(4)]
    scene = 600 + 150 * np.array(broad) + 20 * np.sin(rows * 0.9) * np.sin(cols * 0.8 + 1)
    ms = scene.reshape(4, shape[0], ratio, shape[1], ratio).mean((2, 4))
    return Pair(
        write_raster(folder / "ms.tif", ms.round().astype(dtype), FINE @ Affine.scale(ratio)),
        write_raster(folder / "pan.tif", scene.mean(0).round().astype(dtype), FINE),
    )


def fused(fusion: Callable[..., Outcome], pair: Pair, output: Path, *flags: object) -> np.ndarray:
    """Run `fusion pansharpen`, which has to succeed, and read the result."""
    outcome = fusion("pansharpen", *pair.flags, "-o", output, *flags)
    assert outcome.code == 0, outcome.stderr
    return samples_of(output)
