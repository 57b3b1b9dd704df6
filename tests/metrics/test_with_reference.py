"""Indices against the truth equal the reference toolbox's figures, on images of several sizes and band counts."""

from __future__ import annotations

import math

import pytest
import torch
from golden_scenes import RATIO, TOP_DN, golden_scene
from metric_scenes import GOLDEN, candidate, nchw, observed
from pytest import approx

from fusioncli.metrics.cc import cc
from fusioncli.metrics.ergas import ergas
from fusioncli.metrics.psnr import psnr_band_mean, psnr_pooled
from fusioncli.metrics.q2n import q2n
from fusioncli.metrics.rmse import rmse_band_mean, rmse_pooled
from fusioncli.metrics.sam import sam
from fusioncli.metrics.scc import scc
from fusioncli.metrics.ssim import ssim
from fusioncli.metrics.uiqi import uiqi

MISC = GOLDEN["misc_cases"]
TOOLBOX = {"Q2n": q2n, "Q": uiqi, "SAM": sam, "ERGAS": lambda a, b: ergas(a, b, ratio=RATIO), "SCC": scc}
FIDELITY = {
    "SSIM": lambda a, b: ssim(a, b, data_range=TOP_DN),
    "RMSE_global": rmse_pooled,
    "RMSE_band_mean": rmse_band_mean,
    "PSNR_global_L2047": lambda a, b: psnr_pooled(a, b, data_range=TOP_DN),
    "PSNR_band_mean_L2047": lambda a, b: psnr_band_mean(a, b, data_range=TOP_DN),
    "CC_band_mean": cc,
}


def close(name: str, figure: float | None) -> object:
    """1e-9 relative; SAM 2e-6 degrees, the round-off of acos near 1; None in the goldens stands for infinity."""
    if figure is None:
        return math.inf
    return approx(figure, abs=2e-6) if "SAM" in name else approx(figure, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("image", ["GT", "DEG", "EXP"])
@pytest.mark.parametrize("scene", ["wv3", "ikonos", "qb"])
def test_scenes(scene: str, image: str) -> None:
    reference, fused, golden = observed(scene)["gt"], candidate(scene, image), GOLDEN["scenes"][scene][image]
    for name, index in (TOOLBOX | FIDELITY).items():
        assert index(reference, fused) == close(name, golden[name]), name
    for name, index in TOOLBOX.items():  # the toolbox's crop, x(21:end-21) counted from 1
        cropped = (x[..., 20:-21, 20:-21] for x in (reference, fused))
        assert index(*cropped) == close(name, golden[f"{name}_cut21"]), name


@pytest.mark.parametrize("scene", ["hsi", "hs103"])
def test_many_bands(scene: str) -> None:
    gt, _, poor = (nchw(image) for image in golden_scene(scene))
    for name, index in TOOLBOX.items():
        if name != "Q2n":
            assert index(gt, poor) == close(name, MISC[f"{scene}_{name}"]), name


def test_upsampled_hyperspectral_image() -> None:
    gt, lms = observed("hsi")["gt"], observed("hsi")["lms"]
    for name, index in (TOOLBOX | FIDELITY).items():
        if name in GOLDEN["hsi_exp"]:
            assert index(gt, lms) == close(name, GOLDEN["hsi_exp"][name]), name


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Truth and poor fusion result of 64 x 64 x 4, the subject of the toolbox's edge cases."""
    gt, _, poor = golden_scene("qb")
    return nchw(gt[:64, :64]).double(), nchw(poor[:64, :64])


def without_corner(image: torch.Tensor) -> torch.Tensor:
    image = image.clone()
    image[..., :20, :20] = 0
    return image


def test_sam_edge_cases(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    gt, poor = pair
    assert sam(gt, gt) == MISC["SAM_identical"] == 0
    assert sam(gt, 2 * gt) == MISC["SAM_scaled2"] == 0
    assert sam(gt, poor) == approx(MISC["SAM_plain"], abs=2e-6)
    assert sam(gt, -gt) == approx(MISC["SAM_negated"], abs=2e-6)
    assert sam(without_corner(gt), poor) == approx(MISC["SAM_zero_in_gt"], abs=2e-6)
    assert sam(without_corner(gt), without_corner(poor)) == approx(MISC["SAM_zero_in_both"], abs=2e-6)


def test_ergas_edge_cases(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    gt, poor = pair
    assert ergas(gt, poor, ratio=4) == approx(MISC["ERGAS_plain"], rel=1e-9)
    assert ergas(poor, gt, ratio=4) == approx(MISC["ERGAS_swapped"], rel=1e-9)
    hsi, _, poor_hsi = (nchw(image) for image in golden_scene("hsi"))
    assert ergas(hsi, poor_hsi, ratio=6) == approx(MISC["hsi_ERGAS_r6"], rel=1e-9)
    gt[:, 1] = 0
    assert ergas(gt, poor, ratio=4) == math.inf


def test_q_edge_cases(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    gt, poor = pair
    zero = torch.zeros_like(gt)
    assert uiqi(gt, poor) == approx(MISC["Q_plain"], rel=1e-9)
    assert uiqi(zero, zero) == MISC["Q_both_zero"] == 1
    assert uiqi(zero + 100, zero + 100) == MISC["Q_const_equal"] == 1
    assert uiqi(zero + 100, zero + 110) == approx(MISC["Q_const_100_110"], rel=1e-9)
    assert uiqi(zero, poor) == MISC["Q_gt_zero"] == 0


def test_q_of_fractional_constants_compares_their_means() -> None:
    flat = torch.full((1, 1, 40, 40), 100.3, dtype=torch.float64)
    assert uiqi(flat, flat + 10.4) == approx(2 * 100.3 * 110.7 / (100.3**2 + 110.7**2), rel=1e-12)


def test_scc_edge_cases(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    gt, poor = pair
    assert scc(gt, poor) == approx(MISC["SCC_plain"], rel=1e-9)
    assert scc(gt, poor + 1000) == approx(MISC["SCC_plus_const"], rel=1e-9)
    assert scc(gt, 2 * poor) == approx(MISC["SCC_scaled"], rel=1e-9)
    assert scc(torch.full_like(gt, 5), gt) == approx(MISC["SCC_flat"], rel=1e-9)
