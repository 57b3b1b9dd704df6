"""Images that cannot be measured: a clear error or a defined figure, never a silent NaN."""

from __future__ import annotations

import math

import pytest
import torch
from metric_scenes import fresh, inputs, names
from pytest import approx
from torch import Tensor

from fusioncli.errors import DataError, UsageError
from fusioncli.metrics.cc import cc
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.d_lambda import d_lambda
from fusioncli.metrics.d_s import d_s
from fusioncli.metrics.ergas import Ergas, ergas
from fusioncli.metrics.psnr import PsnrPooled, psnr_band_mean, psnr_pooled
from fusioncli.metrics.q2n import q2n
from fusioncli.metrics.sam import sam
from fusioncli.metrics.scc import scc
from fusioncli.metrics.ssim import Ssim, ssim
from fusioncli.metrics.uiqi import uiqi
from fusioncli.ops import toolbox


def own(name: str) -> list[Tensor]:
    return [inputs("qb")[x][..., :64, :64].double() for x in fresh(name).inputs]


@pytest.fixture
def textured() -> Tensor:
    return inputs("qb")["reference"][..., :64, :64].double()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", names())
def test_a_value_that_is_no_number(name: str, value: float) -> None:
    for position in range(len(own(name))):
        images = own(name)
        images[position] = images[position].clone()
        images[position][0, 0, 50, 30] = value
        with pytest.raises(DataError, match=f"{fresh(name).inputs[position]!r} holds NaN"):
            fresh(name).update(*images)


@pytest.mark.parametrize("name", names())
def test_shapes_that_do_not_fit(name: str) -> None:
    images = own(name)
    for bad in (images[-1][..., :-1], images[-1].repeat(1, 2, 1, 1), images[-1].repeat(2, 1, 1, 1), images[-1][0]):
        with pytest.raises(DataError, match="has shape"):
            fresh(name).update(*images[:-1], bad)
    for bad in (torch.ones(1, 1, 3, 3, dtype=torch.bool), torch.ones(1, 1, 64, 64)):
        with pytest.raises(DataError, match="mask"):
            fresh(name).update(*images, mask=bad)


def test_an_index_that_counted_nothing() -> None:
    for name in names():
        with pytest.raises(DataError, match=f"{name} found no"):
            fresh(name).compute()


@pytest.mark.parametrize("name", ["Q", "SSIM", "D_lambda", "D_s", "SCC"])
def test_images_smaller_than_a_window(name: str) -> None:
    metric = fresh(name).update(*(x[..., :2, :9] for x in own(name)))
    with pytest.raises(DataError, match=f"{name} found no") as caught:
        metric.compute()
    assert "larger than the window" in caught.value.hint


def test_spectra_of_zero_only(textured: Tensor) -> None:
    with pytest.raises(DataError, match="non-zero spectra"):
        sam(torch.zeros_like(textured), textured)


def test_constant_bands(textured: Tensor) -> None:
    flat = textured.clone()
    flat[:, 2] = 100.3
    with pytest.raises(DataError, match="band 3 is constant"):
        cc(flat, textured)
    with pytest.raises(DataError, match="band 3 is constant"):
        cc(textured, flat)
    with pytest.raises(DataError, match="zero in every counted pixel"):
        scc(torch.zeros_like(textured), textured)
    assert ssim(flat, flat, data_range=2047) == approx(1)
    assert 0 <= q2n(flat, textured) < 1
    assert uiqi(flat, flat) == approx(1)


def test_bands_of_zeros(textured: Tensor) -> None:
    empty = textured.clone()
    empty[:, 1] = 0
    assert ergas(empty, textured, ratio=4) == math.inf
    with pytest.raises(DataError, match="band 2 is zero in both"):
        ergas(empty, empty, ratio=4)


def test_a_block_constant_in_every_band_compares_means(textured: Tensor) -> None:
    """Where the toolbox divides zero by zero."""
    flat = textured.clone()
    flat[..., :32, :32] = 500.1
    assert d_lambda(flat, textured) < 0.1
    assert d_lambda(flat, flat) == 0
    pan = textured[:, :1]
    assert 0 < d_s(flat, textured, pan, pan) < 0.5
    half = torch.full((1, 2, 32, 32), 100.3, dtype=torch.float64)
    half[:, 1] = 50.15
    assert d_lambda(half, torch.full_like(half, 7.7)) == approx(1 - 0.8)  # 2 · 1 · ½ / (1 + ¼), against 1


def test_ripples_of_an_interpolated_constant_are_no_signal() -> None:
    """interp23tap leaves 1e-9 of a constant, whose correlations are noise."""
    flat = torch.full((1, 3, 8, 8), 700.0, dtype=torch.float64) * torch.tensor([1.0, 1.2, 0.7])[:, None, None]
    lms = toolbox.interp23tap(flat, 4)
    assert lms[:, 0].var() > 0
    assert d_lambda(flat.repeat(1, 1, 4, 4), lms) < 1e-8


def test_one_band_has_no_pairs(textured: Tensor) -> None:
    with pytest.raises(DataError, match="has one"):
        d_lambda(textured[:, :1], textured[:, :1])


def test_scenes_that_blocks_do_not_fill(textured: Tensor) -> None:
    other = inputs("qb")["fused"][..., :64, :64]
    assert d_lambda(textured[..., :50], other[..., :50]) == d_lambda(textured[..., :32], other[..., :32])


def test_perfect_images(textured: Tensor) -> None:
    assert psnr_pooled(textured, textured, data_range=1) == math.inf
    other = textured.clone()
    other[:, 0] += 1
    assert psnr_band_mean(textured, other, data_range=1) == math.inf
    assert psnr_pooled(textured, other, data_range=1) == approx(10 * math.log10(4))


def test_settings_that_make_no_sense() -> None:
    for peak in (0, -1, math.nan, math.inf):
        for metric in (PsnrPooled, Ssim):
            with pytest.raises(UsageError, match="data range"):
                metric(peak)
    with pytest.raises(UsageError, match=r"0\.25"):
        Ergas(0.25)


def test_a_cut_that_breaks_the_rules(textured: Tensor) -> None:
    cut = next(Cut.whole(256, 256).pieces(64, 1, 0))
    with pytest.raises(ValueError, match="halo"):
        fresh("Q").update(textured, textured, cut=cut)


def test_the_caller_s_images_are_left_alone(textured: Tensor) -> None:
    images = [textured.clone(), (textured + 0.25).clone()]
    for index in (q2n, sam, uiqi, cc, scc):
        index(*images)
    assert torch.equal(images[0], textured)
    assert torch.equal(images[1], textured + 0.25)
