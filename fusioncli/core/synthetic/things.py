"""Things that stand on the ground: trees, hedges, houses, halls, cars, pools.

Each function paints one thing at ground position (u, v) and gives it its height; light and shadow come later, from
the height alone.
"""

from __future__ import annotations

import numpy as np

from fusioncli.core.synthetic.canvas import Array, Canvas, Mix, Window
from fusioncli.core.synthetic.textures import stripes

_ROOFS: tuple[tuple[float, Mix], ...] = (
    (0.20, {"red_tile": 0.70, "asphalt": 0.15}),
    (0.28, {"red_tile": 0.42, "slate": 0.45}),
    (0.16, {"slate": 1.0}),
    (0.14, {"red_tile": 0.30, "concrete": 0.45}),
    (0.12, {"asphalt": 0.9, "gravel": 0.2}),
    (0.10, {"bitumen": 1.2}),
)
_CARS: tuple[tuple[float, Mix], ...] = (
    (0.20, {"membrane": 0.68}),
    (0.28, {"steel": 0.75}),
    (0.26, {"bitumen": 0.8}),
    (0.16, {"asphalt": 1.2}),
    (0.05, {"red_paint": 0.6}),
    (0.05, {"blue_paint": 0.7}),
)


_FREIGHT: tuple[tuple[float, Mix], ...] = (
    (0.30, {"red_tile": 0.75}),
    (0.25, {"blue_paint": 0.8}),
    (0.25, {"membrane": 0.7}),
    (0.20, {"steel": 0.7}),
)


def tree(canvas: Canvas, u_m: float, v_m: float, radius_m: float, conifer: bool = False) -> None:
    """A crown of lobes and clumps, as high as it is wide or, for a conifer, higher."""
    window = canvas.window(u_m, v_m, radius_m * 1.35)
    if window is None:
        return
    rng = canvas.rng
    angle = np.arctan2(window.across_m, window.along_m)
    phase = rng.uniform(0, 2 * np.pi, 3)
    lobes = 1 + 0.11 * np.sin(3 * angle + phase[0]) + 0.08 * np.sin(5 * angle + phase[1])
    edge = radius_m * lobes + 0.10 * radius_m * canvas.clump[window.area]
    distance = np.hypot(window.along_m, window.across_m)
    coverage = canvas.inside(edge - distance)
    dome = 1 - np.minimum(distance / np.maximum(edge, 0.1), 1.0) ** (1.3 if conifer else 2.2)
    top_m = radius_m * (3.2 if conifer else rng.uniform(1.6, 2.3))
    clumps = canvas.clump[window.area] * 0.30 + canvas.grain[window.area] * 0.10
    height = top_m * (0.45 + 0.55 * dome) + clumps * min(radius_m / 3, 1.0)
    kind = "conifer" if conifer else "broadleaf"
    vigour = rng.normal(1.0, 0.13)
    lushness = rng.uniform(0.0, 0.35)
    mix = {kind: vigour * (1 - lushness), "grass": 0.75 * vigour * lushness, "straw": rng.uniform(0, 0.05)}
    canvas.paint(window.area, coverage, mix, grain=0.16)
    canvas.raise_to(window.area, coverage, height)


def hedge(canvas: Canvas, u_m: float, v_m: float, length_m: float, angle: float) -> None:
    """A clipped hedge with its middle at (u, v)."""
    window = canvas.window(u_m, v_m, length_m / 2 + 1, angle)
    if window is None:
        return
    width = canvas.rng.uniform(0.7, 1.3)
    ragged = 0.25 * canvas.clump[window.area]
    coverage = canvas.inside(width / 2 + ragged - np.abs(window.across_m)) * canvas.inside(
        length_m / 2 - np.abs(window.along_m)
    )
    canvas.paint(window.area, coverage, {"broadleaf": 0.85, "grass": 0.15}, grain=0.14)
    canvas.raise_to(window.area, coverage, canvas.rng.uniform(1.2, 2.0))


def slab(canvas: Canvas, u_m: float, v_m: float, size_m: tuple[float, float], angle: float, mix: Mix) -> None:
    """A flat rectangle on the ground: a drive, a terrace, a court."""
    window = canvas.window(u_m, v_m, np.hypot(*size_m) / 2 + 1, angle)
    if window is not None:
        canvas.paint(window.area, canvas.box(window, *size_m), mix, grain=0.04)


