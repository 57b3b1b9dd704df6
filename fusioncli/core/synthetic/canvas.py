"""The canvas a landscape is painted on: material shares, surface height, and where everything is.

Painting is the dead-leaves way: what is painted later covers what is below it. Coverage is fractional at the
edges, so every pixel stays a linear mixture of materials and edges do not alias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusioncli.core.synthetic.spectra import MATERIALS
from fusioncli.core.synthetic.textures import fractal_noise

Array = NDArray[np.float32]
Mix = Mapping[str, float | Array]
"""Shares of materials, by name. Their sum is the brightness: 1 is the nominal spectrum, 0.9 a darker specimen."""


@dataclass(frozen=True)
class Window:
    """A rectangle of the canvas around a point, with the coordinates of an object lying there.

    Attributes:
        area: rows and columns of the canvas.
        along_m: coordinate along the object's axis, from its centre.
        across_m: coordinate across it.
    """

    area: tuple[slice, slice]
    along_m: Array
    across_m: Array


class Frame:
    """Curvilinear ground coordinates (u, v): rotated against the image and gently bent, as land use is.

    A straight line in (u, v) is a road that bends. `u` and `v` are in metres, (0, 0) at the image centre.
    """

    def __init__(self, rng: np.random.Generator, bend_m: float, reach_m: float) -> None:
        self.angle = rng.uniform(-0.6, 0.6)
        self._amplitude = rng.uniform(-bend_m, bend_m, (2, 3)) / np.array([1.0, 1.5, 2.5])
        self._wave = rng.standard_normal((2, 3, 2)) * np.array([1.0, 1.7, 2.6])[:, None] / reach_m
        self._phase = rng.uniform(0, 2 * np.pi, (2, 3))

    def to_uv(self, x_m: Array, y_m: Array) -> tuple[Array, Array]:
        """Ground coordinates of image positions (x to the right, y down, metres from the centre)."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        du, dv = self._bend(x_m, y_m)
        return cos * x_m + sin * y_m + du, -sin * x_m + cos * y_m + dv

    def to_xy(self, u_m: float, v_m: float) -> tuple[float, float]:
        """Image position of a ground point, to a few centimetres."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x, y = cos * u_m - sin * v_m, sin * u_m + cos * v_m
        for _ in range(6):
            du, dv = self._bend(x, y)
            x, y = cos * (u_m - du) - sin * (v_m - dv), sin * (u_m - du) + cos * (v_m - dv)
        return float(x), float(y)

    def _bend(self, x_m: Array | float, y_m: Array | float) -> list:
        return [
            sum(a * np.sin(w[0] * x_m + w[1] * y_m + p) for a, w, p in zip(*rows, strict=True))
            for rows in zip(self._amplitude, self._wave, self._phase, strict=True)
        ]


@dataclass
class Canvas:
    """A landscape in the making.

    Attributes:
        gsd_m: pixel size.
        frame: ground coordinates.
        rng: source of randomness of whatever is painted.
        abundance: shares of materials, shape (materials, rows, columns).
        height_m: height of the surface above the ground, shape (rows, columns).
        u_m, v_m: ground coordinates of the pixel centres.
        broad, clump, grain: noise fields of about 30 m, 1.5 m and one pixel; mean 0, variance 1.
    """

    shape: tuple[int, int]
    gsd_m: float
    frame: Frame
    rng: np.random.Generator
    abundance: Array = field(init=False)
    height_m: Array = field(init=False)

    def __post_init__(self) -> None:
        rows, columns = self.shape
        self.abundance = np.zeros((len(MATERIALS), rows, columns), np.float32)
        self.height_m = np.zeros(self.shape, np.float32)
        x_m, y_m = np.meshgrid(self._centres(columns), self._centres(rows))
        self.x_m, self.y_m = x_m, y_m
        self.u_m, self.v_m = (axis.astype(np.float32) for axis in self.frame.to_uv(x_m, y_m))
        self.broad = fractal_noise(self.rng, self.shape, 30 / self.gsd_m)
        self.clump = fractal_noise(self.rng, self.shape, 1.5 / self.gsd_m, roughness=2.2)
        self.grain = fractal_noise(self.rng, self.shape, 0.5 / self.gsd_m, roughness=1.2)

    @property
    def everywhere(self) -> tuple[slice, slice]:
        """Rows and columns of the whole canvas."""
        return slice(0, self.shape[0]), slice(0, self.shape[1])

    @property
    def extent_m(self) -> tuple[float, float]:
        """Half height and half width."""
        return self.shape[0] * self.gsd_m / 2, self.shape[1] * self.gsd_m / 2

    def paint(self, area: tuple[slice, slice], coverage: Array, mix: Mix, grain: float = 0.05) -> None:
        """Cover a part of the canvas.

        Args:
            area: rows and columns.
            coverage: share of each pixel that is covered, in [0, 1].
            mix: shares of materials, numbers or arrays of the shape of `coverage`.
            grain: relative variation of brightness from place to place.
        """
        patch = self.abundance[:, *area]
        patch *= 1.0 - coverage
        texture = 1.0 + grain * (0.7 * self.grain[area] + 0.5 * self.clump[area])
        weight = coverage * np.maximum(texture, 0.3)
        for material, share in mix.items():
            patch[MATERIALS.index(material)] += weight * share

    def raise_to(self, area: tuple[slice, slice], coverage: Array, height_m: Array | float) -> None:
        """Lift the surface to a height where it is mostly covered and not already higher."""
        height = self.height_m[area]
        lifted = np.where(coverage > 0.5, np.maximum(height, height_m), height)
        self.height_m[area] = lifted

    def window(self, u_m: float, v_m: float, reach_m: float, angle: float = 0.0) -> Window | None:
        """The surroundings of a ground point, or None if they lie outside the canvas.

        Args:
            u_m: ground coordinate of the centre.
            v_m: ground coordinate of the centre.
            reach_m: half the side of the window.
            angle: direction of the object's axis against the u axis, radians.
        """
        x, y = self.frame.to_xy(u_m, v_m)
        half_height, half_width = self.extent_m
        rows = self._span(y + half_height, reach_m, self.shape[0])
        columns = self._span(x + half_width, reach_m, self.shape[1])
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return None
        dx, dy = self.x_m[rows, columns] - x, self.y_m[rows, columns] - y
        turn = self.frame.angle + angle
        along = np.cos(turn) * dx + np.sin(turn) * dy
        across = -np.sin(turn) * dx + np.cos(turn) * dy
        return Window((rows, columns), along, across)

    def box(self, window: Window, length_m: float, width_m: float) -> Array:
        """Coverage of a rectangle centred in a window."""
        return self.inside(length_m / 2 - np.abs(window.along_m)) * self.inside(
            width_m / 2 - np.abs(window.across_m)
        )

    def inside(self, depth_m: Array) -> Array:
        """Coverage from the signed distance to an edge, positive inside."""
        return np.clip(0.5 + depth_m / self.gsd_m, 0.0, 1.0).astype(np.float32)

    def _centres(self, count: int) -> Array:
        return ((np.arange(count) + 0.5 - count / 2) * self.gsd_m).astype(np.float32)

    def _span(self, position_m: float, reach_m: float, count: int) -> slice:
        start = int(np.floor((position_m - reach_m) / self.gsd_m))
        stop = int(np.ceil((position_m + reach_m) / self.gsd_m))
        return slice(max(start, 0), max(min(stop, count), 0))
