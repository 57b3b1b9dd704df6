"""Spoiled pictures against another implementation of the same filters."""

import pytest
import torch
from torch.nn.functional import interpolate

from fusioncli.ops.restoration import add_noise, coarsen


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_coarsened_as_by_bicubic_interpolation_with_antialiasing(factor):
    """Torch's own, which treats borders in another way."""
    clean = torch.rand(2, 3, 48, 72, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    how = {"mode": "bicubic", "antialias": True}
    coarse = interpolate(clean, size=(48 // factor, 72 // factor), **how)
    expected = interpolate(coarse, size=(48, 72), **how)
    found = coarsen(clean, factor)
    inside = (..., slice(4 * factor, -4 * factor), slice(4 * factor, -4 * factor))
    assert found.shape == clean.shape
    torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=1e-6)


def test_what_is_flat_stays_so():
    torch.testing.assert_close(coarsen(torch.full((1, 3, 12, 12), 0.7), 3), torch.full((1, 3, 12, 12), 0.7))


def test_noise_is_measured_in_parts_of_255_and_not_clipped():
    clean, noise = torch.full((1, 1, 2, 2), 0.99), torch.tensor([[[[-1.0, 0.0], [1.0, 2.0]]]])
    expected = torch.tensor([[[[0.79, 0.99], [1.19, 1.39]]]])
    torch.testing.assert_close(add_noise(clean, noise, 51.0), expected)
