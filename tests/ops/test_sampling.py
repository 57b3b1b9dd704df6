"""Phase, gain and reach of the two samplings, measured."""

import numpy as np
import pytest
import torch

from fusioncli.ops.kernels import gaussian_sigma
from fusioncli.ops.sampling import CentredSampling, ToolboxSampling

KERNELS = ("cubic", "lanczos")


def shift_px(signal, positions, frequency):
    """By how many px a measured sinusoid lags behind cos(2 π frequency · position)."""
    phase = np.angle(np.sum(signal * np.exp(-2j * np.pi * frequency * positions)))
    return -phase / (2 * np.pi * frequency)


def whole_periods(line, period):
    """The middle of a line, a whole number of periods long, and where it starts."""
    start = len(line) // 4
    return line[start : start + len(line) // 2 // period * period], start


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("axis", [-1, -2])
def test_a_sinusoid_stays_put_when_upsampled(kernel, ratio, axis):
    period_ms = 8
    centres = ratio * (np.arange(128) + 0.5) - 0.5  # of MS pixels, in PAN px
    frequency = 1 / (period_ms * ratio)
    line = torch.from_numpy(np.cos(2 * np.pi * frequency * centres))
    ms = line.expand(1, 1, 128, 128) if axis == -1 else line[:, None].expand(1, 1, 128, 128)
    up = CentredSampling(ratio, ratio, kernel).upsample(ms)[0, 0].numpy()
    up = up[200] if axis == -1 else up[:, 200]
    part, start = whole_periods(up, period_ms * ratio)
    assert abs(shift_px(part, start + np.arange(len(part)), frequency)) < 0.01
    assert np.abs(part).max() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_a_sinusoid_stays_put_when_degraded_and_brought_back(ratio):
    period = 16 * ratio
    pan = torch.from_numpy(np.cos(2 * np.pi * np.arange(64 * ratio) / period)).expand(1, 1, 64 * ratio, -1)
    sampling = CentredSampling(ratio, ratio, "lanczos")
    small = sampling.degrade(pan, (0.3,))
    centres = ratio * (np.arange(64) + 0.5) - 0.5
    part, start = whole_periods(small[0, 0, 32].numpy(), 16)
    assert abs(shift_px(part, centres[start : start + len(part)], 1 / period)) < 0.01
    back = sampling.upsample(small)[0, 0, 32].numpy()
    part, start = whole_periods(back, period)
    assert abs(shift_px(part, start + np.arange(len(part)), 1 / period)) < 0.01


@pytest.mark.parametrize("gain", [0.15, 0.3, 0.55])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_the_gain_at_nyquist_is_the_one_asked_for(gain, ratio):
    x = np.arange(96 * ratio)
    line = torch.from_numpy(np.cos(np.pi * x / ratio))
    blurred = CentredSampling(ratio, ratio).blur(line.expand(1, 1, 8, -1), (gain,))[0, 0, 4].numpy()
    part, start = whole_periods(blurred, 2 * ratio)
    measured = 2 * abs(np.mean(part * np.exp(-1j * np.pi * (start + np.arange(len(part))) / ratio)))
    aliased = gaussian_sigma(gain, ratio) < 0.7
    assert measured == pytest.approx(gain, abs=5e-3 if aliased else 5e-4)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_a_constant_is_preserved(kernel, ratio):
    sampling = CentredSampling(ratio, ratio + 0.3, kernel)
    flat = torch.full((1, 2, 20, 24), 1234.5)
    for result in (sampling.upsample(flat), sampling.blur(flat, (0.3, 0.2)), sampling.settle(flat)):
        np.testing.assert_allclose(result, 1234.5, rtol=1e-6)
    pan = torch.full((1, 1, 20 * ratio, 24 * ratio), 1234.5)
    for result in (sampling.degrade(pan, (0.3, 0.2)), sampling.smooth(pan), sampling.shrink(pan)):
        np.testing.assert_allclose(result, 1234.5, rtol=1e-6)


@pytest.mark.parametrize("sampling", [CentredSampling(3, 3.0), ToolboxSampling(4)])
def test_shapes(sampling):
    r = sampling.ratio
    ms, pan = torch.rand(2, 4, 16, 12), torch.rand(2, 1, 16 * r, 12 * r)
    assert sampling.upsample(ms).shape == (2, 4, 16 * r, 12 * r)
    assert sampling.degrade(pan, (0.3, 0.2, 0.3, 0.2)).shape == ms.shape
    assert sampling.blur(ms, (0.3, 0.2, 0.3, 0.2)).shape == ms.shape
    assert sampling.smooth(pan).shape == pan.shape
    assert sampling.shrink(pan).shape == (2, 1, 16, 12)
    assert sampling.settle(ms).shape == ms.shape


def support_px(operator, shape):
    """How far from a perturbed pixel, in PAN px, the output of a linear operator changes."""
    rows, cols = shape
    farthest = 0
    for row, col in ((rows // 2, cols // 2), (rows // 2 + 1, cols // 2 + 2), (rows // 2 + 3, cols // 2 + 1)):
        image = torch.zeros(1, 1, rows, cols, dtype=torch.float64)
        image[..., row, col] = 1.0
        changed = torch.nonzero(operator(image)[0, 0])
        farthest = max(farthest, int((changed - torch.tensor([row, col])).abs().max()))
    return farthest


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("ratio", "gsd_ratio"), [(2, 2.0), (3, 2.5), (4, 4.0)])
@pytest.mark.parametrize("gain", [0.1, 0.3])
def test_declared_reach_is_the_measured_one(kernel, ratio, gsd_ratio, gain):
    sampling = CentredSampling(ratio, gsd_ratio, kernel)
    measured = support_px(lambda pan: sampling.upsample(sampling.degrade(pan, (gain,))), (48 * ratio,) * 2)
    assert measured <= sampling.reach_px(gain) <= measured + ratio
    blurred = support_px(lambda x: sampling.blur(x, (gain,)), (128, 128))
    assert blurred <= sampling.blur_reach_px(gain) <= blurred + 1


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_reach_of_upsampling_covers_whole_ms_pixels(kernel, ratio):
    sampling = CentredSampling(ratio, ratio, kernel)
    impulse = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    impulse[..., 16, 16] = 1.0
    changed = torch.nonzero(sampling.upsample(impulse)[0, 0]).numpy()
    assert 16 * ratio - changed.min() <= sampling.reach_px()
    assert changed.max() - (16 * ratio + ratio - 1) <= sampling.reach_px()


def test_toolbox_reach():
    sampling = ToolboxSampling(4)
    measured = support_px(lambda pan: sampling.upsample(sampling.degrade(pan, (0.3,))), (192, 192))
    assert measured <= sampling.reach_px(0.3) <= measured + 4
    assert sampling.reach_px() == 33


def test_mirrored_surroundings_equal_the_symmetric_border():
    """What makes a tile at the scene's edge equal to the whole scene."""
    sampling = CentredSampling(4, 4.0, "lanczos")
    pan = torch.from_numpy(np.random.default_rng(1).random((1, 1, 64, 96)))
    padded = torch.from_numpy(np.pad(pan.numpy(), ((0, 0), (0, 0), (32, 32), (32, 32)), "symmetric"))
    whole = sampling.upsample(sampling.degrade(pan, (0.2,)))
    tile = sampling.upsample(sampling.degrade(padded, (0.2,)))[..., 32:-32, 32:-32]
    np.testing.assert_allclose(tile, whole, rtol=1e-12)
