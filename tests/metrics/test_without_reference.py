"""Indices without reference equal the reference toolbox's figures, protocol and filters included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_scenes import RATIO
from metric_scenes import GAINS, GOLDEN, candidate, observed
from pytest import approx
from torch import Tensor

from fusioncli.metrics.blocks import blocks
from fusioncli.metrics.d_lambda import DLambda, d_lambda
from fusioncli.metrics.d_lambda_k import d_lambda_k
from fusioncli.metrics.d_rho import d_rho, local_correlation
from fusioncli.metrics.d_s import DS, d_s
from fusioncli.metrics.hqnr import hqnr
from fusioncli.metrics.qnr import qnr
from fusioncli.metrics.reprojection import RErgas, RQ2n, RSam, RUiqi
from fusioncli.metrics.universal_quality import block_quality
from fusioncli.ops import kernels, toolbox

SCENES = pytest.mark.parametrize("scene", ["wv3", "ikonos", "qb"])
IMAGES = pytest.mark.parametrize("image", ["GT", "DEG", "EXP"])
MISREGISTERED = ((1, 3), (2, 1), (3, 3), (0, 1))


@IMAGES
@SCENES
def test_full_resolution(scene: str, image: str) -> None:
    fused, golden = candidate(scene, image), GOLDEN["scenes"][scene][image]
    lms, pan, pan_degraded = (observed(scene)[name] for name in ("lms", "pan", "pan_degraded"))
    filtered = toolbox.mtf_filter(fused.double(), GAINS[scene], RATIO)
    figures = {
        "D_lambda": d_lambda(fused, lms),
        "D_lambda_p2": DLambda(p=2).update(fused, lms).compute(),
        "D_s": d_s(fused, lms, pan, pan_degraded),
        "D_s_q2": DS(q=2).update(fused, lms, pan, pan_degraded).compute(),
        "QNR": qnr(fused, lms, pan, pan_degraded),
        "D_lambda_K": d_lambda_k(lms, filtered),
        "HQNR": hqnr(fused, lms, pan, pan_degraded, filtered),
    }
    for name, figure in figures.items():
        assert figure == approx(golden[name], rel=1e-9, abs=1e-12), name
    assert d_rho(fused, pan) == approx(golden["D_rho"], abs=2e-6)  # the golden was computed in single precision


@SCENES
def test_blocks_of_the_original_papers(scene: str) -> None:
    """QNR as first published compares the MS on its own grid, in blocks of 32 / ratio px."""
    ms, pan = observed(scene)["ms"], observed(scene)["pan"].double()
    before = torch.cat([ms, toolbox.imresize(pan, 1 / RATIO)], 1)
    for image in ("GT", "DEG", "EXP"):
        after = torch.cat([candidate(scene, image).double(), pan], 1)
        change = block_quality(blocks(after, 32, 32)).mean(0) - block_quality(blocks(before, 8, 8)).mean(0)
        pairs = torch.triu_indices(ms.shape[1], ms.shape[1], 1)
        golden = GOLDEN["scenes"][scene][image]
        assert change.abs()[pairs[0], pairs[1]].mean().item() == approx(golden["paper_D_lambda"], rel=1e-9)
        assert change.abs()[:-1, -1].mean().item() == approx(golden["paper_D_s"], rel=1e-9)


def unit_sum_filter(image: Tensor, gains: tuple[float, ...]) -> Tensor:
    """Each band through its MTF kernel, clipped at zero and normalised."""
    kernel = [kernels.mtf_kernel(gain, RATIO).clip(0) for gain in gains]
    bands = [toolbox.filter2d(image[:, i : i + 1].double(), k / k.sum()) for i, k in enumerate(kernel)]
    return torch.cat(bands, 1)


def lowered(fused: Tensor, phases: list[tuple[int, int]], gains: tuple[float, ...]) -> Tensor:
    filtered = unit_sum_filter(fused, gains)
    bands = [filtered[:, i : i + 1, row::RATIO, col::RATIO] for i, (row, col) in enumerate(phases)]
    return torch.cat(bands, 1)


def best_phases(ms: Tensor, pan: Tensor, gain: float) -> list[tuple[int, int]]:
    """Where each band of the MS correlates best with PAN."""
    smooth = unit_sum_filter(pan, (gain,))
    candidates = [(row, col) for col in range(RATIO) for row in range(RATIO)]
    return [
        max(candidates, key=lambda p: local_correlation(band, smooth[..., p[0] :: RATIO, p[1] :: RATIO], 2).mean())
        for band in ms.split(1, 1)
    ]


@pytest.mark.parametrize("prefix", ["", "mis_"])
@pytest.mark.parametrize("scene", ["ikonos", "qb"])
def test_reprojection(scene: str, prefix: str) -> None:
    gains, phases = GAINS[scene], [(2, 2)] * 4
    ms, pan = observed(scene)["ms"], observed(scene)["pan"]
    if prefix:
        phases = list(MISREGISTERED)
        ms = lowered(observed(scene)["gt"], phases, gains).round()
    assert best_phases(ms, pan, gains[0]) == phases
    for image in ("GT", "DEG", "EXP"):
        golden = GOLDEN["scenes"][scene][image]
        low = lowered(candidate(scene, image), phases, gains)
        assert RSam().update(ms, low).compute() == approx(golden[f"{prefix}R_SAM"], abs=2e-6)
        assert RErgas(RATIO).update(ms, low).compute() == approx(golden[f"{prefix}R_ERGAS"], rel=1e-9)
        assert RQ2n().update(ms, low).compute() == approx(golden[f"{prefix}R_Q2n"], rel=1e-9)
        assert RUiqi().update(ms, low).compute() == approx(golden[f"{prefix}R_Q"], rel=1e-9)


def test_hyperspectral_figures() -> None:
    scene, golden = observed("hsi"), GOLDEN["hsi_exp"]
    filtered = toolbox.mtf_filter(scene["lms"], GAINS["hsi"], RATIO)
    figures = d_s(scene["lms"], scene["lms"], scene["pan"], scene["pan_degraded"]), d_lambda_k(scene["lms"], filtered)
    assert figures == approx((golden["D_s"], golden["D_lambda_K"]), rel=1e-9)


def test_local_correlation_of_a_flat_image_is_zero() -> None:
    textured = torch.from_numpy(np.random.default_rng(0).normal(500, 50, (1, 2, 16, 16)))
    zero = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    assert d_rho(textured, zero) == 1
    assert d_rho(textured[:, :1], textured[:, :1]) == approx(0, abs=1e-12)
