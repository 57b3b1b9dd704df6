"""What a mask means: counted pixels, blocks and windows are those without an invalid pixel, whatever lies there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_scenes import RATIO, TOP_DN
from metric_scenes import fresh, inputs, names
from pytest import approx
from scipy import ndimage
from skimage.metrics import structural_similarity
from torch import Tensor

from fusioncli.errors import DataError
from fusioncli.metrics.cc import cc
from fusioncli.metrics.d_lambda import d_lambda
from fusioncli.metrics.d_rho import d_rho, local_correlation
from fusioncli.metrics.d_s import d_s
from fusioncli.metrics.ergas import ergas
from fusioncli.metrics.psnr import psnr_band_mean, psnr_pooled
from fusioncli.metrics.q2n import Q2n, q2n
from fusioncli.metrics.rmse import rmse_band_mean, rmse_pooled
from fusioncli.metrics.sam import sam
from fusioncli.metrics.scc import scc
from fusioncli.metrics.ssim import ssim
from fusioncli.metrics.uiqi import uiqi
from fusioncli.metrics.universal_quality import window_quality

PIXEL_INDICES = [
    sam,
    cc,
    rmse_pooled,
    rmse_band_mean,
    lambda a, b, **k: ergas(a, b, ratio=RATIO, **k),
    lambda a, b, **k: psnr_pooled(a, b, data_range=TOP_DN, **k),
    lambda a, b, **k: psnr_band_mean(a, b, data_range=TOP_DN, **k),
]


@pytest.fixture
def images() -> dict[str, Tensor]:
    return {name: image[..., :96, :96] for name, image in inputs("qb").items()}


@pytest.fixture
def mask() -> Tensor:
    """A ragged region and a few lone pixels, one of them on the border."""
    valid = np.ones((96, 96), bool)
    rows, cols = np.mgrid[:96, :96]
    valid[(rows - 20) ** 2 + (cols - 70) ** 2 < 300] = False
    valid[[40, 77, 0], [3, 50, 60]] = False
    return torch.from_numpy(valid)[None, None]


def eroded(mask: Tensor, before: int, after: int) -> np.ndarray:
    """Pixels whose neighbourhood of offsets -before … after is valid; outside counts as valid."""
    size = before + after + 1
    structure = np.ones((size, size), bool)
    return ndimage.binary_erosion(mask[0, 0].numpy(), structure, origin=before - size // 2, border_value=1)


@pytest.mark.parametrize("name", names())
def test_values_under_the_mask_do_not_matter(name: str, images: dict, mask: Tensor) -> None:
    own = [images[x] for x in fresh(name).inputs]
    dirty = [torch.where(mask, x.double(), torch.nan) for x in own]
    assert fresh(name).update(*dirty, mask=mask).compute() == fresh(name).update(*own, mask=mask).compute()


@pytest.mark.parametrize("name", names())
def test_a_full_mask_is_no_mask(name: str, images: dict, mask: Tensor) -> None:
    own = [images[x] for x in fresh(name).inputs]
    full = torch.ones_like(mask)
    assert fresh(name).update(*own, mask=full).compute() == approx(fresh(name).update(*own).compute(), rel=1e-13)


@pytest.mark.parametrize("name", names())
def test_nothing_valid_is_an_error(name: str, images: dict, mask: Tensor) -> None:
    own = [images[x] for x in fresh(name).inputs]
    metric = fresh(name).update(*own, mask=torch.zeros_like(mask))
    with pytest.raises(DataError, match=f"{name} found no"):
        metric.compute()


@pytest.mark.parametrize("index", PIXEL_INDICES)
def test_pixel_indices_see_valid_pixels_only(index, images: dict, mask: Tensor) -> None:
    reference, fused = images["reference"], images["fused"]
    lists = (x.double().flatten(2)[..., mask.flatten()][:, :, None] for x in (reference, fused))
    assert index(reference, fused, mask=mask) == approx(index(*lists), rel=1e-12)


def test_q2n_drops_blocks(images: dict, mask: Tensor) -> None:
    quality = Q2n().quality_map(images["reference"], images["fused"]).numpy()
    whole = mask[0, 0].numpy().reshape(3, 32, 3, 32).all((1, 3))
    assert 0 < whole.sum() < 9
    assert q2n(images["reference"], images["fused"], mask=mask) == approx(quality[whole].mean(), rel=1e-12)


def test_block_distortions_drop_blocks(images: dict, mask: Tensor) -> None:
    valid = torch.ones_like(mask)
    valid[..., 40, 3::32] = False  # the second row of blocks
    fused, lms, pan, pan_degraded = (images[x] for x in ("fused", "lms", "pan", "pan_degraded"))
    rest = [torch.cat([x[..., :32, :], x[..., 64:, :]], 2) for x in (fused, lms, pan, pan_degraded)]
    assert d_lambda(fused, lms, mask=valid) == approx(d_lambda(*rest[:2]), rel=1e-12)
    assert d_s(fused, lms, pan, pan_degraded, mask=valid) == approx(d_s(*rest), rel=1e-12)


def test_window_indices_drop_windows(images: dict, mask: Tensor) -> None:
    reference, fused = images["reference"].double(), images["fused"]
    whole = eroded(mask, 15, 16)[15:-16, 15:-16]
    quality = window_quality(reference, fused, 32)[0].numpy()
    assert uiqi(reference, fused, mask=mask) == approx(quality[:, whole].mean(), rel=1e-12)

    _, similarity = structural_similarity(
        *(x[0].numpy() for x in (reference, fused)),
        channel_axis=0,
        data_range=TOP_DN,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    whole = eroded(mask, 5, 5)
    whole[:5], whole[-5:], whole[:, :5], whole[:, -5:] = False, False, False, False
    assert ssim(reference, fused, data_range=TOP_DN, mask=mask) == approx(similarity[:, whole].mean(), rel=1e-9)


def test_scc_drops_neighbourhoods(images: dict, mask: Tensor) -> None:
    def gradient(image: np.ndarray) -> np.ndarray:
        inner = image[1:-1, 1:-1]
        return np.hypot(*(ndimage.sobel(inner, axis, mode="constant") for axis in (0, 1)))

    reference, fused = (np.stack([gradient(b) for b in images[x][0].double().numpy()]) for x in ("reference", "fused"))
    whole = eroded(mask[..., 1:-1, 1:-1], 1, 1)
    a, b = reference[:, whole], fused[:, whole]
    expected = (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    assert scc(images["reference"], images["fused"], mask=mask) == approx(expected, rel=1e-12)


def test_d_rho_drops_what_invalid_pixels_reach(images: dict, mask: Tensor) -> None:
    correlation = local_correlation(images["fused"], images["pan"].double(), 2)[0].numpy()
    whole = eroded(mask, 2, 4)
    expected = (1 - correlation[:, whole].clip(-1, 1)).mean()
    assert d_rho(images["fused"], images["pan"], mask=mask) == approx(expected, rel=1e-12)
