"""Methods for cubes: closer to the truth than upsampling, the same however a scene is cut, and honest cards."""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
import torch
from hyperspectral_scene import (
    BANDS,
    GUIDE_BANDS,
    NAMES,
    OPTICS,
    RATIO,
    SAMPLING,
    cut,
    method,
    pair,
    ready,
    responses,
    truth,
    whole,
)

from fusioncli.core.tiling import Whole
from fusioncli.errors import DataError
from fusioncli.models.catalogue import find_method
from fusioncli.models.contract import Card
from fusioncli.models.hyperspectral import mixture
from fusioncli.models.statistics import merge


def error(fused: torch.Tensor) -> float:
    return float((fused - truth()).square().mean().sqrt())


def reach_of(card: Card) -> int:
    assert isinstance(card.rule, Whole)
    return card.rule.reach_px


@pytest.mark.parametrize("name", NAMES)
def test_cards(name):
    card = method(name).card
    assert (card.name, card.bands, card.ratio, card.guide_bands) == (name, BANDS, RATIO, None)
    assert card.origin == find_method(name).reference
    assert isinstance(card.rule, Whole)
    assert card.held_bands(BANDS, GUIDE_BANDS) == BANDS + GUIDE_BANDS - 1


@pytest.mark.parametrize("name", NAMES)
def test_closer_to_the_truth_than_upsampling(name):
    ms, guide = pair()
    fused = ready(name, ms, guide).fuse(ms, guide)
    assert fused.shape == truth().shape
    assert error(fused) < 0.55 * error(SAMPLING.upsample(ms))


@pytest.mark.parametrize("name", NAMES)
def test_one_guide_band_is_a_panchromatic_image(name):
    """One band says little of five materials: no harm is all that can be asked."""
    ms, guide = pair()
    pan = guide.mean(1, keepdim=True)
    assert error(ready(name, ms, pan).fuse(ms, pan)) < 1.03 * error(SAMPLING.upsample(ms))


@pytest.mark.parametrize("name", NAMES)
def test_known_responses_do_as_well_as_regressed_ones(name):
    ms, guide = pair()
    known = replace(OPTICS, response=responses())
    assert error(ready(name, ms, guide, known).fuse(ms, guide)) < 0.55 * error(SAMPLING.upsample(ms))


@pytest.mark.parametrize("name", NAMES)
def test_observed_and_fused_in_tiles(name):
    """Streamed statistics give the same coefficients, and tiles the same pixels, as one window."""
    ms, guide = pair()
    model = method(name)
    at_once = model.fit(model.observe(whole(ms, guide)))
    windows = cut(ms, guide, 32, reach_of(model.card))
    streamed = model.fit(reduce(merge, map(model.observe, windows)))
    expected = at_once.fuse(ms, guide)
    np.testing.assert_allclose(streamed.fuse(ms, guide), expected, rtol=1e-6, atol=1e-4)
    tiles = [at_once.fuse(window.ms, window.pan)[..., *window.core] for window in windows]
    rows = [torch.cat(tiles[first : first + 3], -1) for first in range(0, 6, 3)]
    np.testing.assert_allclose(torch.cat(rows, -2), expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["cube", "guide"])
def test_reach_by_perturbing_one_pixel(name, which):
    ms, guide = pair()
    model = ready(name, ms, guide)
    before = model.fuse(ms, guide)
    if which == "cube":
        ms = ms.clone()
        ms[..., 12, 16] += 100
        first, last = (48, 64), (51, 67)
    else:
        guide = guide.clone()
        guide[..., 49, 65] += 100
        first = last = (49, 65)
    changed = torch.nonzero((model.fuse(ms, guide) != before).any(1)[0]).numpy()
    reach_px = reach_of(model.card)
    assert len(changed)
    assert (np.array(first) - changed.min(0)).max() <= reach_px
    assert (changed.max(0) - np.array(last)).max() <= reach_px


