"""Random textures as arrays: fractal noise, furrows, points that keep their distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float32]


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], scale_px: float, roughness: float = 1.6
) -> Array:
    """Smooth random field with a power-law spectrum, flat above `scale_px`; mean 0, variance 1.

    Args:
        rng: source of randomness.
        shape: rows and columns.
        scale_px: size of the largest blobs.
        roughness: how fast the amplitude falls with frequency; 1 is rough, 2.5 smooth.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    rows = fft.fftfreq(shape[0])[:, None]
    columns = fft.rfftfreq(shape[1])[None, :]
    frequency = np.hypot(rows, columns) * scale_px
    amplitude = (1.0 + frequency**2) ** (-roughness / 2)
    amplitude[0, 0] = 0.0
    noise = fft.irfft2(fft.rfft2(white) * amplitude.astype(np.float32), s=shape)
    return (noise / noise.std()).astype(np.float32)


def furrows(across_m: Array, period_m: float, wobble_m: Array | float = 0.0) -> Array:
    """Rows of a field: 1 on the ridge, 0 in the furrow, along the coordinate that runs across them.

    Args:
        across_m: coordinate perpendicular to the rows.
        period_m: distance from row to row.
        wobble_m: displacement of the rows, for a driver who is not a ruler.
    """
    phase = 2 * np.pi * (across_m + wobble_m) / period_m
    return (0.5 + 0.5 * np.sin(phase)).astype(np.float32)


def stripes(across_m: Array, period_m: float, width_m: float, blur_m: float) -> Array:
    """Lines of a given width at a regular distance, 1 on the line, with edges `blur_m` wide."""
    distance = np.abs((across_m + period_m / 2) % period_m - period_m / 2)
    return np.clip(0.5 + (width_m / 2 - distance) / blur_m, 0.0, 1.0).astype(np.float32)


def scattered_points(
    rng: np.random.Generator, low: tuple[float, float], high: tuple[float, float], spacing: float
) -> NDArray[np.float64]:
    """Random points at least about `spacing` apart: a jittered hexagonal grid; shape (points, 2)."""
    steps = [np.arange(a, b, spacing * f) for a, b, f in zip(low, high, (1.0, 0.87), strict=True)]
    first, second = np.meshgrid(*steps, indexing="xy")
    first = first + (np.arange(first.shape[0]) % 2)[:, None] * spacing / 2
    points = np.stack([first, second], axis=-1).reshape(-1, 2)
    return points + rng.uniform(-0.3, 0.3, points.shape) * spacing
