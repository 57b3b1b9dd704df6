"""Least squares from normal equations against scipy on the full system."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from fusioncli.models.classical.regression import least_squares, share, signed_least_squares

RNG = np.random.default_rng(8)
SCALES = np.array([1.0, 1e-3, 1e4, 50.0, 1.0])


def system():
    a = RNG.normal(size=(400, 5)) * SCALES
    return a, a @ (np.array([1.0, -2.0, 0.5, 0.0, 3.0]) / SCALES) + 0.1 * RNG.normal(size=400)


def test_least_squares():
    a, b = system()
    expected = np.linalg.lstsq(a / SCALES, b, rcond=None)[0] / SCALES
    np.testing.assert_allclose(least_squares(a.T @ a, a.T @ b), expected, rtol=1e-9)


def test_least_squares_without_full_rank_predicts_the_same():
    a, b = system()
    doubled = np.c_[a, a[:, 2], np.zeros(len(a))]
    x = least_squares(doubled.T @ doubled, doubled.T @ b)
    np.testing.assert_allclose(doubled @ x, a @ np.linalg.lstsq(a, b, rcond=None)[0], rtol=1e-6, atol=1e-6)
    assert x[2] == pytest.approx(x[5])
    assert x[6] == 0
    np.testing.assert_array_equal(least_squares(np.zeros((2, 2)), np.zeros(2)), 0)


@pytest.mark.parametrize("signs", [(1, 1, 1, 1, 1), (-1, -1, -1, -1, 1), (1, -1, 1, -1, -1)])
def test_signed_least_squares(signs):
    a, b = system()
    signs = np.array(signs, float)
    result = signed_least_squares(a.T @ a, a.T @ b, signs)
    bounds = np.where(signs > 0, 0, -np.inf), np.where(signs > 0, np.inf, 0)
    scaled = lsq_linear(a / SCALES, b, bounds, method="bvls", tol=1e-14).x / SCALES
    assert (result * signs >= 0).all()
    np.testing.assert_allclose(result * SCALES, scaled * SCALES, atol=1e-8)


def test_share_of_nothing_is_nothing():
    np.testing.assert_array_equal(share(np.array([1.0, 2.0]), np.array([0.0, 4.0])), [0.0, 0.5])
    np.testing.assert_array_equal(share(np.array([1.0, 2.0]), 0.0), [0.0, 0.0])