def pool(canvas: Canvas, u_m: float, v_m: float, angle: float) -> None:
    """A swimming pool with its stone rim."""
    length, width = canvas.rng.uniform(7, 10), canvas.rng.uniform(3.5, 4.5)
    slab(canvas, u_m, v_m, (length + 2.4, width + 2.4), angle, {"concrete": 1.05})
    slab(canvas, u_m, v_m, (length, width), angle, {"pool": 1.0})


def house(canvas: Canvas, u_m: float, v_m: float, size_m: tuple[float, float], angle: float) -> None:
    """A dwelling with a gabled or hipped roof, perhaps a wing, its chimney and perhaps solar panels."""
    window = canvas.window(u_m, v_m, np.hypot(*size_m) / 2 + 4, angle)
    if window is None:
        return
    rng = canvas.rng
    length, width = size_m
    slope, eaves, hipped = rng.uniform(0.45, 0.75), rng.uniform(3.0, 5.5), rng.random() < 0.45
    coverage, rise = _roof(canvas, window, size_m, slope, hipped)
    if length > 9 and rng.random() < 0.45:
        place = (rng.choice([-1, 1]) * length / 4, rng.choice([-1, 1]) * width / 3)
        turned = Window(window.area, window.across_m - place[1], window.along_m - place[0])
        wing, wing_rise = _roof(canvas, turned, (0.75 * width + 3, 0.42 * length), slope, hipped)
        coverage, rise = np.maximum(coverage, wing), np.maximum(rise, wing_rise)
    roof = _pick(canvas, _ROOFS)
    weathering = rng.normal(1.0, 0.12) * (
        1 + 0.06 * canvas.broad[window.area] + 0.04 * canvas.clump[window.area]
    )
    canvas.paint(window.area, coverage, _scaled(roof, weathering), grain=0.05)
    ridge = canvas.inside(0.18 - np.abs(window.across_m)) * canvas.box(window, length - 0.4, width)
    canvas.paint(window.area, 0.5 * ridge, _scaled(roof, 1.2), grain=0.0)
    canvas.raise_to(window.area, coverage, eaves + np.maximum(rise, 0))
    peak = eaves + slope * width / 2
    if rng.random() < 0.7:
        _block(canvas, window, (rng.uniform(-0.3, 0.3) * length, 0.6), (1.0, 0.8), peak + 0.9)
    if rng.random() < 0.18:
        side = rng.choice([-1, 1]) * width / 4
        panels = _patch(canvas, window, (0.0, side), (0.45 * length, 0.28 * width))
        canvas.paint(window.area, panels, {"glass": 1.0, "blue_paint": 0.05}, grain=0.0)


def _roof(
    canvas: Canvas, window: Window, size_m: tuple[float, float], slope: float, hipped: bool
) -> tuple[Array, Array]:
    """Coverage of a pitched roof and its height above the eaves, its ridge along the window's axis."""
    rise = size_m[1] / 2 - np.abs(window.across_m)
    if hipped:
        rise = np.minimum(rise, size_m[0] / 2 - np.abs(window.along_m))
    coverage = canvas.box(window, *size_m)
    return coverage, np.where(coverage > 0, slope * rise, -1.0)


