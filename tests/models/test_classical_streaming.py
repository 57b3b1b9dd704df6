"""A method observed tile by tile is the method observed at once, and so is what it fuses."""

from dataclasses import fields, is_dataclass
from functools import reduce

import numpy as np
import pytest
import torch
from classical_scene import NAMES, OPTICS, RATIO, SAMPLING, SCENE_NAMES, pair, ready, tiles, whole

from fusioncli.core.tiling import Exact, Whole
from fusioncli.models.contract import SceneMethod
from fusioncli.models.registry import build
from fusioncli.models.statistics import merge

CORE_PX = 64


def coefficients(model):
    """Every array inside a fitted model, by its path."""
    found = {}
    for field in fields(model):
        value = getattr(model, field.name)
        if isinstance(value, np.ndarray):
            found[field.name] = value
        elif is_dataclass(value):
            found |= {f"{field.name}.{key}": inner for key, inner in coefficients(value).items()}
    return found


@pytest.mark.parametrize("name", SCENE_NAMES)
def test_coefficients_do_not_depend_on_the_cut(name):
    ms, pan = pair()
    method = build(name, SAMPLING, OPTICS)
    assert isinstance(method.card.rule, Whole)
    at_once = coefficients(method.fit(method.observe(whole(ms, pan))))
    windows = tiles(ms, pan, CORE_PX, method.card.rule.reach_px)
    streamed = coefficients(method.fit(reduce(merge, map(method.observe, windows))))
    assert at_once.keys() == streamed.keys()
    for key, expected in at_once.items():
        np.testing.assert_allclose(streamed[key], expected, rtol=1e-9, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_tiles_fuse_to_the_whole(name):
    ms, pan = pair()
    model = ready(build(name, SAMPLING, OPTICS), whole(ms, pan))
    assert isinstance(model.card.rule, Exact | Whole)
    expected = model.fuse(ms, pan)
    result = torch.empty_like(expected)
    windows = iter(tiles(ms, pan, CORE_PX, model.card.rule.reach_px))
    for row in range(0, pan.shape[-2], CORE_PX):
        for col in range(0, pan.shape[-1], CORE_PX):
            window = next(windows)
            tile = model.fuse(window.ms, window.pan)[..., window.core[0], window.core[1]]
            result[..., row : row + CORE_PX, col : col + CORE_PX] = tile
    np.testing.assert_allclose(result, expected, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["ms", "pan"])
def test_reach_by_perturbing_one_pixel(name, which):
    ms, pan = pair(128, 128)
    model = ready(build(name, SAMPLING, OPTICS), whole(ms, pan))
    before = model.fuse(ms, pan)
    if which == "ms":
        ms = ms.clone()
        ms[..., 16, 16] += 100
        first, last = 16 * RATIO, 17 * RATIO - 1
    else:
        pan = pan.clone()
        pan[..., 65, 65] += 100
        first = last = 65
    changed = torch.nonzero((model.fuse(ms, pan) != before).any(1)[0]).numpy()
    if name != "exp" or which == "ms":
        assert first - changed.min() <= model.card.rule.reach_px
        assert changed.max() - last <= model.card.rule.reach_px
    else:
        assert len(changed) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_windows(name):
    ms, pan = pair(64, 64)
    model = ready(build(name, SAMPLING, OPTICS), whole(ms, pan))
    both = model.fuse(torch.cat([ms, ms.flip(-1)]), torch.cat([pan, pan.flip(-1)]))
    np.testing.assert_allclose(both[:1], model.fuse(ms, pan), rtol=1e-12)
    np.testing.assert_allclose(both[1:], model.fuse(ms.flip(-1), pan.flip(-1)), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_good_to_a_tenth_of_a_dn(name):
    ms, pan = pair()
    method = build(name, SAMPLING, OPTICS)
    exact = ready(method, whole(ms, pan)).fuse(ms, pan)
    single = ready(method, whole(ms.float(), pan.float())).fuse(ms.float(), pan.float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, exact, atol=0.1)


@pytest.mark.parametrize("name", SCENE_NAMES)
def test_invalid_pixels_are_not_observed(name):
    """Garbage farther than the reach from any valid pixel changes nothing."""
    ms, pan = pair()
    method = build(name, SAMPLING, OPTICS)
    assert isinstance(method, SceneMethod)
    assert isinstance(method.card.rule, Whole)
    valid = torch.ones_like(pan, dtype=torch.bool)
    edge = 96
    valid[..., edge:] = False
    garbage = edge + -(-method.card.rule.reach_px // RATIO) * RATIO
    clean = coefficients(method.fit(method.observe(whole(ms, pan, valid))))
    ms[..., garbage // RATIO :] = 65535
    pan[..., garbage:] = -9999
    dirty = coefficients(method.fit(method.observe(whole(ms, pan, valid))))
    for key, expected in clean.items():
        np.testing.assert_allclose(dirty[key], expected, rtol=1e-9, atol=1e-9, err_msg=key)
