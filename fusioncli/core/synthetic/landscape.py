"""A random landscape seen from above: material shares and light for every pixel, from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusioncli.core.synthetic import fields, land_use, things
from fusioncli.core.synthetic.canvas import Array, Canvas, Frame
from fusioncli.core.synthetic.light import Sun, skylight, sunlight
from fusioncli.core.synthetic.parcels import Plan, plan
from fusioncli.core.synthetic.spectra import REFLECTANCE, Atmosphere
from fusioncli.core.synthetic.textures import scattered_points


@dataclass(frozen=True)
class Landscape:
    """What a sensor looks at.

    Attributes:
        abundance: shares of the materials of `spectra.MATERIALS`, shape (materials, rows, columns); their sum is
            the brightness of the place.
        sun: direct light, 1 on level ground, shape (rows, columns).
        sky: diffuse light, 1 in the open, shape (rows, columns).
        gsd_m: pixel size.
    """

    abundance: Array
    sun: Array
    sky: Array
    gsd_m: float

    def observe(self, responses: NDArray[np.float64], atmosphere: Atmosphere | None = None) -> Array:
        """Reflectance at the top of the atmosphere, seen through filters.

        Args:
            responses: one filter a row, on `spectra.WAVELENGTHS_NM`, each with sum 1.
            atmosphere: the air; a clear sky if None.

        Returns:
            Shape (filters, rows, columns).
        """
        air = atmosphere or Atmosphere()
        through = responses * air.transmittance()
        direct = (through * (1 - air.sky_share())) @ REFLECTANCE.T
        diffuse = (through * air.sky_share()) @ REFLECTANCE.T
        haze = (responses @ air.path_reflectance()).astype(np.float32)
        seen = np.tensordot(direct.astype(np.float32), self.abundance, 1) * self.sun
        seen += np.tensordot(diffuse.astype(np.float32), self.abundance, 1) * self.sky
        return seen + haze[:, None, None]


def landscape(seed: int, shape: tuple[int, int], gsd_m: float = 0.25, sun: Sun | None = None) -> Landscape:
    """Make a landscape of fields, woods, a river, roads, houses, halls and cars.

    Args:
        seed: the same seed gives the same landscape.
        shape: rows and columns; best a few hundred metres a side.
        gsd_m: pixel size; 0.25 m shows cars as cars.
        sun: where it stands; a late morning if None.
    """
    layout_rng, paint_rng = np.random.default_rng(seed).spawn(2)
    reach_m = 0.75 * gsd_m * float(np.hypot(*shape))
    canvas = Canvas(shape, gsd_m, Frame(layout_rng, bend_m=0.045 * reach_m, reach_m=0.5 * reach_m), paint_rng)
    layout = plan(layout_rng, reach_m)
    fields.lawn(canvas, canvas.everywhere, np.ones(shape, np.float32), dryness=0.35)
    wet = _river(canvas, layout)
    open_land = [parcel for parcel in layout.parcels if parcel.use in ("field", "meadow")]
    for parcel in open_land:
        land_use.fill(canvas, parcel, wet)
    _lines(canvas, layout, wet)
    for parcel in layout.parcels:
        if parcel not in open_land:
            land_use.fill(canvas, parcel, wet)
    _hedgerows(canvas, layout, wet)
    height, light = canvas.height_m, sun or Sun()
    return Landscape(canvas.abundance, sunlight(height, gsd_m, light), skylight(height, gsd_m), gsd_m)


def _river(canvas: Canvas, layout: Plan) -> Array:
    """Paint a meandering river, or none; returns the coverage of its valley floor, where nothing is built."""
    rng, extent = canvas.rng, min(canvas.extent_m)
    if rng.random() < 0.25:
        return np.zeros(canvas.shape, np.float32)
    along_u = bool(rng.random() < 0.5)
    along, across = (canvas.u_m, canvas.v_m) if along_u else (canvas.v_m, canvas.u_m)
    length, swing = rng.uniform(1.3, 2.2) * extent, rng.uniform(0.06, 0.13) * extent
    phase = 2 * np.pi * along / length + rng.uniform(0, 2 * np.pi)
    roads = [cut.at_m for cut in layout.cuts if cut.along_u == along_u and cut.kind in ("road", "street")]
    options = rng.uniform(-0.8, 0.8, 12) * extent
    middle = max(
        options, key=lambda at: min((abs(at - road) for road in roads), default=0.0)
    ) + swing * np.sin(phase)
    steepness = swing * 2 * np.pi / length * np.cos(phase)
    distance = (np.abs(across - middle) / np.sqrt(1 + steepness**2)).astype(np.float32)
    half_width = rng.uniform(7, 12)
    fields.river(canvas, distance, half_width)
    for place in _pixels(canvas, (distance > half_width + 1.5) & (distance < half_width + 7), spacing_m=5.0):
        if canvas.broad[place] > -0.3:
            things.tree(canvas, canvas.u_m[place], canvas.v_m[place], rng.uniform(1.2, 3.6))
    return canvas.inside(half_width + 6 - distance)


def _pixels(canvas: Canvas, where: NDArray[np.bool_], spacing_m: float) -> list[tuple[int, int]]:
    """Scattered pixels within a mask."""
    size = tuple(float(n) for n in canvas.shape)
    points = scattered_points(canvas.rng, (0.0, 0.0), (size[0], size[1]), spacing_m / canvas.gsd_m)
    inside = (points >= 0).all(axis=1) & (points < size).all(axis=1)
    places = points[inside].astype(int)
    return [(int(row), int(column)) for row, column in places if where[row, column]]


def _lines(canvas: Canvas, layout: Plan, wet: Array) -> None:
    """Tracks, then streets, then roads: the larger one runs through at a junction."""
    paved: list[tuple[Array, Array, float]] = []
    for cut in reversed(layout.cuts):
        along, across = (canvas.u_m, canvas.v_m) if cut.along_u else (canvas.v_m, canvas.u_m)
        low, high = cut.span_m
        beyond = np.maximum(np.maximum(low - along, along - high), 0)
        distance = np.hypot(across - cut.at_m, beyond).astype(np.float32)
        if cut.kind == "track":
            fields.track(canvas, distance, 3.2, wet)
        elif cut.kind != "hedge":
            paved.append((distance, along, {"road": 7.2, "street": 5.2}[cut.kind]))
    for distance, _, width in paved:
        fields.verge(canvas, distance, width)
    for distance, along, width in paved:
        fields.road(canvas, distance, width)
        if width > 6:
            fields.markings(canvas, distance, along, width)


def _hedgerows(canvas: Canvas, layout: Plan, wet: Array) -> None:
    """Bushes and trees along hedges and, in places, along roads."""
    rng = canvas.rng
    for cut in layout.cuts:
        beside, step, share = {
            "hedge": ((0.0,), 2.6, 0.8),
            "track": ((3.0, -3.0), 5.0, 0.25),
            "street": ((5.0, -5.0), 9.0, 0.4),
            "road": ((6.6, -6.6), 10.0, 0.45),
        }[cut.kind]
        for at in np.arange(*cut.span_m, step):
            for side in beside:
                if rng.random() < share:
                    spot = (at + rng.uniform(-1, 1), cut.at_m + side + rng.uniform(-0.4, 0.4))
                    land_use.plant(canvas, spot if cut.along_u else spot[::-1], wet)
