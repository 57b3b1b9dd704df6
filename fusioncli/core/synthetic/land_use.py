"""Fill a parcel according to its use: gardens with houses, works with parking, a pitch, crops, trees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusioncli.core.synthetic import fields, things
from fusioncli.core.synthetic.canvas import Array, Canvas
from fusioncli.core.synthetic.parcels import Parcel
from fusioncli.core.synthetic.textures import scattered_points, stripes


def fill(canvas: Canvas, parcel: Parcel, blocked: Array) -> None:
    """Paint one parcel.

    Args:
        canvas: where to paint.
        parcel: the ground and its use.
        blocked: coverage of what must not be built on, such as water.
    """
    area = _area_of(canvas, parcel)
    if area is None:
        return
    site = Site(canvas, parcel, area, blocked)
    if parcel.use in ("homes", "works", "pitch") and site.is_wet():
        site.parcel = replace(parcel, use="meadow")
    site.fill()


class Site:
    """A parcel on a canvas."""

    def __init__(
        self, canvas: Canvas, parcel: Parcel, area: tuple[slice, slice], blocked: Array
    ) -> None:
        self.canvas, self.parcel, self.area, self.blocked = canvas, parcel, area, blocked
        self.rng = canvas.rng

    def fill(self) -> None:
        """Paint the parcel."""
        getattr(self, f"_{self.parcel.use}")()

    def is_wet(self) -> bool:
        """Whether the river takes more than a tenth of the parcel."""
        wet = self.blocked[self.area]
        inside = wet[self._inside(self.parcel) > 0.5]
        return inside.size > 0 and float(inside.mean()) > 0.1

    def _field(self) -> None:
        """One to three strips of crops."""
        along_v = self.parcel.size_m[1] > self.parcel.size_m[0]
        low, high = self.parcel.u_m if along_v else self.parcel.v_m
        count = int(self.rng.integers(1, 4)) if high - low > 55 else 1
        edges = np.linspace(low, high, count + 1) + np.pad(self.rng.uniform(-6, 6, count - 1), 1)
        for kind, start, stop in zip(self.rng.permutation(fields.CROPS), edges, edges[1:], strict=False):
            side, (first, last) = (start + 0.6, stop - 0.6), self.parcel.v_m if along_v else self.parcel.u_m
            turn = self.rng.uniform(5, 9)
            ends = [(first, first + turn), (last - turn, last)]
            for piece, rows_along_v in [((first, last), along_v), *((end, not along_v) for end in ends)]:
                strip = Parcel(side, piece) if along_v else Parcel(piece, side)
                fields.crop_field(self.canvas, self.area, self._cover(strip), str(kind), rows_along_v)

    def _meadow(self) -> None:
        fields.lawn(self.canvas, self.area, self._cover(self.parcel), dryness=0.3)
        for u, v in scattered_points(self.rng, *self._corners(6), spacing=26):
            self._tree(u, v, self.rng.uniform(2.0, 4.5))

    def _wood(self) -> None:
        fields.undergrowth(self.canvas, self.area, self._cover(self.parcel))
        conifers = self.rng.random() < 0.3
        for u, v in scattered_points(self.rng, *self._corners(2), spacing=5.6):
            self._tree(u, v, self.rng.uniform(2.2, 4.4), conifer=conifers or self.rng.random() < 0.08)

    def _orchard(self) -> None:
        fields.lawn(self.canvas, self.area, self._cover(self.parcel), dryness=0.25)
        (u0, v0), (u1, v1) = self._corners(4)
        for u in np.arange(u0, u1, 6.5):
            for v in np.arange(v0, v1, 5.0):
                if self.rng.random() < 0.94:
                    self._tree(u + self.rng.normal(0, 0.2), v + self.rng.normal(0, 0.2), self.rng.uniform(1.5, 2.1))

    def _pitch(self) -> None:
        """A football pitch with mown stripes and white lines, trees around."""
        canvas, parcel = self.canvas, self.parcel
        fields.lawn(canvas, self.area, self._cover(parcel), dryness=0.2)
        (u, v), (size_u, size_v) = parcel.centre_m, parcel.size_m
        length = min(max(size_u, size_v) - 14, 96.0)
        width = min(min(size_u, size_v) - 14, 0.64 * length)
        angle = 0.0 if size_u > size_v else np.pi / 2
        if width > 20 and (window := canvas.window(u, v, length / 2 + 4, angle)):
            inside = canvas.box(window, length + 6, width + 6)
            mown = 0.92 + 0.13 * (np.sin(2 * np.pi * window.along_m / 11.0) > 0)
            canvas.paint(window.area, inside, {"grass": 0.97 * mown, "straw": 0.04}, grain=0.05)
            a, b = np.abs(window.along_m), np.abs(window.across_m)
            ring = [np.maximum(a - length / 2, b - width / 2), np.hypot(a, b) - 9.15]
            ring += [np.maximum(np.abs(a - length / 2) - 0.16 * length, b - 0.3 * width), a]
            within = canvas.box(window, length + 0.2, width + 0.2)
            for distance in ring:
                canvas.paint(window.area, 0.8 * within * canvas.inside(0.07 - np.abs(distance)), {"membrane": 1.0}, 0.0)
        self._trees_around(spacing=9.0)

    def _works(self) -> None:
        """A hall or two, a yard and a car park."""
        canvas = self.canvas
        fields.lawn(canvas, self.area, self._cover(self.parcel), dryness=0.3)
        yard = self.parcel.shrunk(3.0)
        mix = {"asphalt": 0.95} if self.rng.random() < 0.6 else {"concrete": 0.75, "asphalt": 0.1}
        fields.pavement(canvas, self.area, self._cover(yard), mix)
        (u0, u1), (v0, v1) = yard.u_m, yard.v_m
        along_u = u1 - u0 > v1 - v0
        share = self.rng.uniform(0.48, 0.6)
        if along_u:
            built = Parcel((u0 + 4, u0 + share * (u1 - u0)), (v0 + 4, v1 - 4))
            parking = Parcel((u0 + share * (u1 - u0) + 6, u1 - 2), (v0 + 2, v1 - 2))
        else:
            built = Parcel((u0 + 4, u1 - 4), (v0 + 4, v0 + share * (v1 - v0)))
            parking = Parcel((u0 + 2, u1 - 2), (v0 + share * (v1 - v0) + 6, v1 - 2))
        self._halls(built)
        self._car_park(parking)
        for _ in range(int(self.rng.integers(0, 7))):
            u, v = u0 + 1.5, self.rng.uniform(v0 + 4, v1 - 4)
            spot, turn = ((u, v), np.pi / 2) if along_u else ((self.rng.uniform(u0 + 4, u1 - 4), v0 + 1.5), 0.0)
            if self._free(*spot, 4):
                things.container(self.canvas, *spot, turn)
        self._trees_around(spacing=12.0)

    def _halls(self, ground: Parcel) -> None:
        size_u, size_v = ground.size_m
        pieces = [ground]
        if max(size_u, size_v) > 38 and self.rng.random() < 0.7:
            (u0, u1), (v0, v1) = ground.u_m, ground.v_m
            at = self.rng.uniform(0.45, 0.65)
            if size_u > size_v:
                middle = u0 + at * size_u
                pieces = [Parcel((u0, middle), (v0, v1)), Parcel((middle + 5, u1), (v0, v1 - 0.25 * size_v))]
            else:
                middle = v0 + at * size_v
                pieces = [Parcel((u0, u1), (v0, middle)), Parcel((u0, u1 - 0.25 * size_u), (middle + 5, v1))]
        for piece in pieces:
            if self._free(*piece.centre_m, max(piece.size_m) / 2) and min(piece.size_m) > 8:
                things.hall(self.canvas, *piece.centre_m, piece.size_m, 0.0)

    def _car_park(self, ground: Parcel) -> None:
        """Rows of bays on both sides of the aisles, white lines between, some of them taken."""
        (u0, u1), (v0, v1) = ground.u_m, ground.v_m
        fullness = self.rng.uniform(0.35, 0.75)
        for row, v in enumerate(np.arange(v0 + 3, v1 - 2, 8.2)):
            lines = canvas_line = self._cover(Parcel((u0, u1), (v - 2.5, v + 2.5)))
            lines = canvas_line * stripes(self.canvas.u_m[self.area] - u0, 2.6, 0.14, self.canvas.gsd_m)
            self.canvas.paint(self.area, 0.8 * lines, {"membrane": 1.0}, grain=0.0)
            for u in np.arange(u0 + 1.3, u1 - 1.2, 2.6):
                if self.rng.random() < fullness and self._free(u, v, 2):
                    nose = np.pi / 2 + np.pi * (self.rng.random() < 0.5) + self.rng.normal(0, 0.03)
                    things.car(self.canvas, u, v + self.rng.normal(0, 0.25), nose)
            if row % 2 == 1:
                self._tree(u0 + self.rng.uniform(0.2, 0.8) * (u1 - u0), v + 4.1, self.rng.uniform(1.4, 2.2))

    def _homes(self) -> None:
        """Gardens with houses in two rows, facing the roads on the long sides."""
        fields.lawn(self.canvas, self.area, self._cover(self.parcel), dryness=0.18)
        along_u = self.parcel.size_m[0] >= self.parcel.size_m[1]
        low, high = self.parcel.u_m if along_u else self.parcel.v_m
        sides = self.parcel.v_m if along_u else self.parcel.u_m
        depth = sides[1] - sides[0]
        count = max(1, round((high - low) / self.rng.uniform(17, 22)))
        lots = np.linspace(low, high, count + 1)
        rows = [(sides[0], 1.0), (sides[1], -1.0)] if depth > 44 else [(sides[0], 1.0)]
        garden = depth / len(rows)
        for front, inward in rows:
            for start, stop in zip(lots, lots[1:], strict=False):
                Lot(self, along_u, ((start + stop) / 2, front), inward, (stop - start, garden)).build()

    def _trees_around(self, spacing: float) -> None:
        (u0, v0), (u1, v1) = self._corners(1.5)
        for u in np.arange(u0, u1, spacing):
            for v in (v0, v1):
                if self.rng.random() < 0.55:
                    self._tree(u + self.rng.uniform(-2, 2), v, self.rng.uniform(1.8, 3.4))

    def _tree(self, u: float, v: float, radius: float, conifer: bool = False) -> None:
        if self._free(u, v, 1.0):
            things.tree(self.canvas, u, v, radius, conifer)

    def _corners(self, margin_m: float) -> tuple[tuple[float, float], tuple[float, float]]:
        (u0, u1), (v0, v1) = self.parcel.shrunk(margin_m).u_m, self.parcel.shrunk(margin_m).v_m
        return (u0, v0), (u1, v1)

    def _cover(self, parcel: Parcel) -> Array:
        """Coverage of a parcel in this site's area, without what is blocked."""
        return self._inside(parcel) * (1 - self.blocked[self.area])

    def _inside(self, parcel: Parcel) -> Array:
        """Coverage of a parcel in this site's area."""
        canvas, parts = self.canvas, ((self.canvas.u_m, parcel.u_m), (self.canvas.v_m, parcel.v_m))
        depths = [np.minimum(axis[self.area] - low, high - axis[self.area]) for axis, (low, high) in parts]
        return canvas.inside(depths[0]) * canvas.inside(depths[1])

    def _free(self, u: float, v: float, reach_m: float) -> bool:
        """Whether nothing blocks the surroundings of a point."""
        window = self.canvas.window(u, v, reach_m)
        return window is not None and float(self.blocked[window.area].max(initial=0.0)) < 0.1


