"""Things that stand on the ground: trees, hedges, houses, halls, cars, pools.

Each function paints one thing at a place and gives it its height. Light and shadow come later, from the
height alone.
"""

from __future__ import annotations

import numpy as np

from fusioncli.core.synthetic.canvas import Canvas, Mix, Place, Window
from fusioncli.core.synthetic.textures import Array, stripes

Size = tuple[float, float]
"""Length along the axis of the thing and width across it, metres."""
_Choice = tuple[tuple[float, Mix], ...]

_ROOFS: _Choice = (
    (0.20, {"red_tile": 0.70, "asphalt": 0.15}),
    (0.28, {"red_tile": 0.42, "slate": 0.45}),
    (0.16, {"slate": 1.0}),
    (0.14, {"red_tile": 0.30, "concrete": 0.45}),
    (0.12, {"asphalt": 0.9, "gravel": 0.2}),
    (0.10, {"bitumen": 1.2}),
)
_FLAT_ROOFS: _Choice = (
    (0.35, {"membrane": 0.50, "concrete": 0.12}),
    (0.35, {"steel": 0.85}),
    (0.20, {"gravel": 0.8}),
    (0.10, {"bitumen": 1.4}),
)
_CARS: _Choice = (
    (0.20, {"membrane": 0.68}),
    (0.28, {"steel": 0.75}),
    (0.26, {"bitumen": 0.8}),
    (0.16, {"asphalt": 1.2}),
    (0.05, {"red_paint": 0.6}),
    (0.05, {"blue_paint": 0.7}),
)
_FREIGHT: _Choice = (
    (0.30, {"red_tile": 0.75}),
    (0.25, {"blue_paint": 0.8}),
    (0.25, {"membrane": 0.7}),
    (0.20, {"steel": 0.7}),
)


def tree(canvas: Canvas, place_m: Place, radius_m: float, conifer: bool = False) -> None:
    """A crown of lobes and clumps, about as high as it is wide; a conifer is higher and darker."""
    rng, window = canvas.rng, canvas.window(place_m, 1.35 * radius_m)
    clump, grain = canvas.clump[window.area], canvas.grain[window.area]
    angle, phase = np.arctan2(window.across_m, window.along_m), rng.uniform(0, 2 * np.pi, 2)
    lobes = 1 + 0.11 * np.sin(3 * angle + phase[0]) + 0.08 * np.sin(5 * angle + phase[1])
    edge = radius_m * (lobes + 0.10 * clump)
    distance = np.hypot(window.along_m, window.across_m)
    coverage = canvas.inside(edge - distance)
    dome = 1 - np.minimum(distance / np.maximum(edge, 0.1), 1.0) ** (1.3 if conifer else 2.2)
    top_m = radius_m * (3.2 if conifer else rng.uniform(1.6, 2.3))
    bumps = (0.30 * clump + 0.10 * grain) * min(radius_m / 3, 1.0)
    vigour, lush = rng.normal(1.0, 0.13), rng.uniform(0.0, 0.35)
    kind = "conifer" if conifer else "broadleaf"
    mix = {kind: vigour * (1 - lush), "grass": 0.75 * vigour * lush, "straw": rng.uniform(0, 0.05)}
    canvas.paint(window.area, coverage, mix, grain=0.16)
    canvas.raise_to(window.area, coverage, top_m * (0.45 + 0.55 * dome) + bumps)


def hedge(canvas: Canvas, place_m: Place, length_m: float, angle: float) -> None:
    """A clipped hedge with its middle at a place."""
    window = canvas.window(place_m, length_m / 2 + 1, angle)
    half_width = canvas.rng.uniform(0.35, 0.65) + 0.25 * canvas.clump[window.area]
    ends = canvas.inside(length_m / 2 - np.abs(window.along_m))
    coverage = ends * canvas.inside(half_width - np.abs(window.across_m))
    canvas.paint(window.area, coverage, {"broadleaf": 0.85, "grass": 0.15}, grain=0.14)
    canvas.raise_to(window.area, coverage, canvas.rng.uniform(1.2, 2.0))


def slab(canvas: Canvas, place_m: Place, size_m: Size, angle: float, mix: Mix) -> None:
    """A flat rectangle on the ground: a drive, a terrace, a bed."""
    window = canvas.window(place_m, np.hypot(*size_m) / 2 + 1, angle)
    canvas.paint(window.area, canvas.box(window, size_m), mix, grain=0.04)


def pool(canvas: Canvas, place_m: Place, angle: float) -> None:
    """A swimming pool with its stone rim."""
    length, width = canvas.rng.uniform(7, 10), canvas.rng.uniform(3.5, 4.5)
    slab(canvas, place_m, (length + 2.4, width + 2.4), angle, {"concrete": 1.05})
    slab(canvas, place_m, (length, width), angle, {"pool": 1.0})


