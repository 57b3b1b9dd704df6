"""Random textures as arrays: fractal noise, furrows, lines, points that keep their distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.floating]


def fractal_noise(rng: np.random.Generator, shape: tuple[int, int], scale_px: float, roughness: float) -> Array:
    """Smooth random field with a power-law spectrum, flat above `scale_px`; mean 0, variance 1.

    Args:
        rng: source of randomness.
        shape: rows and columns.
        scale_px: size of the largest blobs.
        roughness: how fast the amplitude falls with frequency: 1 is rough, 2.5 smooth.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    frequency = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :]) * scale_px
    amplitude = (1.0 + frequency**2) ** (-roughness / 2)
    amplitude[0, 0] = 0.0
    noise = np.asarray(fft.irfft2(np.asarray(fft.rfft2(white)) * amplitude, s=shape))
    return (noise / noise.std()).astype(np.float32)


def furrows(across_m: Array, period_m: float) -> Array:
    """Rows of a field, 1 on the ridge and 0 in the furrow, from the coordinate that runs across them."""
    return (0.5 + 0.5 * np.sin(2 * np.pi * across_m / period_m)).astype(np.float32)


def stripes(across_m: Array, period_m: float, width_m: float, edge_m: float) -> Array:
    """Lines of a given width at a regular distance, 1 on the line, with edges `edge_m` wide."""
    distance = np.abs((across_m + period_m / 2) % period_m - period_m / 2)
    return np.clip(0.5 + (width_m / 2 - distance) / edge_m, 0.0, 1.0).astype(np.float32)


def scattered_points(
    rng: np.random.Generator, low: tuple[float, float], high: tuple[float, float], spacing: float
) -> NDArray[np.float64]:
    """Random points about `spacing` apart, a jittered hexagonal grid; shape (points, 2)."""
    first, second = np.meshgrid(
        np.arange(low[0], high[0], spacing), np.arange(low[1], high[1], 0.87 * spacing), indexing="xy"
    )
    first = first + (np.arange(len(first)) % 2)[:, None] * spacing / 2
    points = np.stack([first, second], axis=-1).reshape(-1, 2)
    return points + rng.uniform(-0.3, 0.3, points.shape) * spacing