class Lot:
    """One garden with its house. Positions are (along the street, away from the street)."""

    def __init__(
        self, site: Site, along_u: bool, front: tuple[float, float], inward: float, size_m: tuple[float, float]
    ) -> None:
        self.site, self.along_u, self.front, self.inward = site, along_u, front, inward
        self.width, self.depth = size_m
        self.canvas, self.rng = site.canvas, site.rng
        self.angle = 0.0 if along_u else np.pi / 2

    def build(self) -> None:
        """Paint hedge, drive, house, terrace, perhaps a pool, and trees."""
        if not self.site._free(*self._place(0, self.depth / 2), 12):
            return
        rng, canvas = self.rng, self.canvas
        if window := canvas.window(*self._place(0, self.depth / 2), np.hypot(self.width, self.depth) / 2, self.angle):
            garden = canvas.box(window, self.width, self.depth)
            fields.lawn(canvas, window.area, garden, dryness=float(rng.beta(1.5, 4.0)))
        size = (rng.uniform(9.5, min(14.5, self.width - 4)), rng.uniform(7.5, 9.5))
        back = rng.uniform(9, 12)
        turn = self.angle + rng.normal(0, 0.02) + (np.pi / 2 if rng.random() < 0.2 else 0)
        side = rng.choice([-1.0, 1.0])
        for distance, length in ((self.width / 2, self.depth - 4),):
            if rng.random() < 0.75:
                things.hedge(canvas, *self._place(distance, self.depth / 2), length, self.angle + np.pi / 2)
        drive = side * (self.width / 2 - 3.2)
        pavement = {"concrete": 0.85} if rng.random() < 0.5 else {"asphalt": 1.1}
        things.slab(canvas, *self._place(drive, 5), (10, 3.0), self.angle + np.pi / 2, pavement)
        things.slab(canvas, *self._place(0, back + 6), (size[0] * 0.7, 4.0), self.angle, {"concrete": 0.95})
        things.house(canvas, *self._place(0, back), size, turn)
        if rng.random() < 0.35:
            bed = rng.uniform(3, 7, 2)
            soil = {"loam": 0.7, "crop": 0.2}
            things.slab(canvas, *self._place(rng.uniform(-5, 5), self.depth - 6), tuple(bed), self.angle, soil)
        if rng.random() < 0.5:
            things.house(canvas, *self._place(drive, 13), (5.5, 3.4), self.angle + np.pi / 2)
        if rng.random() < 0.6:
            things.car(canvas, *self._place(drive, rng.uniform(3, 7)), self.angle + np.pi / 2 * rng.choice([1, 3]))
        if self.depth > 24 and rng.random() < 0.13:
            things.pool(canvas, *self._place(-side * self.width / 6, back + 13), self.angle + rng.choice([0, np.pi / 2]))
        for _ in range(rng.integers(1, 5)):
            spot = (rng.uniform(-0.42, 0.42) * self.width, rng.uniform(back + 8, max(self.depth - 2, back + 9)))
            self.site._tree(*self._place(*spot), rng.uniform(1.3, 3.4))
        if rng.random() < 0.5:
            self.site._tree(*self._place(-drive, 2.5), rng.uniform(1.2, 2.2))

    def _place(self, along: float, inward: float) -> tuple[float, float]:
        point = (self.front[0] + along, self.front[1] + self.inward * inward)
        return point if self.along_u else point[::-1]


def _area_of(canvas: Canvas, parcel: Parcel) -> tuple[slice, slice] | None:
    """Rows and columns that hold a parcel, or None if it lies outside."""
    (u0, u1), (v0, v1) = parcel.u_m, parcel.v_m
    hit = (canvas.u_m > u0 - 2) & (canvas.u_m < u1 + 2) & (canvas.v_m > v0 - 2) & (canvas.v_m < v1 + 2)
    if not hit.any():
        return None
    return tuple(_span(hit.any(axis)) for axis in (1, 0))  # type: ignore[return-value]


def _span(hit: np.ndarray) -> slice:
    first, last = np.flatnonzero(hit)[[0, -1]]
    return slice(int(first), int(last) + 1)


def plant(canvas: Canvas, spot_m: tuple[float, float], blocked: Array) -> None:
    """A bush or a tree of a hedgerow or an avenue."""
    window = canvas.window(*spot_m, 1.0)
    if window is not None and blocked[window.area].max(initial=0.0) < 0.1:
        bush = canvas.rng.random() < 0.5
        things.tree(canvas, *spot_m, canvas.rng.uniform(1.0, 1.9) if bush else canvas.rng.uniform(1.9, 3.8))
