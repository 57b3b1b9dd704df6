"""A parcel on a canvas, about to be filled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusioncli.core.synthetic import things
from fusioncli.core.synthetic.canvas import Area, Canvas, Place
from fusioncli.core.synthetic.parcels import Parcel
from fusioncli.core.synthetic.textures import Array


class Site:
    """A parcel and the part of the canvas that holds it.

    Attributes:
        canvas: where to paint.
        rng: that of the canvas.
        parcel: the ground.
        area: rows and columns; empty if the parcel lies outside.
    """

    def __init__(self, canvas: Canvas, parcel: Parcel) -> None:
        self.canvas, self.rng, self.parcel = canvas, canvas.rng, parcel
        (u0, u1), (v0, v1) = parcel.u_m, parcel.v_m
        hit = (canvas.u_m > u0) & (canvas.u_m < u1) & (canvas.v_m > v0) & (canvas.v_m < v1)
        self.area: Area = (_span(np.flatnonzero(hit.any(axis=1))), _span(np.flatnonzero(hit.any(axis=0))))

    @property
    def is_visible(self) -> bool:
        """Whether any of it is on the canvas."""
        return self.area[0].stop > self.area[0].start

    def wet_share(self) -> float:
        """Share of the visible parcel that the river takes."""
        inside = self._inside(self.parcel)
        return float((inside * self.canvas.wet[self.area]).sum() / max(float(inside.sum()), 1e-6))

    def dry(self, parcel: Parcel) -> Array:
        """Coverage of a piece of the site, without the river; shape of `area`."""
        return self._inside(parcel) * (1 - self.canvas.wet[self.area])

    def tree(self, place_m: Place, radius_m: float, conifer: bool = False) -> None:
        """Plant a tree, unless in the river."""
        if self.canvas.is_free(place_m, 1.0):
            things.tree(self.canvas, place_m, radius_m, conifer)

    def trees_around(self, spacing_m: float) -> None:
        """Plant the sides of the parcel that run along u."""
        inner = self.parcel.shrunk(1.5)
        for u in np.arange(*inner.u_m, spacing_m):
            for v in inner.v_m:
                if self.rng.random() < 0.55:
                    self.tree((u + self.rng.uniform(-2, 2), v), self.rng.uniform(1.8, 3.4))

    def _inside(self, parcel: Parcel) -> Array:
        coverage = np.ones(1, np.float32)
        for axis, (low, high) in ((self.canvas.u_m, parcel.u_m), (self.canvas.v_m, parcel.v_m)):
            coverage = coverage * self.canvas.inside(np.minimum(axis[self.area] - low, high - axis[self.area]))
        return coverage


def _span(hits: NDArray[np.intp]) -> slice:
    """From the first hit to the last, with a margin of one."""
    return slice(max(int(hits[0]) - 1, 0), int(hits[-1]) + 2) if len(hits) else slice(0, 0)
