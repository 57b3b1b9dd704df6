"""What the methods are for, what they promise, and scenes that leave them nothing to work with."""

import numpy as np
import pytest
import torch
from classical_scene import NAMES, OPTICS, RATIO, SAMPLING, SCENE_NAMES, pair, ready, truth, whole

from fusioncli.core.tiling import Exact, Untiled, Whole
from fusioncli.errors import DataError, UsageError
from fusioncli.models.catalogue import find_method
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import SceneMethod
from fusioncli.models.registry import build
from fusioncli.ops.sampling import ToolboxSampling

RATIO_NAMES = ["brovey", "bt-h", "mtf-glp-hpm", "mtf-glp-hpm-r"]


def fuse(name, ms, pan, optics=OPTICS):
    return ready(build(name, SAMPLING, optics), whole(ms, pan)).fuse(ms, pan)


@pytest.mark.parametrize("name", NAMES)
def test_cards(name):
    card = build(name, SAMPLING, OPTICS).card
    assert card.name == name
    assert (card.bands, card.ratio) == (4, RATIO)
    assert card.origin == find_method(name).reference
    assert isinstance(card.rule, Exact if name in ("exp", "brovey") else Whole)
    assert build(name, ToolboxSampling(4), OPTICS).card.rule == Untiled()


def test_unknown_method():
    with pytest.raises(UsageError):
        build("gsa2", SAMPLING, OPTICS)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "exp"])
def test_fusing_comes_closer_to_the_truth_than_upsampling(name):
    gt, _ = truth()
    ms, pan = pair()

    def error(fused):
        return float((fused - gt).square().mean().sqrt())

    assert error(fuse(name, ms, pan)) < 0.7 * error(SAMPLING.upsample(ms))


@pytest.mark.parametrize("name", NAMES)
def test_a_scene_without_detail_stays_as_it_is(name):
    """PAN that is already the upsampled intensity adds nothing: the result is lms, but for filter round-off."""
    ms, _ = pair()
    smooth = torch.nn.functional.avg_pool2d(ms, 15, 1, 7, count_include_pad=False)
    lms = SAMPLING.upsample(smooth)
    pan = (lms * torch.tensor(OPTICS.pan_weights, dtype=torch.float64).view(1, -1, 1, 1)).sum(1, keepdim=True)
    inside = (..., slice(16, -16), slice(16, -16))
    difference = (fuse(name, smooth, pan) - lms)[inside].abs().mean()
    assert difference < 0.01 * lms.mean()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("exp", "brovey")])
def test_the_scale_of_pan_does_not_matter(name):
    """PAN in other units (8 bit beside 16 bit, radiance beside counts) gives the same image."""
    ms, pan = pair()
    np.testing.assert_allclose(fuse(name, ms, 0.125 * pan), fuse(name, ms, pan), rtol=1e-6)


def test_brovey_makes_the_bands_add_up_to_pan():
    ms, pan = pair()
    weights = torch.tensor(OPTICS.pan_weights, dtype=torch.float64)
    np.testing.assert_allclose(torch.tensordot(weights, fuse("brovey", ms, pan)[0], 1), pan[0, 0], rtol=1e-10)


@pytest.mark.parametrize("name", RATIO_NAMES)
def test_modulation_keeps_the_colour_of_a_pixel(name):
    """One ratio for all bands: differences of bands above the haze keep their proportions."""
    ms, pan = pair()
    optics = Optics((0.3,) * 4, 0.15, OPTICS.pan_weights)
    fused, lms = fuse(name, ms, pan, optics), SAMPLING.upsample(ms)
    if name == "brovey":
        np.testing.assert_allclose(fused / fused.sum(1, keepdim=True), lms / lms.sum(1, keepdim=True))
    angle = (fused * lms).sum(1) / (fused.norm(dim=1) * lms.norm(dim=1))
    assert angle.min() > 0.96


@pytest.mark.parametrize("name", RATIO_NAMES)
@pytest.mark.parametrize("offset", [0, 300, 2000])
def test_ratios_do_not_explode(name, offset):
    """Reflectance around zero, as after a rough atmospheric correction."""
    ms, pan = pair()
    fused, lms = fuse(name, ms - offset, pan - offset), SAMPLING.upsample(ms - offset)
    assert torch.isfinite(fused).all()
    bound = 10 * (lms.abs() + 2 * lms.abs().amax((2, 3), keepdim=True) * (name == "bt-h"))
    assert (fused.abs() <= bound * (1 + 1e-9)).all()


