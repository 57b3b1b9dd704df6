"""Synthetic scenes whose figures under the reference toolbox are known: a recipe in numpy alone, exact to the bit.

`scene` mixes four materials with multi-scale texture and sensor noise; `degraded` makes a poor fusion result of it.
Arrays are (row, column, band). The order of the random draws is part of the recipe.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

RATIO = 4
MATERIALS = 4
TOP_DN = 2047

SCENES = {
    # name: seed, height, width, bands
    "wv3": (0, 256, 256, 8),
    "ikonos": (1, 192, 160, 4),
    "qb": (2, 128, 128, 4),
    "hsi": (3, 96, 64, 31),
    "hs103": (4, 64, 64, 103),
}


@lru_cache(maxsize=8)
def golden_scene(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (uint16), PAN (uint16) and poor fusion result (float64) of a named scene."""
    seed, height, width, bands = SCENES[name]
    gt, pan = scene(seed, height, width, bands)
    return gt, pan, degraded(gt, seed + 100)


def scene(seed: int, height: int, width: int, bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth (height, width, bands) and PAN (height, width), uint16 in 1 … 2047."""
    rng = np.random.default_rng(seed)
    brightness = np.linspace(0.2, 1.0, MATERIALS)[:, None]
    spectra = brightness * (0.75 + 0.5 * rng.random((MATERIALS, bands)))
    layers = [
        0.9 * _field(rng, height, width, 0.012)
        + 0.6 * _field(rng, height, width, 0.05)
        + 0.4 * _field(rng, height, width, 0.18)
        for _ in range(MATERIALS)
    ]
    abundances = np.exp(1.5 * np.stack(layers, -1))
    abundances /= abundances.sum(-1, keepdims=True)
    radiance = abundances @ spectra
    radiance = radiance * (1.0 + 0.06 * _field(rng, height, width, 0.25))[..., None]
    radiance = 60.0 + 1300.0 * radiance
    distance = np.arange(bands) - (bands - 1) / 2
    response = np.exp(-0.5 * (distance / (0.35 * bands)) ** 2)
    response /= response.sum()
    pan = radiance @ response + 2.0 * rng.standard_normal((height, width))
    return _digitised(radiance + 2.0 * rng.standard_normal((height, width, bands))), _digitised(pan)


def degraded(gt: np.ndarray, seed: int) -> np.ndarray:
    """Circular 3 x 3 mean, then a gain, an offset and noise per band; float64, not clipped."""
    rng = np.random.default_rng(seed)
    exact = gt.astype(np.float64)
    blurred = sum(np.roll(exact, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9.0
    bands = gt.shape[2]
    gain = 0.97 + 0.04 * rng.random(bands)
    return blurred * gain + rng.uniform(-5, 5, bands) + 6.0 * rng.standard_normal(gt.shape)


def _field(rng: np.random.Generator, height: int, width: int, cutoff: float) -> np.ndarray:
    """Gaussian random field of mean 0 and deviation 1; `cutoff` is a deviation in cycles per px."""
    noise = rng.standard_normal((height, width))
    rows, cols = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    lowpass = np.exp(-(rows**2 + cols**2) / (2 * cutoff * cutoff))
    smooth = np.fft.ifft2(np.fft.fft2(noise) * lowpass).real
    return (smooth - smooth.mean()) / smooth.std()


def _digitised(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 1, TOP_DN).astype(np.uint16)
