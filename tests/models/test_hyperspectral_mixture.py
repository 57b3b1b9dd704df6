"""Classes of pixels: as many as there are, found again, with the shares that the densities give."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from fusioncli.models.hyperspectral.mixture import Mixture, shares_of

MEANS = np.array([[100.0, 60.0], [400.0, 250.0], [420.0, 700.0]])
COVARIANCES = np.array(
    [[[30.0, 10.0], [10.0, 20.0]], [[900.0, 300.0], [300.0, 800.0]], [[500.0, -200.0], [-200.0, 900]]]
)
COUNTS = 900, 600, 300


@pytest.fixture(scope="module")
def pixels():
    """(2, 1800), three classes one after the other."""
    random = np.random.default_rng(5)
    drawn = [random.multivariate_normal(*of, n) for *of, n in zip(MEANS, COVARIANCES, COUNTS, strict=True)]
    return np.concatenate(drawn).T


def test_the_classes_are_found_again(pixels):
    mixture = Mixture.of(pixels)
    order = np.argsort(mixture.means[:, 1])
    assert len(order) == 3
    np.testing.assert_allclose(mixture.means[order], MEANS, rtol=0.02)
    shares = mixture.shares(pixels)[order]
    truth = np.repeat(np.eye(3), COUNTS, 1)
    assert (shares.argmax(0) == truth.argmax(0)).mean() > 0.99
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-12)


def test_shares_are_those_of_the_densities(pixels):
    mixture = Mixture.of(pixels)
    covariances = [np.linalg.inv(white.T @ white) for white in mixture.whitening]
    roots = np.array([np.linalg.slogdet(covariance)[1] / 2 for covariance in covariances])
    weights = np.exp(mixture.constants + roots)
    density = [
        weight * multivariate_normal(mean, covariance).pdf(pixels.T)
        for weight, mean, covariance in zip(weights, mixture.means, covariances, strict=True)
    ]
    np.testing.assert_allclose(mixture.shares(pixels), density / np.sum(density, 0), rtol=1e-6, atol=1e-9)


def test_images_have_the_shares_of_their_pixels(pixels):
    mixture = Mixture.of(pixels)
    image = torch.from_numpy(pixels.reshape(2, 2, 30, 30).swapaxes(0, 1).copy())
    tensors = map(torch.from_numpy, (mixture.constants, mixture.means, mixture.whitening))
    found = shares_of(image, *tensors).transpose(0, 1).flatten(1)
    np.testing.assert_allclose(found, mixture.shares(pixels.reshape(2, -1)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 5, 400])
def test_one_class_where_there_is_no_more(count):
    pixels = np.random.default_rng(1).normal(1000, 20, (4, count))
    mixture = Mixture.of(pixels)
    assert len(mixture.constants) <= 2
    assert all(np.isfinite(each).all() for each in (mixture.constants, mixture.means, mixture.whitening))


def test_the_unit_does_not_matter(pixels):
    plain, scaled = Mixture.of(pixels), Mixture.of(pixels * 1e-4)
    np.testing.assert_allclose(scaled.means, plain.means * 1e-4, rtol=1e-6)
    np.testing.assert_allclose(scaled.shares(pixels * 1e-4), plain.shares(pixels), atol=1e-6)


def test_bands_that_do_not_vary_or_copy_each_other(pixels):
    more = np.concatenate([pixels, pixels[:1], np.full((1, pixels.shape[1]), 7.0)])
    shares = Mixture.of(more).shares(more)
    assert (shares.argmax(0) == Mixture.of(pixels).shares(pixels).argmax(0)).mean() > 0.98
