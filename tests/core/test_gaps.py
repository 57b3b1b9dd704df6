"""Missing samples take the nearest valid value of their own band."""

import numpy as np
import pytest
from scipy import ndimage

from fusioncli.core.gaps import fill_gaps, spread


def scene(seed, shape=(3, 23, 31), share=0.4):
    rng = np.random.default_rng(seed)
    return rng.uniform(1, 2000, shape).astype(np.float32), rng.random(shape) > share


def nearest_values(samples, valid, row, col):
    """Values of all valid pixels at the smallest distance: the fill must be one of them."""
    rows, cols = np.nonzero(valid)
    distance = (rows - row) ** 2 + (cols - col) ** 2
    near = distance == distance.min()
    return samples[rows[near], cols[near]]


@pytest.mark.parametrize("seed", range(3))
def test_every_gap_gets_the_nearest_value_of_its_band(seed):
    samples, valid = scene(seed, share=0.4 + 0.25 * seed)
    filled = fill_gaps(samples, valid)
    for band in range(len(samples)):
        for row, col in zip(*np.nonzero(~valid[band]), strict=True):
            assert filled[band, row, col] in nearest_values(samples[band], valid[band], row, col)


def test_valid_samples_and_the_input_are_left_alone():
    samples, valid = scene(1)
    before = samples.copy()
    filled = fill_gaps(samples, valid)
    np.testing.assert_array_equal(samples, before)
    np.testing.assert_array_equal(filled[valid], samples[valid])
    assert filled.dtype == np.float32


def test_not_a_number_in_a_gap_leaves_no_trace():
    samples, valid = scene(2)
    samples[~valid] = np.nan
    assert np.isfinite(fill_gaps(samples, valid)).all()


def test_bands_with_all_and_with_no_valid_pixel():
    samples, valid = scene(3)
    valid[0], valid[1] = True, False
    filled = fill_gaps(samples, valid)
    np.testing.assert_array_equal(filled[0], samples[0])
    assert (filled[1] == 0).all()
    np.testing.assert_array_equal(filled[2], fill_gaps(samples[2:], valid[2:])[0])


def test_masks_that_change_back_and_forth():
    """A band filled together with others equals the band filled alone, whatever masks stand before it."""
    samples, valid = scene(4, (7, 20, 20))
    for band, like in ((2, 1), (4, 1), (5, 0), (6, 5)):
        valid[band] = valid[like]
    valid[3] = True
    together = fill_gaps(samples, valid)
    for band in range(len(samples)):
        np.testing.assert_array_equal(together[band], fill_gaps(samples[[band]], valid[[band]])[0])


@pytest.mark.parametrize("seed", range(8))
def test_a_window_with_twice_the_reach_filters_like_the_whole(seed):
    """What tiles rely on: a filter of reach r on a window filled by itself, 2 r around a valid pixel."""
    reach = 4
    rng = np.random.default_rng(seed)
    samples, valid = scene(seed, (1, 70, 80), share=0.3)
    for _ in range(6):
        row, col = rng.integers(0, 60, 2)
        valid[0, row : row + rng.integers(3, 25), col : col + rng.integers(3, 25)] = False
    kernel = rng.random((2 * reach + 1, 2 * reach + 1))
    whole = ndimage.correlate(fill_gaps(samples, valid)[0].astype(float), kernel)
    core = (slice(25, 45), slice(30, 55))
    window = (slice(0, 1), slice(25 - 2 * reach, 45 + 2 * reach), slice(30 - 2 * reach, 55 + 2 * reach))
    alone = ndimage.correlate(fill_gaps(samples[window], valid[window])[0].astype(float), kernel)
    inner = alone[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    counted = valid[0][core]
    assert counted.sum() > 0
    np.testing.assert_array_equal(inner[counted], whole[core][counted])


def test_spread_repeats_every_ms_pixel():
    valid = np.array([[[True, False], [False, True]]])
    wide = spread(valid, 3)
    assert wide.shape == (1, 6, 6)
    np.testing.assert_array_equal(wide[0], np.kron(valid[0], np.ones((3, 3))) > 0)