@pytest.mark.parametrize("name", ["brovey", "mtf-glp-hpm", "mtf-glp-hpm-r"])
def test_where_the_prediction_is_not_positive_the_ms_is_kept(name):
    ms, pan = pair()
    ms[..., 10:30, 10:40] = 0  # fill that nobody declared
    pan[..., 40:120, 40:160] = 0
    fused = fuse(name, ms, pan)
    assert torch.isfinite(fused).all()
    np.testing.assert_allclose(fused[..., 70:90, 80:120], 0, atol=1e-9)


def test_negative_sums_of_bands_are_not_inverted():
    ms = torch.full((1, 4, 8, 8), -5.0)
    pan = torch.full((1, 1, 32, 32), 7.0)
    np.testing.assert_allclose(fuse("brovey", ms, pan), -5.0, rtol=1e-6)


@pytest.mark.parametrize("name", SCENE_NAMES)
def test_constant_pan_is_refused(name):
    ms, pan = pair(64, 64)
    for flat in (torch.full_like(pan, 500.1), torch.zeros_like(pan)):
        with pytest.raises(DataError, match="constant") as caught:
            fuse(name, ms.float(), flat.float())
        assert "--pan" in caught.value.hint


@pytest.mark.parametrize("name", SCENE_NAMES)
def test_no_valid_pixel_is_refused(name):
    ms, pan = pair(64, 64)
    method = build(name, SAMPLING, OPTICS)
    assert isinstance(method, SceneMethod)
    with pytest.raises(DataError, match="no pixel"):
        method.fit(method.observe(whole(ms, pan, torch.zeros_like(pan, dtype=torch.bool))))


@pytest.mark.parametrize("name", ["gsa", "bt-h", "bdsd-pc"])
def test_no_wholly_valid_ms_pixel_is_refused(name):
    ms, pan = pair(64, 64)
    method = build(name, SAMPLING, OPTICS)
    assert isinstance(method, SceneMethod)
    scattered = torch.zeros_like(pan, dtype=torch.bool)
    scattered[..., ::3, ::3] = True
    with pytest.raises(DataError, match=r"no (MS )?pixel"):
        method.fit(method.observe(whole(ms, pan, scattered)))


@pytest.mark.parametrize("name", SCENE_NAMES)
def test_a_constant_scene_stays_as_it_is(name):
    ms, pan = pair()
    ms[:] = 700
    np.testing.assert_allclose(fuse(name, ms, pan), 700, rtol=1e-6)


@pytest.mark.parametrize("name", SCENE_NAMES)
def test_a_repeated_band_is_fused_like_its_twin(name):
    """Normal equations of lower rank."""
    ms, pan = pair()
    ms[:, 2] = ms[:, 1]
    optics = Optics((0.3,) * 4, 0.15, OPTICS.pan_weights)
    fused = fuse(name, ms, pan, optics)
    assert torch.isfinite(fused).all()
    if name == "bt-h":  # the haze of green is not that of red
        return
    np.testing.assert_allclose(fused[:, 2], fused[:, 1], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_band_stays_finite(name):
    ms, pan = pair()
    ms[:, 3] = 700
    fused = fuse(name, ms, pan)
    assert torch.isfinite(fused).all()
    if name not in ("brovey", "bt-h"):  # one ratio for all bands modulates it as well
        np.testing.assert_allclose(fused[:, 3], 700, rtol=1e-6)


def test_bdsd_respects_its_signs():
    ms, pan = pair()
    method = build("bdsd-pc", SAMPLING, OPTICS)
    assert isinstance(method, SceneMethod)
    model = method.fit(method.observe(whole(ms, pan)))
    assert (model.added >= 0).all()
    assert (model.mix - np.eye(4) <= 0).all()
    assert (model.added > 0).any()


def test_haze_uses_the_dark_percentile_for_four_bands_and_the_minimum_otherwise():
    ms, pan = pair()
    four = ready(build("bt-h", SAMPLING, OPTICS), whole(ms, pan))
    shares = np.array([0.95, 0.45, 0.40, 0.05])
    darkest = np.quantile(ms[0].flatten(1).numpy(), 0.01, axis=1, method="inverted_cdf")
    np.testing.assert_allclose(four.haze, shares * darkest)
    three = ready(build("bt-h", SAMPLING, Optics((0.3,) * 3, 0.15, (1 / 3,) * 3)), whole(ms[:, :3], pan))
    np.testing.assert_allclose(three.haze, ms[0, :3].amin((1, 2)))
