"""The canvas a landscape is painted on: material shares, surface height, and where everything is.

Painting is the dead-leaves way: what is painted later covers what is below it. Coverage is fractional at
the edges, so every pixel stays a linear mixture of materials and edges do not alias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fusioncli.core.synthetic.spectra import MATERIALS
from fusioncli.core.synthetic.textures import Array, fractal_noise

Area = tuple[slice, slice]
"""Rows and columns of a part of the canvas."""
Place = tuple[float, float]
"""Ground coordinates (u, v), metres."""
Mix = Mapping[str, float | Array]
"""Shares of materials by name. Their sum is the brightness: 1 is the nominal spectrum, 0.9 a darker specimen."""


@dataclass(frozen=True)
class Window:
    """A rectangle of the canvas around a place, perhaps empty, with the coordinates of a thing that lies there.

    Attributes:
        area: rows and columns of the canvas.
        along_m: coordinate along the axis of the thing, from its centre.
        across_m: coordinate across it.
    """

    area: Area
    along_m: Array
    across_m: Array

    def moved(self, along_m: float, across_m: float) -> Window:
        """The same pixels seen from another centre."""
        return Window(self.area, self.along_m - along_m, self.across_m - across_m)

    def turned(self) -> Window:
        """The same pixels with the axis at a right angle."""
        return Window(self.area, self.across_m, self.along_m)


class Frame:
    """Curvilinear ground coordinates (u, v): rotated against the image and gently bent, as land use is.

    A straight line in (u, v) is a road that bends. Both are in metres from the image centre.
    """

    def __init__(self, rng: np.random.Generator, bend_m: float, reach_m: float) -> None:
        self.angle = rng.uniform(-0.6, 0.6)
        self._amplitude = rng.uniform(-bend_m, bend_m, (2, 3)) / np.array([1.0, 1.5, 2.5])
        self._wave = rng.standard_normal((2, 2, 3)) * np.array([1.0, 1.7, 2.6]) / reach_m
        self._phase = rng.uniform(0, 2 * np.pi, (2, 3))

    def to_uv(self, x_m: Array, y_m: Array) -> tuple[Array, Array]:
        """Ground coordinates of image positions (x to the right, y down, metres from the centre)."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        du, dv = self._bend(x_m, y_m)
        return cos * x_m + sin * y_m + du, -sin * x_m + cos * y_m + dv

    def to_xy(self, place_m: Place) -> tuple[float, float]:
        """Image position of a place, to a few centimetres."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u, v = place_m
        x, y = cos * u - sin * v, sin * u + cos * v
        for _ in range(8):
            du, dv = self._bend(x, y)
            x, y = cos * (u - du) - sin * (v - dv), sin * (u - du) + cos * (v - dv)
        return float(x), float(y)

    def _bend(self, x_m: Array | float, y_m: Array | float) -> tuple[Array, Array]:
        """Three slow waves for each coordinate."""
        waves = np.multiply.outer(x_m, self._wave[0]) + np.multiply.outer(y_m, self._wave[1]) + self._phase
        bend = (self._amplitude * np.sin(waves)).sum(axis=-1)
        return bend[..., 0], bend[..., 1]


class Canvas:
    """A landscape in the making. Arrays are float32, shape (rows, columns).

    Attributes:
        shape: rows and columns.
        gsd_m: pixel size.
        rng: source of randomness of whatever is painted.
        u_m: ground coordinate of the pixel centres.
        v_m: ground coordinate of the pixel centres.
        abundance: shares of materials, shape (materials, rows, columns).
        height_m: height of the surface above the ground.
        wet: coverage of the river and its banks, where nothing is sown or built.
        paved: coverage of roads, where no tree stands.
        broad: noise with features of about 30 m; mean 0, variance 1.
        clump: noise of about 1.5 m.
        grain: noise of about 0.5 m.
    """

    def __init__(self, shape: tuple[int, int], gsd_m: float, frame: Frame, rng: np.random.Generator) -> None:
        self.shape, self.gsd_m, self.rng = shape, gsd_m, rng
        self._frame = frame
        centres = ((np.arange(n) + 0.5 - n / 2) * gsd_m for n in shape)
        self._y_m, self._x_m = (axis.astype(np.float32) for axis in np.meshgrid(*centres, indexing="ij"))
        self.u_m, self.v_m = (axis.astype(np.float32) for axis in frame.to_uv(self._x_m, self._y_m))
        self.abundance = np.zeros((len(MATERIALS), *shape), np.float32)
        self.height_m = np.zeros(shape, np.float32)
        self.wet = np.zeros(shape, np.float32)
        self.paved = np.zeros(shape, np.float32)
        self.broad = fractal_noise(rng, shape, 30 / gsd_m, roughness=1.6)
        self.clump = fractal_noise(rng, shape, 1.5 / gsd_m, roughness=2.2)
        self.grain = fractal_noise(rng, shape, 0.5 / gsd_m, roughness=1.2)

    @property
    def everywhere(self) -> Area:
        """Rows and columns of the whole canvas."""
        return slice(0, self.shape[0]), slice(0, self.shape[1])

    @property
    def extent_m(self) -> tuple[float, float]:
        """Half height and half width."""
        return self.shape[0] * self.gsd_m / 2, self.shape[1] * self.gsd_m / 2

    def paint(self, area: Area, coverage: Array, mix: Mix, grain: float = 0.05) -> None:
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

    def raise_to(self, area: Area, coverage: Array, height_m: Array | float) -> None:
        """Lift the surface to a height where it is mostly covered and not already higher."""
        height = self.height_m[area]
        self.height_m[area] = np.where(coverage > 0.5, np.maximum(height, height_m), height)

    def window(self, place_m: Place, reach_m: float, angle: float = 0.0) -> Window:
        """The surroundings of a place, as far as they are on the canvas.

        Args:
            place_m: the centre.
            reach_m: half the side of the window.
            angle: direction of the axis of the thing against the u axis, radians.
        """
        x, y = self._frame.to_xy(place_m)
        half_height, half_width = self.extent_m
        area = (self._span(y + half_height, reach_m, 0), self._span(x + half_width, reach_m, 1))
        dx, dy = self._x_m[area] - np.float32(x), self._y_m[area] - np.float32(y)
        cos, sin = (np.float32(f(self._frame.angle + angle)) for f in (np.cos, np.sin))
        return Window(area, cos * dx + sin * dy, cos * dy - sin * dx)

    def is_free(self, place_m: Place, reach_m: float) -> bool:
        """Whether a place is in the picture with dry ground all around."""
        wet = self.wet[self.window(place_m, reach_m).area]
        return wet.size > 0 and float(wet.max()) < 0.1

    def box(self, window: Window, size_m: tuple[float, float]) -> Array:
        """Coverage of a rectangle, length along and width across, centred in a window."""
        length, width = size_m
        return self.inside(length / 2 - np.abs(window.along_m)) * self.inside(width / 2 - np.abs(window.across_m))

    def inside(self, depth_m: Array) -> Array:
        """Coverage from the signed distance to an edge, positive inside."""
        return np.clip(0.5 + depth_m / self.gsd_m, 0.0, 1.0).astype(np.float32)

    def _span(self, position_m: float, reach_m: float, axis: int) -> slice:
        start = int(np.floor((position_m - reach_m) / self.gsd_m))
        stop = int(np.ceil((position_m + reach_m) / self.gsd_m))
        return slice(min(max(start, 0), self.shape[axis]), max(min(stop, self.shape[axis]), 0))
