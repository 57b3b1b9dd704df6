"""The refiner: MTF-GLP-FS before training, any number of bands one by one, corrected by the MS, exact tiling."""

from dataclasses import replace
from functools import reduce

import pytest
import torch
from classical_scene import RATIO, SAMPLING, pair, ready, tiles, whole

from fusioncli.config.architectures import RefinerOptions
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Whole
from fusioncli.errors import DataError
from fusioncli.models.classical.base import Optics
from fusioncli.models.consistent import BackProjection
from fusioncli.models.networks import build_network
from fusioncli.models.refiner.scene import SceneRefiner
from fusioncli.models.registry import build
from fusioncli.models.statistics import merge
from fusioncli.models.weights import save_weights
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import sampling_for

OPTIONS = RefinerOptions(width=8, blocks=2)
GENERIC = Optics((DEFAULT_MS_GAIN,) * 4, 0.15, (0.25,) * 4)


def network(ratio=RATIO, stirred=True):
    """With weights as if trained, or fresh ones."""
    torch.manual_seed(1)
    made = build_network(ModelConfig(arch="refiner", bands=4, ratio=ratio, options=OPTIONS))
    if stirred:
        torch.nn.init.normal_(made.tail.weight, std=0.05)
    return made


@pytest.fixture
def model(tmp_path):
    """Weights made for four bands, opened as `--method` does."""
    path = tmp_path / "generic.safetensors"
    config = ModelConfig(arch="refiner", bands=4, ratio=RATIO, options=OPTIONS)
    save_weights(path, network().state_dict(), Identity.of_model(config, value_max=4095, upsampler="lanczos"))

    def opened(bands=4, sampling=SAMPLING):
        found = build(str(path), sampling, Optics((0.3,) * bands, 0.15, (1 / bands,) * bands))
        assert isinstance(found, SceneRefiner)
        return found

    return opened


def fused(model, ms, pan):
    return ready(model, whole(ms, pan)).fuse(ms, pan)


def test_untrained_it_is_mtf_glp_fs_with_the_optics_of_no_sensor():
    ms, pan = pair()
    expected = fused(build("mtf-glp-fs", SAMPLING, GENERIC), ms, pan)
    made = network(stirred=False).double()(ms, SAMPLING.upsample(ms), pan)
    torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-6)


def test_a_patch_in_training_is_a_scene_in_fusion_before_it_is_corrected(model):
    ms, pan = pair()
    expected = network().double()(ms, SAMPLING.upsample(ms), pan)
    torch.testing.assert_close(fused(replace(model(), correction=None), ms, pan), expected, rtol=1e-9, atol=1e-6)


def test_a_scene_is_back_projected_once(model):
    """Each band through its own gain: most of what was wrong on the MS grid is gone, and not all."""
    ms, pan = pair()
    gains = (0.2, 0.3, 0.4, 0.5)
    correction = BackProjection(SAMPLING, gains, exact=False)
    plain, once, twice = (
        fused(replace(model(), correction=each), ms, pan)
        for each in (None, correction, replace(correction, exact=True))
    )
    torch.testing.assert_close(once, plain + SAMPLING.upsample(ms - SAMPLING.degrade(plain, gains)))
    wrong = [float((ms - SAMPLING.degrade(each, gains)).square().mean()) for each in (plain, once, twice)]
    assert wrong[1] < wrong[0] / 3 and wrong[2] < wrong[1] / 30


def test_the_gains_are_those_of_the_sensor_and_the_reach_is_longer(model):
    assert model().correction == BackProjection(SAMPLING, (0.3,) * 4, exact=False)
    longer = model().card.rule.reach_px - model().trained.card.rule.reach_px
    assert longer == SAMPLING.reach_px(0.3) < BackProjection(SAMPLING, (0.3,)).reach_px
    assert model(sampling=sampling_for("interp23tap", 4, 4.0)).correction is None  # MS pixels are no areas there


def test_patches_of_a_batch_do_not_know_of_each_other():
    ms, pan = pair()
    net = network().double()
    both = net(*(torch.cat([x, x.flip(-1) * 0.5]) for x in (ms, SAMPLING.upsample(ms), pan)))
    torch.testing.assert_close(both[:1], net(ms, SAMPLING.upsample(ms), pan), rtol=1e-9, atol=1e-6)