@pytest.mark.parametrize("name", [name for name in NAMES if method(name).card.per_band])
def test_a_band_of_the_cube_touches_no_other(name):
    ms, guide = pair()
    model = ready(name, ms, guide)
    before = model.fuse(ms, guide)
    ms = ms.clone()
    ms[:, 3] = 0
    others = [band for band in range(BANDS) if band != 3]
    np.testing.assert_array_equal(model.fuse(ms, guide)[:, others], before[:, others])


@pytest.mark.parametrize("name", NAMES)
def test_the_units_of_the_guide_do_not_matter(name):
    ms, guide = pair()
    scaled = 0.001 * guide
    np.testing.assert_allclose(
        ready(name, ms, scaled).fuse(ms, scaled), ready(name, ms, guide).fuse(ms, guide), rtol=1e-4, atol=0.05
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_windows_and_single_precision_is_enough(name):
    ms, guide = pair()
    model = ready(name, ms, guide)
    expected = model.fuse(ms, guide)
    both = model.fuse(torch.cat([ms, ms.flip(-1)]), torch.cat([guide, guide.flip(-1)]))
    np.testing.assert_allclose(both[:1], expected, rtol=1e-9)
    single = model.fuse(ms.float(), guide.float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, expected, atol=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_guide_is_refused(name):
    ms, guide = pair()
    model = method(name)
    with pytest.raises(DataError, match="PAN is constant"):
        model.fit(model.observe(whole(ms, torch.full_like(guide, 7.0))))


@pytest.mark.parametrize("name", NAMES)
def test_no_valid_pixel_is_refused(name):
    ms, guide = pair()
    model = method(name)
    nowhere = torch.zeros(1, 1, *guide.shape[2:], dtype=torch.bool)
    with pytest.raises(DataError, match="no pixel holds data"):
        model.fit(model.observe(whole(ms, guide, nowhere)))


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_band_of_the_guide_changes_nothing(name):
    ms, guide = pair()
    more = torch.cat([guide, torch.full_like(guide[:, :1], 5.0)], 1)
    np.testing.assert_allclose(ready(name, ms, more).fuse(ms, more), ready(name, ms, guide).fuse(ms, guide), rtol=0.02)


def test_back_projection_agrees_with_the_cube():
    ms, guide = pair()
    fused = ready("hyper-lmmse", ms, guide).fuse(ms, guide)
    inside = (..., slice(4, -4), slice(4, -4))
    far = (SAMPLING.degrade(fused, OPTICS.ms_mtf) - ms)[inside].abs().mean() / ms.mean()
    assert far < 0.01


def test_positive_stays_positive():
    """Dark water beside bright land: the detail that the land predicts is larger than the water is bright."""
    ms, guide = pair()
    dark = ms.clone()
    dark[:, 10:, :, 12:] *= 0.001
    assert float(ready("hyper-lmmse", dark, guide).fuse(dark, guide)[..., 64:].min()) >= -1.0


def test_water_is_not_sharpened_as_land_is(monkeypatch):
    """Grain of the guide on dark water, which the gains of the land would make large."""
    ms, guide = pair()
    water = torch.linspace(60, 20, BANDS, dtype=torch.float64).view(1, -1, 1, 1)
    torch.manual_seed(3)
    ms[..., 12:] = water * (1 + 0.01 * torch.randn_like(ms[..., 12:]))
    level = torch.einsum("mb,nbhw->nmhw", torch.from_numpy(responses()), water)
    guide[..., 48:] = level + 2 * torch.randn_like(guide[..., 48:])

    def far() -> float:
        fused = ready("hyper-lmmse", ms, guide).fuse(ms, guide)
        return float((fused[..., 72:] - water).square().mean().sqrt())

    apart = far()
    monkeypatch.setattr(mixture, "MOST_CLASSES", 1)
    assert apart < 0.3 * far()
