"""Kernels against figures of the reference Matlab toolbox, run under Octave."""

import json
from pathlib import Path

import numpy as np
import pytest

from fusioncli.ops import kernels

GOLDEN = json.loads((Path(__file__).parent / "golden_filters.json").read_text())


@pytest.mark.parametrize("label", GOLDEN["kernels"])
def test_toolbox_kernels(label):
    family, gain, ratio = label.split()
    kernel = (
        kernels.gaussian_lowpass_kernel(int(ratio))
        if family == "gauss"
        else kernels.mtf_kernel(float(gain), int(ratio))
    )
    values = [kernel[row, col] for row, col in GOLDEN["kernel_points"]]
    np.testing.assert_allclose(values, GOLDEN["kernels"][label]["values"], rtol=0, atol=1e-15)
    assert kernel.shape == (41, 41)
    assert kernel.sum() == pytest.approx(GOLDEN["kernels"][label]["sum"], abs=1e-13)


def test_half_band_response_sums_to_its_ratio():
    for ratio in (2, 4, 8):
        response = kernels.half_band_response(ratio)
        assert len(response) % 2 == 1
        assert response.sum() == pytest.approx(ratio, rel=1e-8)
        np.testing.assert_allclose(response, response[::-1], atol=1e-15)


@pytest.mark.parametrize("ratio", [0, 1, 3, 6])
def test_half_band_needs_a_power_of_two(ratio):
    with pytest.raises(ValueError, match="power of two"):
        kernels.half_band_response(ratio)


def test_interpolation_kernels_are_one_at_zero_and_zero_at_other_samples():
    samples = np.arange(-5, 6).astype(float)
    for kernel in (kernels.cubic, kernels.lanczos):
        np.testing.assert_allclose(kernel(samples), samples == 0, atol=1e-15)


def test_cubic_is_keys_with_a_minus_a_half():
    assert kernels.cubic(np.array([0.5, 1.5])) == pytest.approx([0.5625, -0.0625])


def test_gaussian_sigma_gives_the_gain_at_the_ms_nyquist():
    for gain, ratio in ((0.3, 4), (0.15, 2), (0.55, 2.5)):
        sigma = kernels.gaussian_sigma(gain, ratio)
        assert np.exp(-2 * (np.pi * sigma / (2 * ratio)) ** 2) == pytest.approx(gain)