def test_bands_may_come_in_any_order_and_number(model):
    ms, pan = pair()
    order = [2, 0, 3, 1]
    torch.testing.assert_close(
        fused(model(), ms[:, order], pan), fused(model(), ms, pan)[:, order], rtol=1e-6, atol=1e-3
    )
    for bands in (1, 3, 8):
        several = ms[:, [b % 4 for b in range(bands)]]
        result = fused(model(bands), several, pan)
        assert result.shape == (1, bands, *pan.shape[-2:]) and result.isfinite().all()
    assert model(8).card.bands is None


def test_the_unit_does_not_matter(model):
    ms, pan = pair()
    torch.testing.assert_close(
        fused(model(), ms / 4096, pan / 1000) * 4096, fused(model(), ms, pan), rtol=1e-6, atol=1e-4
    )


def test_tiles_give_what_the_scene_gives(model):
    ms, pan = pair(128, 128)
    one = ready(model(), whole(ms, pan))
    rule = one.card.rule
    assert isinstance(rule, Whole)
    [scene] = tiles(ms, pan, 128, rule.reach_px)
    expected = _core(one, scene)
    windows = tiles(ms, pan, 32, rule.reach_px)
    assert len(windows) == 16
    for number, window in enumerate(windows):
        row, col = (32 * place for place in divmod(number, 4))
        torch.testing.assert_close(
            _core(one, window), expected[..., row : row + 32, col : col + 32], rtol=1e-9, atol=1e-6
        )


def _core(model, window):
    return model.fuse(window.ms, window.pan)[..., window.core[0], window.core[1]]


def test_moments_of_windows_are_those_of_the_scene(model):
    ms, pan = pair(128, 192)
    windows = tiles(ms, pan, 64, model().card.rule.reach_px)
    found = reduce(merge, (model().observe(window) for window in windows))
    together, at_once = model().fit(found).moments, ready(model(), whole(ms, pan)).moments
    torch.testing.assert_close(together.mean, at_once.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(together.covariance, at_once.covariance, rtol=1e-8, atol=1e-6)


@pytest.mark.parametrize("ratio", [2, 3, 4, 5, 6])
def test_the_reach_is_no_further_than_it_says(ratio):
    """A change beyond the reach changes nothing; moved by whole MS pixels, the input moves the output along."""
    net = network(ratio).double().eval()
    torch.manual_seed(2)
    side = 2 * net.reach_px // ratio + 12
    stack = torch.randn(1, 7, side * ratio, side * ratio, dtype=torch.float64)
    before = net._lacking(stack)
    middle = side // 2 * ratio
    changed = stack.clone()
    changed[..., middle, middle] += 5
    moved = (net._lacking(changed) - before).abs().amax((0, 1))
    assert moved[middle, middle] > 0
    moved[middle - net.reach_px : middle + net.reach_px + 1, middle - net.reach_px : middle + net.reach_px + 1] = 0
    assert moved.max() == 0
    rolled = net._lacking(stack.roll((ratio, ratio), (-2, -1)))
    inner = slice(net.reach_px + ratio, -net.reach_px - ratio)
    torch.testing.assert_close(rolled[..., inner, inner], before.roll((ratio, ratio), (-2, -1))[..., inner, inner])


def test_a_band_that_does_not_vary_stays_as_it_is(model):
    ms, pan = pair()
    ms[:, 1] = 250.0
    torch.testing.assert_close(fused(model(), ms, pan)[:, 1], torch.full_like(pan[:, 0], 250.0), rtol=0, atol=2.0)


def test_a_constant_pan_is_refused(model):
    ms, pan = pair()
    with pytest.raises(DataError, match="PAN is constant"):
        fused(model(), ms, torch.full_like(pan, 7.0))


def test_another_ratio_is_refused(model):
    with pytest.raises(DataError, match="trained for ratio 4, the scene has ratio 2"):
        model(sampling=sampling_for("lanczos", 2, 2.0))


def test_gradients_reach_every_weight():
    ms, pan = pair()
    net = network().double().train()
    loss = {}
    for checkpointing in (False, True):
        net.gradient_checkpointing = checkpointing
        net.zero_grad()
        net(ms, SAMPLING.upsample(ms), pan).square().mean().backward()
        loss[checkpointing] = [parameter.grad.clone() for parameter in net.parameters()]
        assert all(gradient.abs().sum() > 0 for gradient in loss[checkpointing])
    for plain, again in zip(*loss.values(), strict=True):
        torch.testing.assert_close(plain, again)
