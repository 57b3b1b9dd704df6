"""Responses, samples and unmixing, each against something known."""

from functools import reduce
from operator import add

import numpy as np
import torch
from hyperspectral_scene import BANDS, OPTICS, SAMPLING, pair, responses
from scipy.optimize import nnls

from fusioncli.models.hyperspectral import sample
from fusioncli.models.hyperspectral.response import fit_response
from fusioncli.models.hyperspectral.sample import Sample
from fusioncli.models.hyperspectral.unmixing import (
    even_abundances,
    factorise,
    pick_endmembers,
    update_abundances,
)
from fusioncli.models.statistics import Moments


def small() -> torch.Tensor:
    ms, guide = pair()
    return torch.cat([ms, SAMPLING.degrade(guide, OPTICS.ms_mtf[:1] * 4)], 1)[0].flatten(1)


def test_a_regressed_response_explains_the_guide_and_is_not_negative():
    found = fit_response(Moments.of(small()), BANDS)
    assert found.weights.min() >= 0
    assert found.explained.min() > 0.999
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=0.05)
    pixels = small().numpy()
    centred = pixels - pixels.mean(1, keepdims=True)
    expected = nnls(centred[:BANDS].T, centred[BANDS])[0]
    seen = [weights @ centred[:BANDS] for weights in (expected, found.weights[0])]
    np.testing.assert_allclose(seen[1], seen[0], atol=0.01 * seen[0].std())


def test_a_known_response_is_scaled_and_shifted():
    pixels = small()
    pixels[BANDS:] = 0.25 * torch.from_numpy(responses()) @ pixels[:BANDS] + 7
    found = fit_response(Moments.of(pixels), BANDS, responses())
    np.testing.assert_allclose(found.weights, 0.25 * responses(), rtol=1e-9)
    np.testing.assert_allclose(found.offset, 7, rtol=1e-6)
    np.testing.assert_allclose(found.explained, 1, rtol=1e-9)


def test_a_sample_does_not_depend_on_the_cut(monkeypatch):
    monkeypatch.setattr(sample, "SAMPLE_PX", 100)
    pixels = small()
    whole = Sample.of(pixels, BANDS)
    assert whole.pixels.shape == (BANDS + 4, 100)
    pieces = [Sample.of(pixels[:, i::7], BANDS) for i in (3, 0, 6, 1, 5, 2, 4)]
    streamed = reduce(add, pieces)
    np.testing.assert_array_equal(streamed.keys, whole.keys)
    np.testing.assert_array_equal(streamed.pixels, whole.pixels)


def test_a_sample_is_drawn_evenly(monkeypatch):
    monkeypatch.setattr(sample, "SAMPLE_PX", 2000)
    values = torch.arange(20_000.0)[None]
    drawn = np.sort(Sample.of(values, 1).pixels[0])
    assert abs(drawn.mean() - 10_000) < 500
    assert np.diff(drawn).max() < 120


def test_a_sample_of_few_pixels_holds_each_once():
    assert Sample.of(torch.ones(3, 50), 3).pixels.shape == (3, 1)
    assert Sample.of(torch.ones(3, 0), 3).pixels.shape == (3, 0)


def test_endmembers_of_pure_pixels_are_found():
    rng = np.random.default_rng(0)
    pure = torch.from_numpy(rng.uniform(0.1, 1, (30, 4)))
    mixed = pure @ torch.from_numpy(rng.dirichlet(np.full(4, 2.0), 500).T)
    found = pick_endmembers(torch.cat([mixed, pure], 1), 4)
    distance = torch.cdist(found.T, pure.T).min(0).values
    np.testing.assert_allclose(distance, 0, atol=1e-12)


def test_abundances_converge_to_non_negative_least_squares():
    rng = np.random.default_rng(1)
    endmembers = rng.uniform(0.1, 1, (30, 4))
    spectra = endmembers @ rng.uniform(0, 1, (4, 20))
    start = even_abundances(4, 20, torch.zeros(1, dtype=torch.float64))
    found = update_abundances(torch.from_numpy(endmembers), torch.from_numpy(spectra), start, 20_000)
    expected = np.array([nnls(endmembers, spectrum)[0] for spectrum in spectra.T]).T
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_factors_approach_the_spectra():
    pixels = small()[:BANDS] / 1000
    endmembers, abundances = factorise(pixels, pick_endmembers(pixels, 5), 100)
    assert endmembers.min() >= 0 and abundances.min() >= 0
    assert (endmembers @ abundances - pixels).norm() < 0.015 * pixels.norm()
