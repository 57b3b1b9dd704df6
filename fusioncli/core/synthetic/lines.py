"""What runs across the parcels: the river, roads, tracks, hedgerows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusioncli.core.synthetic import ground, things
from fusioncli.core.synthetic.canvas import Canvas, Place
from fusioncli.core.synthetic.parcels import Cut
from fusioncli.core.synthetic.textures import Array, scattered_points

_WIDTH_M = {"road": 7.2, "street": 5.2}

_TREES = {
    # offset from the line (m), distance from one to the next (m), odds that it stands
    "hedge": ((0.0,), 2.6, 0.80),
    "track": ((-3.0, 3.0), 5.0, 0.25),
    "street": ((-5.0, 5.0), 9.0, 0.40),
    "road": ((-6.6, 6.6), 10.0, 0.45),
}


def river(canvas: Canvas, cuts: tuple[Cut, ...]) -> list[Place]:
    """Three times in four, a meandering river, away from parallel roads.

    Returns:
        Places on its banks where trees may grow.
    """
    rng, extent = canvas.rng, min(canvas.extent_m)
    if rng.random() < 0.25:
        return []
    along_u = bool(rng.random() < 0.5)
    along, across = (canvas.u_m, canvas.v_m) if along_u else (canvas.v_m, canvas.u_m)
    beside = [cut.at_m for cut in cuts if cut.along_u == along_u and cut.kind in _WIDTH_M]
    options = rng.uniform(-0.8, 0.8, 12) * extent
    middle = max(options, key=lambda at: min((abs(at - road) for road in beside), default=0.0))
    length, swing = rng.uniform(1.3, 2.2) * extent, rng.uniform(0.06, 0.13) * extent
    phase = 2 * np.pi * along / length + rng.uniform(0, 2 * np.pi)
    steepness = swing * 2 * np.pi / length * np.cos(phase)
    distance = np.abs(across - middle - swing * np.sin(phase)) / np.sqrt(1 + steepness**2)
    half_width = rng.uniform(7, 12)
    ground.river(canvas, distance.astype(np.float32), half_width)
    bank = (distance > half_width + 1.5) & (distance < half_width + 7) & (canvas.broad > -0.3)
    return _scattered_in(canvas, bank, spacing_m=5.0)


def roads(canvas: Canvas, cuts: tuple[Cut, ...]) -> None:
    """Tracks, then streets, then roads, so that the larger one runs through at a junction."""
    paved: list[tuple[Array, Array, float]] = []
    for cut in reversed(cuts):
        along, across = (canvas.u_m, canvas.v_m) if cut.along_u else (canvas.v_m, canvas.u_m)
        beyond = np.maximum(np.maximum(cut.span_m[0] - along, along - cut.span_m[1]), 0)
        distance = np.hypot(across - cut.at_m, beyond).astype(np.float32)
        if cut.kind == "track" and not _follows_river(canvas, distance):
            ground.track(canvas, distance, 3.2)
        elif cut.kind in _WIDTH_M:
            paved.append((distance, along, _WIDTH_M[cut.kind]))
    for distance, _, width in paved:
        ground.verge(canvas, distance, width)
    for distance, along, width in paved:
        ground.road(canvas, distance, width)
        if width > 6:
            ground.markings(canvas, distance, along, width)


def riverside(canvas: Canvas, banks: list[Place]) -> None:
    """Trees on the banks, but not on a bridge."""
    for place in banks:
        area = canvas.window(place, 2.0).area
        if canvas.paved[area].max(initial=0.0) < 0.1:
            things.tree(canvas, place, canvas.rng.uniform(1.2, 3.6))


def hedgerows(canvas: Canvas, cuts: tuple[Cut, ...]) -> None:
    """Bushes and trees along hedges and, in places, along roads."""
    rng = canvas.rng
    for cut in cuts:
        offsets, step_m, odds = _TREES[cut.kind]
        for at in np.arange(*cut.span_m, step_m):
            for offset in offsets:
                along, across = at + rng.uniform(-1, 1), cut.at_m + offset + rng.uniform(-0.4, 0.4)
                place = (along, across) if cut.along_u else (across, along)
                radius = rng.uniform(1.0, 1.9) if rng.random() < 0.5 else rng.uniform(1.9, 3.8)
                if rng.random() < odds and canvas.is_free(place, 1.0):
                    things.tree(canvas, place, radius)


def _follows_river(canvas: Canvas, distance_m: Array) -> bool:
    wet = canvas.wet[distance_m < 2]
    return wet.size > 0 and float(wet.mean()) > 0.35


def _scattered_in(canvas: Canvas, where: NDArray[np.bool_], spacing_m: float) -> list[Place]:
    """Places scattered over a mask."""
    rows, columns = canvas.shape
    points = scattered_points(canvas.rng, (0.0, 0.0), (rows, columns), spacing_m / canvas.gsd_m)
    pixels = np.clip(points.astype(int), 0, (rows - 1, columns - 1))
    return [(float(canvas.u_m[r, c]), float(canvas.v_m[r, c])) for r, c in pixels if where[r, c]]
