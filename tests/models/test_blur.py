"""The point spread and the shift of a cube against its sharper image, where they are known; and where nothing tells."""

from __future__ import annotations

import numpy as np
import pytest
from blurred_cubes import cube_of, ground, guide_of, noisy
from scipy.ndimage import gaussian_filter

from fusioncli.models.hyperspectral.blur import Blur, View, fit_blur

SHIFT_PX = (1.3, -0.8)


def view(ratio: int, gain: float = 0.3, shift_px: tuple[float, float] = SHIFT_PX, noise: float = 0.02) -> View:
    """40 x 44 cells."""
    scene = ground(40 * ratio, 44 * ratio)
    cube, guide = cube_of(scene, ratio, gain, shift_px), guide_of(scene)
    return View(noisy(cube, noise).astype("float32"), noisy(guide, noise, 2).astype("float32"))


def cut(view: View, rows: slice, ratio: int) -> View:
    fine = slice(rows.start * ratio, rows.stop * ratio)
    return View(view.cube[:, rows], view.guide[:, fine], None if view.valid is None else view.valid[rows])


def assert_found(found: Blur | None, gain: float, shift_px: tuple[float, float], px: float = 0.05) -> None:
    assert found is not None
    assert (found.rows_px, found.cols_px) == pytest.approx(shift_px, abs=px)
    assert found.gain == pytest.approx(gain, abs=0.02)
    assert found.length_px == pytest.approx(np.hypot(found.rows_px, found.cols_px))


@pytest.mark.parametrize("shift_px", [(0.0, 0.0), (0.25, -0.6), (-2.4, 3.1)])
@pytest.mark.parametrize(("ratio", "gain"), [(2, 0.3), (3, 0.15), (4, 0.3), (4, 0.5), (6, 0.1)])
def test_a_known_gaussian_and_shift(ratio: int, gain: float, shift_px: tuple[float, float]) -> None:
    found = fit_blur([view(ratio, gain, shift_px)], ratio, ratio)
    assert_found(found, gain, shift_px)
    assert found is not None and found.explained > 0.97 and found.error_px < 0.02 and found.cells == 36 * 40
    assert not found.at_least


def test_a_shift_of_three_cells() -> None:
    assert_found(fit_blur([view(4, 0.3, (12.0, -9.5))], 4, 4.0), 0.3, (12.0, -9.5))


@pytest.mark.parametrize("noise", [0.1, 0.2])
def test_noise(noise: float) -> None:
    found = fit_blur([view(4, 0.3, noise=noise)], 4, 4.0)
    assert found is not None
    assert (found.rows_px, found.cols_px) == pytest.approx(SHIFT_PX, abs=0.1)
    assert found.gain == pytest.approx(0.3, abs=0.05)


def test_cells_that_average_their_pixels() -> None:
    """No Gaussian: the response of a square of 4 px at its Nyquist frequency is Σ cos(π x / 4) / 4 = 0.65."""
    scene = ground(160, 176)
    cube = scene.reshape(len(scene), 40, 4, 44, 4).mean((2, 4))
    found = fit_blur([View(cube, guide_of(scene))], 4, 4.0)
    assert found is not None
    assert (found.rows_px, found.cols_px) == pytest.approx((0, 0), abs=0.05)
    assert found.gain == pytest.approx(0.65, abs=0.05)


def test_two_pixels_per_cell() -> None:
    """A mean of two px is the limit of narrow Gaussians; its gain is cos(π / 4), and may be more."""
    scene = ground(80, 88)
    found = fit_blur([View(scene.reshape(len(scene), 40, 2, 44, 2).mean((2, 4)), guide_of(scene))], 2, 2.0)
    assert_found(found, np.cos(np.pi / 4), (0, 0))
    assert found is not None and found.at_least


def test_a_cube_that_is_sharper_than_its_guide() -> None:
    """What the guide has lost already, no Gaussian takes from it."""
    scene = ground(80, 88)
    soft = gaussian_filter(guide_of(scene), (0, 0.45, 0.45))
    found = fit_blur([View(scene.reshape(len(scene), 40, 2, 44, 2).mean((2, 4)), soft)], 2, 2.0)
    assert_found(found, np.cos(np.pi / 4), (0, 0))
    assert found is not None and found.at_least


def test_units_and_offsets_do_not_matter() -> None:
    plain = view(3)
    scale = np.linspace(0.001, 50, len(plain.cube))[:, None, None]
    other = View((plain.cube * scale + 7).astype("float64"), (plain.guide * -0.02 + 3).astype("float64"))
    one, two = (fit_blur([each], 3, 3.0) for each in (plain, other))
    assert one is not None and two is not None
    assert (one.rows_px, one.cols_px, one.gain) == pytest.approx((two.rows_px, two.cols_px, two.gain), abs=1e-3)


def test_the_gain_is_for_the_sensor_and_not_for_the_grid_that_it_is_resampled_to() -> None:
    """The same Gaussian at 1 / 5 of a cycle per px, instead of 1 / 4."""
    assert_found(fit_blur([view(2)], 2, 2.5), 0.3 ** (2 / 2.5) ** 2, SHIFT_PX)


def test_several_windows() -> None:
    whole = view(4)
    halves = [cut(whole, slice(0, 18), 4), cut(whole, slice(20, 40), 4)]
    found = fit_blur(halves, 4, 4.0)
    assert_found(found, 0.3, SHIFT_PX)
    assert found is not None and found.cells == (14 + 16) * 40


def test_gaps_are_left_out() -> None:
    """A cloud in the guide moves the result, unless it is masked."""
    clouded = view(4)
    clouded.guide[:, 40:100, 30:110] = 9000
    valid = np.ones((40, 44), bool)
    valid[10:25, 7:28] = False
    assert_found(fit_blur([View(clouded.cube, clouded.guide, valid)], 4, 4.0), 0.3, SHIFT_PX)
    careless = fit_blur([clouded], 4, 4.0)
    assert careless is None or careless.explained < 0.8


def unlike(ratio: int) -> View:
    return View(view(ratio).cube, guide_of(ground(40 * ratio, 44 * ratio, seed=5)))


def stripes() -> View:
    """Nothing varies along the rows."""
    scene = np.repeat(ground(160, 176)[:, :1], 160, 1)
    return View(cube_of(scene, 4, 0.3, (0, 0)), guide_of(scene))


UNDETERMINED = {
    "other ground, ratio 2": (lambda: [unlike(2)], 2),
    "other ground, ratio 4": (lambda: [unlike(4)], 4),
    "a constant cube": (lambda: [View(np.full((12, 40, 44), 5.0), view(4).guide)], 4),
    "a constant guide": (lambda: [View(view(4).cube, np.full((3, 160, 176), 5.0))], 4),
    "too few cells": (lambda: [cut(view(4), slice(0, 6), 4)], 4),
    "no valid cell": (lambda: [View(view(4).cube, view(4).guide, np.zeros((40, 44), bool))], 4),
    "nothing that varies along an axis": (lambda: [stripes()], 4),
    "no window": (list, 4),
}


@pytest.mark.parametrize(("views", "ratio"), UNDETERMINED.values(), ids=list(UNDETERMINED))
def test_what_the_data_do_not_determine(views, ratio: int) -> None:
    assert fit_blur(views(), ratio, float(ratio)) is None
