"""Consistency: degraded, the result is the MS; and the correction tiles."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from fusioncli.core.tiling import Blend, Exact, Untiled, Whole
from fusioncli.errors import UsageError
from fusioncli.metrics.reprojection import RErgas
from fusioncli.models.classical.base import Optics
from fusioncli.models.consistent import BackProjection, Consistent, consistent
from fusioncli.models.contract import Card, FusionModel, SceneMethod, Window
from fusioncli.models.registry import build
from fusioncli.ops.sampling import CentredSampling, sampling_for

GAINS = (0.25, 0.3, 0.35)
LANCZOS = CentredSampling(4, 4.0, "lanczos")
REACH = LANCZOS.reach_px(0.2)
OPTICS = Optics(GAINS, 0.15, (1 / 3,) * 3)


@pytest.fixture
def scene():
    """MS and PAN of one textured scene, float64, DN; PAN sees it differently."""
    rng = np.random.default_rng(3)
    spectrum = np.fft.rfft2(rng.normal(size=(4, 192, 208)))
    rows, cols = np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(208)[None]
    fine = np.fft.irfft2(spectrum / (0.02 + np.hypot(rows, cols)), s=(192, 208))
    fine = torch.from_numpy(600 + 150 * fine / fine.std())[None]
    ms = CentredSampling(4, 4.0).degrade(fine[:, :3] + fine[:, 3:], GAINS)
    return ms + torch.from_numpy(rng.normal(0, 8, ms.shape)), fine.mean(1, keepdim=True) * 1.4


@dataclass(frozen=True)
class Crude:
    """Adds all detail of PAN to every band: far from consistent."""

    card: Card

    def fuse(self, ms, pan):
        return LANCZOS.upsample(ms) + pan - LANCZOS.upsample(LANCZOS.degrade(pan, (0.2,)))


def left_over(fused, ms, gains=GAINS):
    """Root mean square of what is not the MS, DN; the degradation written out anew: dense Gaussians, mirrored."""
    low = torch.cat([_lowered(fused[:, i], gain) for i, gain in enumerate(gains)])
    return float((low - ms[0]).square().mean().sqrt())


def _lowered(band, gain):
    sigma = 4 * np.sqrt(-2 * np.log(gain)) / np.pi
    taps = np.exp(-0.5 * ((np.arange(-18, 22) - 1.5) / sigma) ** 2)
    taps = torch.from_numpy(taps / taps.sum())
    for axis in (-2, -1):
        mirrored = np.pad(np.arange(band.shape[axis]), 18, "symmetric")
        windows = band.index_select(band.dim() + axis, torch.from_numpy(mirrored)).unfold(axis, 40, 4)
        band = windows @ taps if axis == -1 else windows.movedim(-1, 0).mul(taps[:, None, None, None]).sum(0)
    return band


@pytest.mark.parametrize("kernel", ["lanczos", "cubic"])
def test_degraded_it_is_the_ms(scene, kernel):
    ms, pan = scene
    model = Crude(Card("crude", Exact(REACH)))
    before = left_over(model.fuse(ms, pan), ms)
    after = left_over(consistent(model, sampling_for(kernel, 4, 4.0), GAINS).fuse(ms, pan), ms)
    assert before > 15 and after < before / 100


def test_it_is_where_back_projection_ends(scene):
    """Two hundred rounds of the loop in the textbooks."""
    ms, pan = scene
    sampling = LANCZOS
    model = Crude(Card("crude", Exact(REACH)))
    looped = model.fuse(ms, pan)
    for _ in range(200):
        looped = looped + sampling.upsample(ms - sampling.degrade(looped, GAINS))
    at_once = consistent(model, sampling, GAINS).fuse(ms, pan)
    assert float((looped - model.fuse(ms, pan)).abs().max()) > 50
    assert float((looped - at_once).abs().max()) < 2


def test_the_index_of_reprojection_falls(scene):
    ms, pan = scene
    model = Crude(Card("crude", Exact(REACH)))
    found = []
    for fused in (model.fuse(ms, pan), consistent(model, LANCZOS, GAINS).fuse(ms, pan)):
        index = RErgas(4)
        index.update(ms, LANCZOS.degrade(fused, GAINS))
        found.append(index.compute())
    assert found[0] > 0.3 and found[1] < 0.02 * found[0]


@pytest.mark.parametrize("name", ["exp", "brovey", "mtf-glp-fs", "gsa"])
def test_every_method_can_be_made_consistent(scene, name):
    ms, pan = scene
    sampling = LANCZOS
    plain = build(name, sampling, OPTICS)
    model = consistent(plain, sampling, GAINS)
    assert isinstance(model, SceneMethod) == isinstance(plain, SceneMethod)
    assert model.card.name == f"{name}, consistent"
    if isinstance(model, SceneMethod):
        model = model.fit(model.observe(Window(ms, pan, None, (slice(0, 192), slice(0, 208)), 4)))
    assert isinstance(model, FusionModel)
    assert left_over(model.fuse(ms, pan), ms) < 0.5


def test_rules():
    correction = BackProjection(LANCZOS, GAINS)
    assert 40 <= correction.reach_px <= 72
    grown = {
        rule: Consistent(Crude(Card("crude", rule)), correction).card.rule
        for rule in (Exact(5), Whole(7), Blend(64, 16), Untiled())
    }
    assert grown == {
        Exact(5): Exact(5 + correction.reach_px),
        Whole(7): Whole(7 + correction.reach_px),
        Blend(64, 16): Blend(64, 16),
        Untiled(): Untiled(),
    }


@pytest.mark.parametrize("ratio", [2, 3, 4, 6])
def test_weak_and_strong_filters(ratio):
    """The longer the blur, the longer its undoing."""
    sampling = CentredSampling(ratio, float(ratio), "lanczos")
    reaches = [BackProjection(sampling, (gain,)).reach_px for gain in (0.5, 0.3, 0.15)]
    assert reaches == sorted(reaches) and reaches[0] < reaches[-1] < 40 * ratio
    ms = torch.from_numpy(np.random.default_rng(1).normal(500, 100, (1, 1, 40, 40)))
    fused = BackProjection(sampling, (0.15,)).correct(torch.zeros(1, 1, 40 * ratio, 40 * ratio).double(), ms)
    assert float((sampling.degrade(fused, (0.15,)) - ms).abs().max()) < 5


def test_the_rule_reaches_as_far_as_a_pixel_does(scene):
    """Nothing beyond the reach moves, and close to it something does."""
    ms, pan = scene
    ms, pan = ms.repeat(1, 1, 2, 2), pan.repeat(1, 1, 2, 2)
    model = consistent(Crude(Card("crude", Exact(REACH))), LANCZOS, GAINS)
    assert isinstance(model, FusionModel) and isinstance(model.card.rule, Exact)
    for changed in (0, 1):
        images = [ms.clone(), pan.clone()]
        row = (48, 192)[changed]
        images[changed][..., row, 50 * (1, 4)[changed]] += 1000
        moved = (model.fuse(*images) - model.fuse(ms, pan)).abs().amax((0, 1)) > 1e-9
        rows = np.nonzero(moved.any(1).numpy())[0]
        reach = max(192 - rows.min(), rows.max() - (195 if changed == 0 else 192))
        assert 0.5 * model.card.rule.reach_px < reach <= model.card.rule.reach_px


def test_windows_with_that_halo_are_the_whole(scene):
    ms, pan = (image.repeat(1, 1, 1, 2) for image in scene)
    model = consistent(Crude(Card("crude", Exact(REACH))), LANCZOS, GAINS)
    assert isinstance(model, FusionModel) and isinstance(model.card.rule, Exact)
    halo = -(-model.card.rule.reach_px // 4)
    whole, part = model.fuse(ms, pan), model.fuse(ms[..., 10:80], pan[..., 40:320])
    inner = slice(4 * (10 + halo), 4 * (80 - halo))
    assert inner.stop - inner.start > 32
    assert torch.allclose(part[..., 4 * halo : -4 * halo], whole[..., inner], atol=1e-9, rtol=0)


def test_the_toolbox_has_other_pixels():
    with pytest.raises(UsageError, match="half a PAN pixel") as caught:
        consistent(Crude(Card("crude", Untiled())), sampling_for("interp23tap", 4, 4.0), GAINS)
    assert "--upsampler lanczos" in caught.value.hint
