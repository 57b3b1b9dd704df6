"""A parcel on a canvas: what of it is free, and how to plant a tree on it."""

from __future__ import annotations

import numpy as np

from fusioncli.core.synthetic import things
from fusioncli.core.synthetic.canvas import Area, Array, Canvas
from fusioncli.core.synthetic.parcels import Parcel


class Site:
    """A parcel that is about to be filled.

    Attributes:
        canvas: where to paint.
        parcel: the ground.
        area: rows and columns that hold the parcel.
        wet: coverage of river and banks over the canvas, where nothing is sown or built.
    """

    def __init__(self, canvas: Canvas, parcel: Parcel, area: Area, wet: Array) -> None:
        self.canvas, self.parcel, self.area, self.wet = canvas, parcel, area, wet
        self.rng = canvas.rng

    @classmethod
    def on(cls, canvas: Canvas, parcel: Parcel, wet: Array) -> Site | None:
        """The site of a parcel, or None if it lies outside the canvas."""
        (u0, u1), (v0, v1) = parcel.u_m, parcel.v_m
        hit = (canvas.u_m > u0 - 2) & (canvas.u_m < u1 + 2) & (canvas.v_m > v0 - 2) & (canvas.v_m < v1 + 2)
        rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
        if not len(rows):
            return None
        area = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        return cls(canvas, parcel, area, wet)

    def wet_share(self) -> float:
        """Share of the parcel that the river takes."""
        wet = self.wet[self.area][self._inside(self.parcel) > 0.5]
        return float(wet.mean()) if wet.size else 0.0

    def dry(self, parcel: Parcel) -> Array:
        """Coverage of a piece of the site, without the river; shape of `area`."""
        return self._inside(parcel) * (1 - self.wet[self.area])

    def is_free(self, u_m: float, v_m: float, reach_m: float) -> bool:
        """Whether there is dry ground in the picture all around a point."""
        window = self.canvas.window(u_m, v_m, reach_m)
        return window is not None and float(self.wet[window.area].max(initial=0.0)) < 0.1

    def tree(self, u_m: float, v_m: float, radius_m: float, conifer: bool = False) -> None:
        """Plant a tree, unless in the river."""
        if self.is_free(u_m, v_m, 1.0):
            things.tree(self.canvas, u_m, v_m, radius_m, conifer)

    def trees_around(self, spacing_m: float) -> None:
        """Plant the sides of the parcel that run along u."""
        inner = self.parcel.shrunk(1.5)
        for u in np.arange(*inner.u_m, spacing_m):
            for v in inner.v_m:
                if self.rng.random() < 0.55:
                    self.tree(u + self.rng.uniform(-2, 2), v, self.rng.uniform(1.8, 3.4))

    def _inside(self, parcel: Parcel) -> Array:
        u, v = self.canvas.u_m[self.area], self.canvas.v_m[self.area]
        inside = self.canvas.inside
        return inside(np.minimum(u - parcel.u_m[0], parcel.u_m[1] - u)) * inside(
            np.minimum(v - parcel.v_m[0], parcel.v_m[1] - v)
        )