def hall(canvas: Canvas, u_m: float, v_m: float, size_m: tuple[float, float], angle: float) -> None:
    """A large flat-roofed building: seams, a parapet, machinery and skylights on the roof."""
    window = canvas.window(u_m, v_m, np.hypot(*size_m) / 2 + 2, angle)
    if window is None:
        return
    rng = canvas.rng
    length, width = size_m
    coverage = canvas.box(window, length, width)
    height = rng.uniform(6.5, 10.0)
    base: Mix = [{"membrane": 0.50, "concrete": 0.12}, {"steel": 0.85}, {"gravel": 0.8}, {"bitumen": 1.4}][
        rng.choice(4, p=[0.35, 0.35, 0.2, 0.1])
    ]
    sheets = 1.0 - 0.06 * stripes(window.along_m, rng.uniform(5, 7), 0.5, canvas.gsd_m)
    for edge in rng.uniform(-0.4, 0.4, 2) * length:
        sheets = sheets * np.where(window.along_m > edge, rng.uniform(0.86, 1.1), 1.0)
    stains = 1.0 + 0.045 * canvas.broad[window.area] + 0.02 * canvas.clump[window.area]
    canvas.paint(window.area, coverage, _scaled(base, sheets * stains), grain=0.02)
    canvas.raise_to(window.area, coverage, height)
    if rng.random() < 0.6:
        bays = width / max(1, round(width / rng.uniform(11, 18)))
        ridge = np.abs((window.across_m + width / 2) % bays - bays / 2)
        canvas.raise_to(window.area, coverage, height + 0.18 * (bays / 2 - ridge))
    rim = coverage * (1 - canvas.box(window, length - 1.0, width - 1.0))
    canvas.paint(window.area, rim, {"concrete": 1.15}, grain=0.02)
    canvas.raise_to(window.area, rim, height + 0.7)
    for _ in range(int(length * width / 160)):
        place = (rng.uniform(-0.42, 0.42) * length, rng.uniform(-0.40, 0.40) * width)
        _block(canvas, window, place, tuple(rng.uniform(1.2, 3.2, 2)), height + rng.uniform(0.8, 2.0))
    if rng.random() < 0.6:
        across = np.abs(window.across_m - rng.choice([-1, 1]) * width / 4)
        lights = stripes(window.along_m, 9.0, 3.5, canvas.gsd_m) * canvas.inside(0.6 - across) * coverage
        canvas.paint(window.area, 0.8 * lights, {"glass": 1.2, "steel": 0.3}, grain=0.0)


def container(canvas: Canvas, u_m: float, v_m: float, angle: float) -> None:
    """A freight container or a parked lorry."""
    window = canvas.window(u_m, v_m, 8, angle)
    if window is None:
        return
    coverage = canvas.box(window, canvas.rng.choice([6.1, 12.2]), 2.5)
    canvas.paint(window.area, coverage, _pick(canvas, _FREIGHT), grain=0.03)
    canvas.raise_to(window.area, coverage, 2.7)


def car(canvas: Canvas, u_m: float, v_m: float, angle: float) -> None:
    """A parked car: painted body, dark windows in front of and behind a cabin."""
    window = canvas.window(u_m, v_m, 3.5, angle)
    if window is None:
        return
    rng = canvas.rng
    length, width = rng.uniform(3.9, 4.8), rng.uniform(1.7, 1.9)
    paint = _pick(canvas, _CARS)
    body = canvas.box(window, length, width)
    canvas.paint(window.area, body, paint, grain=0.02)
    canvas.raise_to(window.area, body, 0.9)
    cabin = _patch(canvas, window, (-0.2, 0.0), (2.3, width - 0.1))
    canvas.paint(window.area, cabin, {"glass": 1.6}, grain=0.0)
    canvas.raise_to(window.area, cabin, 1.5)
    canvas.paint(window.area, _patch(canvas, window, (-0.2, 0.0), (1.2, width - 0.2)), paint, grain=0.02)


def _block(
    canvas: Canvas, window: Window, place_m: tuple[float, float], size_m: tuple[float, ...], top_m: float
) -> None:
    """A box on a roof, with its top at `top_m` above the ground."""
    coverage = _patch(canvas, window, place_m, size_m)
    canvas.paint(window.area, coverage, {"steel": canvas.rng.uniform(0.5, 1.2)}, grain=0.02)
    canvas.raise_to(window.area, coverage, top_m)


def _patch(
    canvas: Canvas, window: Window, place_m: tuple[float, float], size_m: tuple[float, ...]
) -> np.ndarray:
    """Coverage of a rectangle at an offset from the centre of a window."""
    moved = Window(window.area, window.along_m - place_m[0], window.across_m - place_m[1])
    return canvas.box(moved, size_m[0], size_m[1])


def _pick(canvas: Canvas, choices: tuple[tuple[float, Mix], ...]) -> Mix:
    odds = np.array([chance for chance, _ in choices])
    return choices[canvas.rng.choice(len(choices), p=odds / odds.sum())][1]


def _scaled(mix: Mix, factor: float | np.ndarray) -> Mix:
    return {material: share * factor for material, share in mix.items()}
