"""Accumulators against numpy, and their sums against the union."""

import numpy as np
import pytest
import torch

from fusioncli.errors import DataError
from fusioncli.models.statistics import Histogram, Moments, Values, merge

RNG = np.random.default_rng(3)


def pixels(count, dtype=torch.float64):
    mixing = RNG.normal(size=(4, 4))
    return torch.from_numpy(mixing @ RNG.normal(size=(4, count)) * 50 + 3000).to(dtype)


@pytest.mark.parametrize("count", [1, 5, 8192, 20001])
def test_moments_are_numpys(count):
    x = pixels(count)
    moments = Moments.of(x)
    assert moments.count == count
    np.testing.assert_allclose(moments.mean, x.mean(1), rtol=1e-14)
    np.testing.assert_allclose(moments.second, x @ x.T, rtol=1e-12)
    if count > 1:
        np.testing.assert_allclose(moments.covariance, np.cov(x.numpy()), rtol=1e-10, atol=1e-9)


def test_moments_of_float32_do_not_cancel():
    x = torch.from_numpy(RNG.normal(size=(1, 50000)) + 60000).float()
    assert Moments.of(x).covariance[0, 0] == pytest.approx(np.var(x.numpy().astype(float), ddof=1), rel=1e-9)


def test_moments_add_up():
    x = pixels(3000)
    pieces = [Moments.of(piece) for piece in x.split([1, 0, 1999, 600, 400], 1)]
    total = pieces[0] + pieces[1] + pieces[2] + pieces[3] + pieces[4]
    whole = Moments.of(x)
    assert total.count == 3000
    np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(total.scatter, whole.scatter, rtol=1e-11)


def test_merge_goes_key_by_key():
    a, b = pixels(10), pixels(20)
    merged = merge({"m": Moments.of(a), "h": Histogram.of(a)}, {"m": Moments.of(b), "h": Histogram.of(b)})
    assert isinstance(merged["m"], Moments)
    assert merged["m"].count == 30


@pytest.mark.parametrize("sign", [1, -1])
def test_histogram_is_exact_for_twelve_bits(sign):
    values = sign * RNG.integers(0, 4096, (2, 9001))
    histogram = Histogram.of(torch.from_numpy(values).float())
    for q in (0.0, 0.01, 0.37, 0.5, 0.99, 1.0):
        for band in (0, 1):
            assert histogram.quantile(band, q) == np.quantile(values[band], q, method="inverted_cdf")


def test_histogram_of_fractions_is_within_half_a_thousandth():
    values = torch.from_numpy(RNG.normal(size=(1, 20000)) * 1000).float()
    histogram = Histogram.of(values)
    for q in (0.01, 0.2, 0.8):
        expected = np.quantile(values.numpy(), q, method="inverted_cdf")
        assert histogram.quantile(0, q) == pytest.approx(expected, rel=5e-4)


def test_histograms_add_up():
    values = torch.from_numpy(RNG.integers(-50, 3000, (3, 5000))).float()
    whole = Histogram.of(values)
    total = Histogram.of(values[:, :7]) + Histogram.of(values[:, 7:7]) + Histogram.of(values[:, 7:])
    for band in range(3):
        np.testing.assert_array_equal(total.bins[band], whole.bins[band])
        np.testing.assert_array_equal(total.counts[band], whole.counts[band])


def test_values_follow_matlabs_percentile():
    values = Values.of(torch.arange(1.0, 11.0)[None])
    assert values.quantile(0, 0.25) == 3.0  # prctile(1:10, 25)
    assert values.quantile(0, 0.5) == 5.5
    assert values.quantile(0, 0.01) == 1.0
    assert (values + values).quantile(0, 0.0) == 1.0


@pytest.mark.parametrize("kind", [Histogram, Values])
def test_no_pixels_have_no_quantile(kind):
    with pytest.raises(DataError, match="no MS pixel"):
        kind.of(torch.empty(2, 0)).quantile(0, 0.5)
