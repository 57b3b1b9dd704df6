"""Built-up parcels: gardens with houses, works with halls and a car park, a football pitch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fusioncli.core.synthetic import ground, things
from fusioncli.core.synthetic.canvas import Mix, Place
from fusioncli.core.synthetic.parcels import Parcel
from fusioncli.core.synthetic.site import Site
from fusioncli.core.synthetic.textures import stripes

_BAY_M = 2.6
_RIGHT_ANGLE = np.pi / 2


def homes(site: Site) -> None:
    """Gardens with houses in one row or two, facing the roads on the long sides."""
    parcel = site.parcel
    along_u = parcel.size_m[0] >= parcel.size_m[1]
    low, high = parcel.u_m if along_u else parcel.v_m
    near, far = parcel.v_m if along_u else parcel.u_m
    ground.lawn(site.canvas, site.area, site.dry(parcel), dryness=0.18)
    rows = [(near, 1.0), (far, -1.0)] if far - near > 44 else [(near, 1.0)]
    edges = np.linspace(low, high, max(1, round((high - low) / site.rng.uniform(17, 22))) + 1)
    for front, inward in rows:
        for start, stop in pairwise(edges):
            middle = (float(start + stop) / 2, front)
            _build(site, Lot(along_u, middle, inward, stop - start, (far - near) / len(rows)))


@dataclass(frozen=True)
class Lot:
    """One garden. Positions on it are (along the street from its middle, away from the street).

    Attributes:
        along_u: whether the street runs along u.
        front_m: middle of the street side: along the street, across it.
        inward: sign of the direction away from the street.
        width_m: along the street.
        depth_m: away from the street.
    """

    along_u: bool
    front_m: tuple[float, float]
    inward: float
    width_m: float
    depth_m: float

    @property
    def angle(self) -> float:
        """Direction of the street."""
        return 0.0 if self.along_u else _RIGHT_ANGLE

    def place(self, along_m: float, inward_m: float) -> Place:
        """Ground coordinates of a position on the lot."""
        along, across = self.front_m[0] + along_m, self.front_m[1] + self.inward * inward_m
        return (along, across) if self.along_u else (across, along)


def _build(site: Site, lot: Lot) -> None:
    """A garden with hedge, house, drive and car, perhaps a shed, a pool or beds, and trees."""
    rng, canvas, across = site.rng, site.canvas, lot.angle + _RIGHT_ANGLE
    middle = lot.place(0, lot.depth_m / 2)
    if not canvas.is_free(middle, 12):
        return
    window = canvas.window(middle, float(np.hypot(lot.width_m, lot.depth_m)) / 2, lot.angle)
    garden = canvas.box(window, (lot.width_m, lot.depth_m))
    ground.lawn(canvas, window.area, garden, dryness=float(rng.beta(1.5, 4.0)))
    if rng.random() < 0.75:
        things.hedge(canvas, lot.place(lot.width_m / 2, lot.depth_m / 2), lot.depth_m - 4, across)
    side, back = rng.choice([-1.0, 1.0]), rng.uniform(9, 12)
    size = (rng.uniform(9.5, max(10.0, min(14.5, lot.width_m - 4))), rng.uniform(7.5, 9.5))
    _drive(site, lot, side * (lot.width_m / 2 - 3.2))
    things.slab(canvas, lot.place(0, back + 6), (size[0] * 0.7, 4.0), lot.angle, {"concrete": 0.95})
    turn = rng.normal(0, 0.02) + (_RIGHT_ANGLE if rng.random() < 0.2 else 0.0)
    things.house(canvas, lot.place(0, back), size, lot.angle + turn)
    if lot.depth_m > 24 and rng.random() < 0.13:
        things.pool(canvas, lot.place(-side * lot.width_m / 6, back + 13), rng.choice([lot.angle, across]))
    elif rng.random() < 0.4:
        bed = lot.place(rng.uniform(-5, 5), lot.depth_m - 6)
        things.slab(canvas, bed, (rng.uniform(3, 7), rng.uniform(3, 7)), lot.angle, {"loam": 0.7, "crop": 0.2})
    for _ in range(rng.integers(1, 5)):
        deep = rng.uniform(back + 8, max(lot.depth_m - 2, back + 9))
        site.tree(lot.place(rng.uniform(-0.42, 0.42) * lot.width_m, deep), rng.uniform(1.3, 3.4))


def _drive(site: Site, lot: Lot, along_m: float) -> None:
    """The way in beside the house, often with a garage at its end and a car on it."""
    rng, canvas, across = site.rng, site.canvas, lot.angle + _RIGHT_ANGLE
    paving: Mix = {"concrete": 0.85} if rng.random() < 0.5 else {"asphalt": 1.1}
    things.slab(canvas, lot.place(along_m, 5), (10, 3.0), across, paving)
    if rng.random() < 0.5:
        things.house(canvas, lot.place(along_m, 13), (5.5, 3.4), across)
    if rng.random() < 0.6:
        things.car(canvas, lot.place(along_m, rng.uniform(3, 7)), across)
    if rng.random() < 0.5:
        site.tree(lot.place(-along_m, 2.5), rng.uniform(1.2, 2.2))


def works(site: Site) -> None:
    """A hall or two on one half of a yard, a car park on the other, freight along one side."""
    rng, canvas = site.rng, site.canvas
    yard = site.parcel.shrunk(3.0)
    paving: Mix = {"asphalt": 0.95} if rng.random() < 0.6 else {"concrete": 0.75, "asphalt": 0.1}
    ground.lawn(canvas, site.area, site.dry(site.parcel), dryness=0.3)
    ground.pavement(canvas, site.area, site.dry(yard), paving)
    built, parking = yard.halves(rng.uniform(0.48, 0.6), gap_m=4.0)
    _halls(site, built.shrunk(3))
    _car_park(site, parking.shrunk(2))
    for _ in range(rng.integers(0, 7)):
        spot = (rng.uniform(*yard.shrunk(4).u_m), yard.v_m[0] + 1.5)
        if canvas.is_free(spot, 4):
            things.container(canvas, spot)
    site.trees_around(spacing_m=12.0)


def _halls(site: Site, built: Parcel) -> None:
    pieces = [built]
    if max(built.size_m) > 36 and site.rng.random() < 0.7:
        pieces = list(built.halves(site.rng.uniform(0.45, 0.65), gap_m=5.0))
    for piece in pieces:
        if min(piece.size_m) > 8 and site.canvas.is_free(piece.centre_m, min(piece.size_m) / 2):
            things.hall(site.canvas, piece.centre_m, piece.size_m)


def _car_park(site: Site, parking: Parcel) -> None:
    """Rows of bays on both sides of the aisles, white lines between them, some taken; a tree here and there."""
    rng, canvas, (u0, u1) = site.rng, site.canvas, parking.u_m
    fullness = rng.uniform(0.35, 0.75)
    lines = stripes(canvas.u_m[site.area] - u0, _BAY_M, 0.14, canvas.gsd_m)
    for row, v in enumerate(np.arange(parking.v_m[0] + 2.5, parking.v_m[1] - 2, 8.2)):
        bays = site.dry(Parcel(parking.u_m, (v - 2.5, v + 2.5)))
        canvas.paint(site.area, 0.8 * bays * lines, {"membrane": 1.0}, grain=0.0)
        for u in np.arange(u0 + _BAY_M / 2, u1 - _BAY_M / 2, _BAY_M):
            if rng.random() < fullness and canvas.is_free((u, v), 2):
                nose = rng.choice([-1, 1]) * _RIGHT_ANGLE + rng.normal(0, 0.03)
                things.car(canvas, (u, v + rng.normal(0, 0.25)), nose)
        if row % 2:
            site.tree((rng.uniform(u0, u1), v + 4.1), rng.uniform(1.4, 2.2))


def pitch(site: Site) -> None:
    """A football pitch, mown in stripes and lined in white, with trees around."""
    canvas, parcel = site.canvas, site.parcel
    ground.lawn(canvas, site.area, site.dry(parcel), dryness=0.2)
    length = min(max(parcel.size_m) - 14, 96.0)
    width = min(min(parcel.size_m) - 14, 0.64 * length)
    angle = 0.0 if parcel.size_m[0] > parcel.size_m[1] else _RIGHT_ANGLE
    if width > 20:
        window = canvas.window(parcel.centre_m, float(np.hypot(length, width)) / 2 + 6, angle)
        a, b = np.abs(window.along_m), np.abs(window.across_m)
        mown = 0.92 + 0.13 * (np.sin(2 * np.pi * window.along_m / 11.0) > 0)
        turf = canvas.box(window, (length + 6, width + 6))
        canvas.paint(window.area, turf, {"grass": 0.97 * mown, "straw": 0.04}, grain=0.05)
        outline = np.maximum(a - length / 2, b - width / 2)
        penalty = np.maximum(np.abs(a - length / 2) - 0.16 * length, b - 0.3 * width)
        for distance in (outline, penalty, np.hypot(a, b) - 9.15, a):
            line = canvas.inside(0.07 - np.abs(distance)) * canvas.box(window, (length + 0.2, width + 0.2))
            canvas.paint(window.area, 0.8 * line, {"membrane": 1.0}, grain=0.0)
    site.trees_around(spacing_m=9.0)