def house(canvas: Canvas, place_m: Place, size_m: Size, angle: float) -> None:
    """A dwelling with a gabled or hipped roof, perhaps a wing, a chimney, solar panels."""
    rng, (length, width) = canvas.rng, size_m
    window = canvas.window(place_m, np.hypot(length, width) / 2 + 4, angle)
    slope, eaves, hipped = rng.uniform(0.45, 0.75), rng.uniform(3.0, 5.5), bool(rng.random() < 0.45)
    coverage, rise = _pitched_roof(canvas, window, size_m, slope, hipped)
    if length > 9 and rng.random() < 0.45:
        corner = window.moved(rng.choice([-1, 1]) * length / 4, rng.choice([-1, 1]) * width / 3).turned()
        wing, wing_rise = _pitched_roof(canvas, corner, (0.75 * width + 3, 0.42 * length), slope, hipped)
        coverage, rise = np.maximum(coverage, wing), np.maximum(rise, wing_rise)
    roof, clump = _pick(canvas, _ROOFS), canvas.clump[window.area]
    weathering = rng.normal(1.0, 0.12) * (1 + 0.06 * canvas.broad[window.area] + 0.04 * clump)
    canvas.paint(window.area, coverage, _scaled(roof, weathering), grain=0.05)
    canvas.paint(window.area, 0.5 * canvas.box(window, (length - 0.4, 0.36)), _scaled(roof, 1.2), grain=0.0)
    canvas.raise_to(window.area, coverage, eaves + np.maximum(rise, 0))
    if rng.random() < 0.7:
        chimney = window.moved(rng.uniform(-0.3, 0.3) * length, 0.6)
        _block(canvas, chimney, (1.0, 0.8), eaves + slope * width / 2 + 0.9)
    if rng.random() < 0.18:
        side = window.moved(0.0, rng.choice([-1, 1]) * width / 4)
        panels = canvas.box(side, (0.45 * length, 0.28 * width))
        canvas.paint(window.area, panels, {"glass": 1.0, "blue_paint": 0.05}, grain=0.0)


def hall(canvas: Canvas, place_m: Place, size_m: Size) -> None:
    """A large building along the u axis: seams and sections of the roof, a parapet, machinery, skylights."""
    rng, (length, width) = canvas.rng, size_m
    window = canvas.window(place_m, np.hypot(length, width) / 2 + 2)
    area, coverage, height = window.area, canvas.box(window, size_m), rng.uniform(6.5, 10.0)
    shade = 1.0 - 0.06 * stripes(window.along_m, rng.uniform(5, 7), 0.5, canvas.gsd_m)
    for edge in rng.uniform(-0.4, 0.4, 2) * length:
        shade = shade * np.where(window.along_m > edge, rng.uniform(0.86, 1.1), 1.0)
    stains = 1.0 + 0.045 * canvas.broad[area] + 0.02 * canvas.clump[area]
    canvas.paint(area, coverage, _scaled(_pick(canvas, _FLAT_ROOFS), shade * stains), grain=0.02)
    pitch = 0.18 if rng.random() < 0.6 else 0.0
    bay = width / max(1, round(width / rng.uniform(11, 18)))
    ridge = bay / 2 - np.abs((window.across_m + width / 2) % bay - bay / 2)
    canvas.raise_to(area, coverage, height + pitch * ridge)
    rim = coverage * (1 - canvas.box(window, (length - 1.0, width - 1.0)))
    canvas.paint(area, rim, {"concrete": 1.15}, grain=0.02)
    canvas.raise_to(area, rim, height + 0.7)
    for _ in range(int(length * width / 160)):
        spot = window.moved(rng.uniform(-0.42, 0.42) * length, rng.uniform(-0.40, 0.40) * width)
        _block(canvas, spot, (rng.uniform(1.2, 3.2), rng.uniform(1.2, 3.2)), height + rng.uniform(0.8, 2.0))
    if rng.random() < 0.6:
        row = window.moved(0.0, rng.choice([-1, 1]) * width / 4)
        lights = stripes(row.along_m, 9.0, 3.5, canvas.gsd_m) * canvas.box(row, (length - 2, 1.2))
        canvas.paint(area, 0.8 * lights, {"glass": 1.2, "steel": 0.3}, grain=0.0)


def container(canvas: Canvas, place_m: Place) -> None:
    """A freight container or a parked lorry, along the u axis."""
    window = canvas.window(place_m, 8)
    coverage = canvas.box(window, (canvas.rng.choice([6.1, 12.2]), 2.5))
    canvas.paint(window.area, coverage, _pick(canvas, _FREIGHT), grain=0.03)
    canvas.raise_to(window.area, coverage, 2.7)


def car(canvas: Canvas, place_m: Place, angle: float) -> None:
    """A parked car: painted body, dark windows in front of and behind the roof."""
    rng, window = canvas.rng, canvas.window(place_m, 3.5, angle)
    length, width, paint = rng.uniform(3.9, 4.8), rng.uniform(1.7, 1.9), _pick(canvas, _CARS)
    cabin = window.moved(-0.2, 0.0)
    for part, size, mix, height in (
        (window, (length, width), paint, 0.9),
        (cabin, (2.3, width - 0.1), {"glass": 1.6}, 1.5),
        (cabin, (1.2, width - 0.2), paint, 1.5),
    ):
        coverage = canvas.box(part, size)
        canvas.paint(window.area, coverage, mix, grain=0.02)
        canvas.raise_to(window.area, coverage, height)


def _pitched_roof(canvas: Canvas, window: Window, size_m: Size, slope: float, hipped: bool) -> tuple[Array, Array]:
    """Coverage of a roof and its height above the eaves, the ridge along the axis of the window."""
    rise = size_m[1] / 2 - np.abs(window.across_m)
    if hipped:
        rise = np.minimum(rise, size_m[0] / 2 - np.abs(window.along_m))
    coverage = canvas.box(window, size_m)
    return coverage, np.where(coverage > 0, slope * rise, -1.0)


def _block(canvas: Canvas, window: Window, size_m: Size, top_m: float) -> None:
    """A box on a roof, with its top at `top_m` above the ground."""
    coverage = canvas.box(window, size_m)
    canvas.paint(window.area, coverage, {"steel": canvas.rng.uniform(0.5, 1.2)}, grain=0.02)
    canvas.raise_to(window.area, coverage, top_m)


def _pick(canvas: Canvas, choices: _Choice) -> Mix:
    return choices[canvas.rng.choice(len(choices), p=[chance for chance, _ in choices])][1]


def _scaled(mix: Mix, factor: float | Array) -> Mix:
    return {material: share * factor for material, share in mix.items()}
