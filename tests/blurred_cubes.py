"""Cubes whose point spread and shift are known: ground that wraps around, blurred and moved in the Fourier domain."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

BANDS = 12


@lru_cache
def ground(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(BANDS, height, width), DN, about 100 … 1500: five materials, with detail of all sizes."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0, 1, BANDS)
    spectra = np.array([600 + 500 * np.sin(2 + 3 * k + (2 + k) * place) for k in range(5)])
    fields = [
        sum(s * gaussian_filter(rng.normal(size=(height, width)), s, mode="wrap") for s in (1, 3, 9)) for _ in spectra
    ]
    shares = np.exp(2 * np.array(fields))
    return np.tensordot(spectra.T, shares / shares.sum(0), 1).clip(50)


def guide_of(scene: np.ndarray, bands: int = 3) -> np.ndarray:
    """The scene through broad responses, which overlap."""
    place = np.linspace(0, 1, BANDS)
    rows = np.exp(-0.5 * ((place - np.linspace(0.1, 0.9, bands)[:, None]) / 0.12) ** 2)
    return np.tensordot(rows / rows.sum(1, keepdims=True), scene, 1)


def cube_of(scene: np.ndarray, ratio: int, gain: float, shift_px: tuple[float, float]) -> np.ndarray:
    """The scene as cells see it that look `shift_px` (rows, columns) beside themselves.

    Their response at spatial frequency f, in cycles per px, is gain ** (2 ratio f)²: a Gaussian that is `gain` at their
    Nyquist frequency.
    """
    height, width = scene.shape[1:]
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    response = gain ** (4 * ratio**2 * (down**2 + across**2))
    centre = (ratio - 1) / 2  # of a cell, from its first pixel
    turn = np.exp(2j * np.pi * (down * (centre + shift_px[0]) + across * (centre + shift_px[1])))
    return np.fft.ifft2(np.fft.fft2(scene) * response * turn).real[:, ::ratio, ::ratio]


def noisy(samples: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """With white noise of a share of each band's deviation."""
    noise = np.random.default_rng(seed).normal(size=samples.shape)
    return samples + share * samples.std((1, 2), keepdims=True) * noise
