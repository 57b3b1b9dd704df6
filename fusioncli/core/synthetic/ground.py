"""What lies on the ground: crops, bare soil, lawn, woodland floor, water, roads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fusioncli.core.synthetic.canvas import Area, Canvas, Mix
from fusioncli.core.synthetic.textures import Array, furrows, stripes


class _Cover(NamedTuple):
    """How a kind of field looks: green and dry shares, its plant and soil, spacing and depth of the rows."""

    green: float
    dry: float
    plant: str
    soil: str
    row_m: float
    contrast: float
    relief: float
    tramlines: bool


_COVER = {
    #                 green   dry  plant    soil     row_m contrast relief tramlines
    "wheat": _Cover(   0.80, 0.25, "crop",  "loam",   2.5,   0.05,   0.0,  True),
    "maize": _Cover(   0.68, 0.05, "crop",  "loam",   1.5,   0.35,   0.0,  False),
    "stubble": _Cover( 0.10, 0.80, "grass", "loam",   3.0,   0.06,   1.0,  False),
    "ploughed": _Cover(0.02, 0.06, "grass", "loam",   1.8,   0.00,   1.6,  False),
    "seedbed": _Cover( 0.16, 0.22, "crop",  "loam",   3.0,   0.10,   0.4,  True),
    "meadow": _Cover(  0.72, 0.40, "grass", "loam",   6.0,   0.05,   0.0,  False),
}  # fmt: skip

CROPS = tuple(_COVER)
"""Kinds of field."""


def crop(canvas: Canvas, area: Area, coverage: Array, kind: str, along_v: bool) -> None:
    """A field with its rows, tramlines and patches of good and poor growth.

    Args:
        canvas: where to paint.
        area: rows and columns that hold the field.
        coverage: share of each pixel that belongs to it.
        kind: one of `CROPS`.
        along_v: whether the rows run along the v axis.
    """
    across = (canvas.u_m if along_v else canvas.v_m)[area]
    offset = canvas.rng.uniform(0, 50)
    wobble = 0.2 * canvas.broad[area]
    growth = np.clip(0.5 + 0.28 * canvas.broad[area] + 0.06 * canvas.clump[area], 0, 1)
    cover = _COVER[kind]
    rows = furrows(across + offset + wobble, cover.row_m)
    green = np.clip(cover.green * (0.75 + 0.5 * growth) - cover.contrast * (1 - rows), 0, 1)
    dry = cover.dry * (1 - green) * (1.15 - 0.3 * growth)
    soil = (1 - green - dry) * (0.80 + 0.22 * cover.relief * rows + 0.30 * (1 - growth))
    mix = {cover.plant: green * (0.85 + 0.3 * growth), "straw": dry, cover.soil: soil}
    canvas.paint(area, coverage, mix, grain=0.06)
    if cover.tramlines:
        wheels = stripes(across + offset, 21.0, 2.4, canvas.gsd_m)
        wheels *= 1 - stripes(across + offset, 21.0, 1.3, canvas.gsd_m)
        canvas.paint(area, 0.65 * wheels * coverage, {cover.soil: 0.95}, grain=0.08)


def lawn(canvas: Canvas, area: Area, coverage: Array, dryness: float = 0.15) -> None:
    """Short grass, dry in patches."""
    dry = np.clip(dryness + 0.10 * canvas.broad[area] + 0.05 * canvas.clump[area], 0, 1)
    soil = np.clip(0.04 + 0.03 * canvas.clump[area], 0, 1)
    mix = {"grass": (1 - dry) * (1 - soil), "straw": 0.75 * dry * (1 - soil), "loam": soil}
    canvas.paint(area, coverage, mix, grain=0.09)


def undergrowth(canvas: Canvas, area: Area, coverage: Array) -> None:
    """The floor of a wood."""
    canvas.paint(area, coverage, {"broadleaf": 0.5, "loam": 0.25, "straw": 0.08}, grain=0.15)


def pavement(canvas: Canvas, area: Area, coverage: Array, mix: Mix) -> None:
    """Asphalt or concrete with patches, stains and joints of laying."""
    wear = 1 + 0.05 * canvas.broad[area] + 0.03 * canvas.clump[area]
    canvas.paint(area, coverage, {name: share * wear for name, share in mix.items()}, grain=0.03)


def river(canvas: Canvas, distance_m: Array, half_width_m: float) -> None:
    """Water between green banks.

    Args:
        canvas: where to paint.
        distance_m: distance of every pixel from the middle of the river.
        half_width_m: half its width, water only.
    """
    ragged = 1.0 * canvas.broad + 0.35 * canvas.clump
    bank = canvas.inside(half_width_m + 6 + 1.5 * ragged - distance_m)
    canvas.paint(canvas.everywhere, bank, {"grass": 0.55, "straw": 0.25, "broadleaf": 0.15}, grain=0.14)
    shore = canvas.inside(half_width_m + 0.5 + 0.7 * ragged - distance_m)
    canvas.paint(canvas.everywhere, 0.7 * shore, {"loam": 0.6, "grass": 0.2}, grain=0.15)
    water = canvas.inside(half_width_m + 0.5 * ragged - distance_m)
    shallow = np.clip((distance_m - 0.55 * half_width_m) / half_width_m, 0, 0.35)
    depth = 1 + 0.06 * canvas.broad
    canvas.paint(canvas.everywhere, water, {"river": depth, "loam": 0.15 * shallow}, grain=0.06)
    canvas.wet = np.maximum(canvas.wet, canvas.inside(half_width_m + 6 - distance_m))


def verge(canvas: Canvas, distance_m: Array, width_m: float) -> None:
    """Grass and kerb beside a road, the kerb only on a bridge. Paint all verges before any road."""
    grass = canvas.inside(width_m / 2 + 3.0 + 0.4 * canvas.clump - distance_m) * (1 - canvas.wet)
    lawn(canvas, canvas.everywhere, grass, 0.35)
    kerb = canvas.inside(width_m / 2 + 0.7 + 0.12 * canvas.clump - distance_m)
    canvas.paint(canvas.everywhere, kerb, {"gravel": 0.45, "concrete": 0.2, "grass": 0.15}, grain=0.06)


def road(canvas: Canvas, distance_m: Array, width_m: float) -> None:
    """Asphalt, paler where the wheels run, patched and stained."""
    surface = canvas.inside(width_m / 2 - distance_m)
    wheels = np.exp(-(((distance_m - width_m / 4) / 0.7) ** 2))
    pavement(canvas, canvas.everywhere, surface, {"asphalt": 0.94 + 0.10 * wheels})
    canvas.paved = np.maximum(canvas.paved, surface)


def markings(canvas: Canvas, distance_m: Array, along_m: Array, width_m: float) -> None:
    """Broken centre line and worn edge lines."""
    dashes = canvas.inside(0.07 - distance_m) * stripes(along_m, 9.0, 3.0, canvas.gsd_m)
    edges = 0.6 * canvas.inside(0.06 - np.abs(distance_m - width_m / 2 + 0.35))
    worn = np.clip(0.75 + 0.15 * canvas.broad + 0.1 * canvas.clump, 0.2, 1)
    canvas.paint(canvas.everywhere, worn * np.maximum(dashes, edges), {"membrane": 0.85}, grain=0.0)


def track(canvas: Canvas, distance_m: Array, width_m: float) -> None:
    """An unpaved farm track, a strip of grass in its middle; it ends at the water."""
    distance = distance_m + 0.15 * canvas.clump
    dry = 1 - canvas.wet
    lawn(canvas, canvas.everywhere, dry * canvas.inside(width_m / 2 + 1.6 - distance), dryness=0.4)
    wheels = dry * canvas.inside(width_m / 2 - distance)
    canvas.paint(canvas.everywhere, wheels, {"gravel": 0.7, "loam": 0.3}, grain=0.1)
    middle = dry * canvas.inside(0.35 - distance)
    canvas.paint(canvas.everywhere, 0.7 * middle, {"grass": 0.6, "straw": 0.3}, grain=0.1)
