"""Where torchmetrics or scikit-image define the same index, the figures are equal; where not, the docstrings say so."""

from __future__ import annotations

import math

import pytest
import torch
import torchmetrics.functional as peers
import torchmetrics.functional.image as image_peers
from golden_scenes import TOP_DN
from metric_scenes import inputs
from pytest import approx
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from fusioncli.metrics.cc import cc
from fusioncli.metrics.ergas import ergas
from fusioncli.metrics.psnr import psnr_band_mean, psnr_pooled
from fusioncli.metrics.rmse import rmse_pooled
from fusioncli.metrics.sam import sam
from fusioncli.metrics.scc import scc
from fusioncli.metrics.ssim import Ssim, ssim
from fusioncli.metrics.uiqi import uiqi


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    return inputs("ikonos")["reference"].double(), inputs("ikonos")["fused"]


def test_sam_in_radians(pair: tuple[Tensor, Tensor]) -> None:
    reference, fused = pair
    radians = image_peers.spectral_angle_mapper(fused, reference).item()
    assert sam(reference, fused) == approx(math.degrees(radians), abs=2e-6)
    reference[..., 0, 0] = 0
    assert math.isnan(image_peers.spectral_angle_mapper(fused, reference))
    assert math.isfinite(sam(reference, fused))


@pytest.mark.parametrize("ratio", [2, 4, 6])
def test_ergas(pair: tuple[Tensor, Tensor], ratio: int) -> None:
    reference, fused = pair
    peer = image_peers.error_relative_global_dimensionless_synthesis(fused, reference, ratio=ratio)
    assert ergas(reference, fused, ratio=ratio) == approx(peer.item(), rel=1e-9)


def test_psnr(pair: tuple[Tensor, Tensor]) -> None:
    reference, fused = pair
    ours = psnr_pooled(reference, fused, data_range=TOP_DN)
    peer = image_peers.peak_signal_noise_ratio(fused, reference, data_range=float(TOP_DN))
    assert ours == approx(peer.item(), rel=1e-6)  # torchmetrics keeps the peak in single precision
    assert ours == approx(peak_signal_noise_ratio(reference.numpy(), fused.numpy(), data_range=TOP_DN), rel=1e-12)
    bands = zip(reference.split(1, 1), fused.split(1, 1), strict=True)
    mean = sum(peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=TOP_DN) for a, b in bands) / 4
    assert psnr_band_mean(reference, fused, data_range=TOP_DN) == approx(mean, rel=1e-12)


def test_rmse_and_correlation(pair: tuple[Tensor, Tensor]) -> None:
    reference, fused = pair
    peer = peers.mean_squared_error(fused.flatten(), reference.flatten(), squared=False).item()
    assert rmse_pooled(reference, fused) == approx(peer, rel=1e-9)
    flat = (x[0].flatten(1).T for x in (fused, reference))
    assert cc(reference, fused) == approx(peers.pearson_corrcoef(*flat).mean().item(), rel=1e-9)


def test_ssim(pair: tuple[Tensor, Tensor]) -> None:
    reference, fused = pair
    full, theirs = image_peers.structural_similarity_index_measure(
        fused, reference, data_range=float(TOP_DN), return_full_image=True
    )
    inside = theirs[..., 5:-5, 5:-5]
    torch.testing.assert_close(Ssim(TOP_DN).quality_map(reference, fused), inside, rtol=1e-6, atol=1e-6)
    ours = ssim(reference, fused, data_range=TOP_DN)
    assert ours != approx(full.item(), abs=1e-4)  # torchmetrics averages the mirrored border in
    skimage = structural_similarity(
        reference[0].numpy(),
        fused[0].numpy(),
        channel_axis=0,
        data_range=TOP_DN,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ours == approx(skimage, rel=1e-9)


def test_indices_that_share_a_name_only(pair: tuple[Tensor, Tensor]) -> None:
    """torchmetrics' figures as measured once: 0.811 where Q is 0.955, 0.585 where SCC is 0.962."""
    reference, fused = pair
    assert uiqi(reference, fused) - image_peers.universal_image_quality_index(fused, reference).item() > 0.1
    assert scc(reference, fused) - image_peers.spatial_correlation_coefficient(fused, reference).item() > 0.3
