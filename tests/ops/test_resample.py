"""The banded operator against scipy, numpy and torch."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from fusioncli.ops import kernels
from fusioncli.ops.resample import Taps, apply_taps, border_index, pad, sampled

RNG = np.random.default_rng(5)
IMAGE = torch.from_numpy(RNG.random((2, 3, 37, 29)))


@pytest.mark.parametrize(("border", "mode"), [("symmetric", "symmetric"), ("replicate", "edge"), ("circular", "wrap")])
def test_border_index_is_numpys_padding(border, mode):
    for n, before, after in ((5, 3, 4), (3, 8, 11), (1, 2, 2)):
        expected = np.pad(np.arange(n), (before, after), mode)
        np.testing.assert_array_equal(border_index(n, before, after, border), expected)


def test_pad_can_crop():
    np.testing.assert_array_equal(pad(IMAGE, (-2, -3), (1, -1), "circular")[..., 1:], IMAGE[..., 2:-3, :-1])


@pytest.mark.parametrize(("border", "mode"), [("symmetric", "reflect"), ("replicate", "nearest"), ("circular", "wrap")])
@pytest.mark.parametrize("length", [3, 9, 41])
def test_plain_filter_is_scipys_correlation(border, mode, length):
    rows, cols = RNG.random((2, length))
    result = apply_taps(IMAGE, (Taps.of(rows, -(length // 2), 1), Taps.of(cols, -(length // 2), 1)), (37, 29), border)
    expected = ndimage.correlate1d(ndimage.correlate1d(IMAGE.numpy(), rows, 2, mode=mode), cols, 3, mode=mode)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_decimating_filter_is_the_plain_one_sampled(every):
    taps = RNG.random(11)
    whole = apply_taps(IMAGE, Taps.of(taps, -5, 1), (37, 29), "symmetric")
    rows, cols = -(-37 // every), -(-29 // every)
    result = apply_taps(IMAGE, Taps.of(taps, -5, every), (rows, cols), "symmetric")
    np.testing.assert_allclose(result, whole[..., ::every, ::every], rtol=1e-12)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_upsampling_is_a_sum_over_neighbours(ratio):
    """Column by column, straight from the definition of interpolation at pixel centres."""
    centres = (np.arange(ratio) + 0.5) / ratio - 0.5
    taps = sampled(kernels.cubic, centres, 2, 1)
    result = apply_taps(IMAGE, taps, (37 * ratio, 29 * ratio), "replicate").numpy()

    def matrix(n):
        position = (np.arange(n * ratio) + 0.5) / ratio - 0.5
        weights = np.zeros((n * ratio, n))
        for out, x in enumerate(position):
            for j in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                weights[out, min(max(j, 0), n - 1)] += kernels.cubic(np.array(x - j))
        return weights

    expected = np.einsum("ah,nchw,bw->ncab", matrix(37), IMAGE.numpy(), matrix(29))
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


def test_upsampling_agrees_with_torch_inside():
    taps = sampled(kernels.cubic, (np.arange(4) + 0.5) / 4 - 0.5, 2, 1)
    result = apply_taps(IMAGE, taps, (148, 116), "symmetric")
    # torch's bicubic uses a = -0.5 only with antialias, which is the identity when enlarging
    expected = torch.nn.functional.interpolate(IMAGE, scale_factor=4, mode="bicubic", antialias=True)
    np.testing.assert_allclose(result[..., 12:-12, 12:-12], expected[..., 12:-12, 12:-12], rtol=1e-10)


def test_dtype_and_contiguity_are_kept():
    taps = sampled(kernels.cubic, np.array([-0.25, 0.25]), 2, 1)
    result = apply_taps(IMAGE.float(), taps, (74, 58), "symmetric")
    assert result.dtype == torch.float32
    assert result.stride(-1) == 1


def test_reach_counts_from_the_period():
    assert Taps.of(np.ones(5), -2, 1).reach == 2
    assert Taps.of(np.ones((4, 5)), -2, 1).reach == 2
    assert Taps.of(np.ones(12), -4, 4).reach == 4
