"""Sun and shade, from the height of the surface alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from fusioncli.core.synthetic.textures import Array


@dataclass(frozen=True)
class Sun:
    """Where the sun stands.

    Attributes:
        azimuth_deg: clockwise from the top of the image.
        elevation_deg: above the horizon.
    """

    azimuth_deg: float = 148.0
    elevation_deg: float = 46.0

    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the sun: x to the right, y down, z up."""
        azimuth, elevation = np.radians([self.azimuth_deg, self.elevation_deg])
        flat = np.cos(elevation)
        return flat * np.sin(azimuth), -flat * np.cos(azimuth), np.sin(elevation)


def sunlight(height_m: Array, gsd_m: float, sun: Sun) -> Array:
    """Direct light on the surface, 1 on sunlit level ground, 0 in shadow, more on slopes that face the sun."""
    x, y, z = sun.direction()
    slope_y, slope_x = np.gradient(height_m, gsd_m)
    wall = np.hypot(slope_x, slope_y) > 2.0
    facing = (z - slope_x * x - slope_y * y) / np.sqrt(1 + slope_x**2 + slope_y**2) / z
    shade = np.where(wall, 1.0, np.clip(facing, 0.0, 1.7))
    return (shade * (1.0 - _shadow(height_m, gsd_m, sun))).astype(np.float32)


def skylight(height_m: Array, gsd_m: float) -> Array:
    """Diffuse light on the surface: 1 in the open, less beside walls and between trees."""
    hollow = np.maximum(gaussian_filter(height_m, 2.5 / gsd_m) - height_m, 0.0)
    return (1.0 / (1.0 + 0.16 * hollow)).astype(np.float32)


def _shadow(height_m: Array, gsd_m: float, sun: Sun) -> Array:
    """Share of the direct light that something higher takes away, by marching towards the sun."""
    x, y, z = sun.direction()
    flat = np.hypot(x, y)
    drop_m = gsd_m * z / flat
    horizon = np.full_like(height_m, -np.inf)
    for step in range(1, int(np.ceil(height_m.max() / drop_m)) + 1):
        rows, columns = round(step * y / flat), round(step * x / flat)
        here, there = _overlap(height_m.shape, rows, columns)
        np.maximum(horizon[here], height_m[there] - step * drop_m, out=horizon[here])
    return np.clip((horizon - height_m) / (2 * drop_m), 0.0, 1.0)


def _overlap(shape: tuple[int, ...], rows: int, columns: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices such that `array[there]` is `array[here]` moved by (rows, columns); empty if they do not meet."""
    moves = tuple(zip(shape, (rows, columns), strict=True))
    here = tuple(slice(max(-move, 0), max(size - max(move, 0), 0)) for size, move in moves)
    there = tuple(slice(max(move, 0), max(size - max(-move, 0), 0)) for size, move in moves)
    return here, there
