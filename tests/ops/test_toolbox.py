"""The toolbox's filters against its own figures and against scipy."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_scenes import scene
from scipy import ndimage

from fusioncli.ops import kernels, toolbox

GOLDEN = json.loads((Path(__file__).parent / "golden_filters.json").read_text())
QB_GAINS = (0.34, 0.32, 0.30, 0.22)
GRID = torch.from_numpy(np.random.default_rng(7).integers(0, 2048, (24, 20)).astype(float))


@pytest.fixture(scope="module")
def qb():
    gt, pan = scene(2, 128, 128, 4)
    to_tensor = lambda x: torch.from_numpy(x.astype(float))[None]  # noqa: E731
    gt, pan = to_tensor(gt.transpose(2, 0, 1)), to_tensor(pan[None])
    ms = torch.floor(toolbox.mtf_degrade(gt, QB_GAINS, 4) + 0.5)
    return {"gt": gt, "pan": pan, "ms": ms}


def at(image, points="qb_points"):
    rows, cols = np.transpose(GOLDEN[points])
    return image.squeeze().numpy()[rows, cols]


def impulse(height, width, row, col):
    image = torch.zeros(height, width, dtype=torch.float64)
    image[row, col] = 1.0
    return image


def test_interp23tap_impulse():
    golden = GOLDEN["interp23_r4_row"]
    result = toolbox.interp23tap(impulse(32, 32, 15, 15), 4)
    np.testing.assert_allclose(result[golden["row"]], golden["values"], rtol=0, atol=1e-15)
    assert int(result.argmax()) == 62 * 128 + 62  # sample k lands on 4 k + 2


def test_interp23tap_border_is_circular():
    result = toolbox.interp23tap(impulse(16, 12, 0, 0), 4)
    np.testing.assert_allclose(result[0], GOLDEN["interp23_corner_r4"]["row0"], rtol=0, atol=1e-15)
    np.testing.assert_allclose(result[:, 0], GOLDEN["interp23_corner_r4"]["col0"], rtol=0, atol=1e-15)


def test_interp23tap_ramp():
    ramp = torch.arange(1.0, 49.0, dtype=torch.float64).view(6, 8).T
    np.testing.assert_allclose(toolbox.interp23tap(ramp, 4).diagonal(), GOLDEN["interp23_ramp_r4_diagonal"], rtol=1e-9)


def test_starck_murtagh_impulse():
    result = toolbox.starck_murtagh_lowpass(impulse(41, 41, 20, 20), 4)[20]
    np.testing.assert_allclose(result, GOLDEN["starck_murtagh_r4_row"], rtol=0, atol=1e-15)


@pytest.mark.parametrize(("key", "scale"), [("d4", 0.25), ("d2", 0.5), ("d3", (8, 7))])
def test_imresize_down(key, scale):
    expected = np.array(GOLDEN[f"imresize_{key}"])
    result = toolbox.imresize(GRID, scale)[: expected.shape[0], : expected.shape[1]]
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_imresize_up():
    np.testing.assert_allclose(toolbox.imresize(GRID, 4)[0], GOLDEN["imresize_u4_row0"], rtol=1e-12)


def test_imresize_published_examples():
    """Outputs published for Matlab itself: 0:15 as 4 x 4 (row by row) to 3 x 3."""
    square = torch.arange(16.0, dtype=torch.float64).view(4, 4)
    half = toolbox.imresize(square, 0.5)
    assert half.shape == (2, 2)
    assert half.mean() == pytest.approx(7.5)
    np.testing.assert_allclose(half, 15 - half.flip(0, 1), rtol=1e-12)
    same = toolbox.imresize(square, 1.0)
    np.testing.assert_allclose(same, square, atol=1e-14)


def test_filters_of_a_scene(qb):
    figures = {
        "pan_mtf_filtered": toolbox.mtf_filter(qb["pan"], (0.15,), 4),
        "pan_lpgauss": toolbox.gaussian_lowpass(qb["pan"], 4),
        "pan_lpfilter_starck_murtagh": toolbox.starck_murtagh_lowpass(qb["pan"], 4),
        "mtf_filtered_band0": toolbox.mtf_filter(qb["gt"], QB_GAINS, 4)[:, 0],
        "ms_exp_band0": toolbox.interp23tap(qb["ms"], 4)[:, 0],
        "ms_exp_lastband": toolbox.interp23tap(qb["ms"], 4)[:, -1],
    }
    for key, result in figures.items():
        np.testing.assert_allclose(at(result), GOLDEN["qb_" + key], rtol=1e-9, err_msg=key)


def test_reductions_of_a_scene(qb):
    small = toolbox.imresize(qb["pan"], 0.25)
    np.testing.assert_allclose(at(small, "qb_small_points"), GOLDEN["qb_pan_lr_bicubic"], rtol=1e-9)
    degraded = toolbox.mtf_degrade(qb["gt"], QB_GAINS, 4)[0].movedim(0, -1)
    np.testing.assert_allclose(at(degraded, "qb_small_points"), GOLDEN["qb_ms_lr_float"], rtol=1e-9)


def test_filter2d_is_scipys_correlation(qb):
    kernel = kernels.mtf_kernel(0.3, 4)
    expected = ndimage.correlate(qb["pan"][0, 0].numpy(), kernel, mode="nearest")
    np.testing.assert_allclose(toolbox.filter2d(qb["pan"], kernel)[0, 0], expected, rtol=1e-11)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_degrading_is_filtering_and_decimating(qb, ratio):
    whole = toolbox.decimate(toolbox.mtf_filter(qb["gt"], QB_GAINS, ratio), ratio)
    np.testing.assert_allclose(toolbox.mtf_degrade(qb["gt"], QB_GAINS, ratio), whole, rtol=1e-12)


def test_decimation_keeps_the_toolbox_phase():
    line = torch.arange(12.0).expand(12, 12)
    assert toolbox.decimate(line, 4)[0].tolist() == [2, 6, 10]
    assert toolbox.decimate(line, 3)[0].tolist() == [1, 4, 7, 10]


def test_one_band_is_repeated_per_gain(qb):
    result = toolbox.mtf_filter(qb["pan"], (0.3, 0.2, 0.3), 4)
    assert result.shape == (1, 3, 128, 128)
    assert torch.equal(result[:, 0], result[:, 2])
    assert not torch.allclose(result[:, 0], result[:, 1])
