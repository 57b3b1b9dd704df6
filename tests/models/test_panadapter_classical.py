"""PanAdapter on classical fusions: MTF-GLP-FS before training, in any unit, in tiles with the moments of the scene."""

from dataclasses import replace

import pytest
import torch
from classical_scene import RATIO, SAMPLING, pair, ready, tiles, whole

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Blend
from fusioncli.errors import DataError
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import fuse_image
from fusioncli.models.networks import build_network
from fusioncli.models.panadapter.presets import TINY
from fusioncli.models.refiner.scene import SceneRefiner
from fusioncli.models.registry import build
from fusioncli.models.weights import save_weights
from fusioncli.ops.kernels import DEFAULT_MS_GAIN

GENERIC = Optics((DEFAULT_MS_GAIN,) * 4, 0.15, (0.25,) * 4)


def config(**settings):
    options = PanAdapterOptions.model_validate(TINY | {"start": "classical", "allow_random_backbone": True} | settings)
    return ModelConfig(arch="panadapter", bands=4, ratio=RATIO, options=options)


def network(stirred=True, **settings):
    """With weights as if trained, or fresh ones."""
    torch.manual_seed(1)
    made = build_network(config(**settings))
    if stirred:
        tail = made.tail1 if made.options.stage == 1 else made.tail2
        torch.nn.init.normal_(tail.last.weight, std=0.1)
    return made


@pytest.fixture
def model(tmp_path):
    """Weights opened as `--method` does."""

    def opened(bands=4, **settings):
        path = tmp_path / "weights.safetensors"
        tensors = {name: tensor.detach() for name, tensor in network(**settings).state_dict().items()}
        save_weights(path, tensors, Identity.of_model(config(**settings), value_max=4095, upsampler="lanczos"))
        return build(str(path), SAMPLING, Optics((0.3,) * bands, 0.15, (1 / bands,) * bands))

    return opened


@pytest.mark.parametrize("settings", [{"stage": 1}, {}, {"per_band": True}], ids=str)
def test_untrained_it_is_mtf_glp_fs_with_the_optics_of_no_sensor(settings):
    ms, pan = pair()
    expected = ready(build("mtf-glp-fs", SAMPLING, GENERIC), whole(ms, pan)).fuse(ms, pan)
    patch = ms, SAMPLING.upsample(ms), pan
    torch.testing.assert_close(network(False, **settings).double()(*patch), expected, rtol=1e-9, atol=1e-6)
    assert (network(**settings).double()(*patch) - expected).abs().max() > 1


@pytest.mark.parametrize("settings", [{}, {"per_band": True}], ids=str)
def test_the_unit_does_not_matter(settings):
    ms, pan = pair()
    net = network(**settings).double()
    small = net(ms / 4096, SAMPLING.upsample(ms) / 4096, pan / 1000)
    torch.testing.assert_close(small * 4096, net(ms, SAMPLING.upsample(ms), pan), rtol=1e-6, atol=1e-3)


def test_band_by_band_any_number_will_do_and_otherwise_not(model):
    ms, pan = pair()
    several = ms[:, [0, 1, 2, 3, 1, 0]]
    one_by_one = model(6, per_band=True)
    assert one_by_one.card.bands is None and model().card.bands == 4
    fitted = ready(one_by_one, whole(several, pan))
    assert fitted.moments.mean.shape == (1, 8)
    fused = fuse_image(fitted, several, pan)
    torch.testing.assert_close(fused[:, [4, 5]], fused[:, [1, 0]], rtol=1e-6, atol=1e-3)
    with pytest.raises(DataError, match="trained for bands 4, the scene has bands 6"):
        model(6)


def test_a_window_is_a_tile_in_its_surroundings(model):
    """The moments are those of the scene, the network sees the tile alone."""
    method = model()
    assert isinstance(method, SceneRefiner)
    method = replace(method, correction=None)
    rule = method.card.rule
    assert isinstance(rule, Blend) and rule.halo_px >= SAMPLING.reach_px(DEFAULT_MS_GAIN)
    ms, pan = pair(128, 128)
    fitted = ready(method, whole(ms, pan))
    windows = tiles(ms, pan, rule.tile_px, rule.halo_px)
    [scene] = tiles(ms, pan, 128, rule.halo_px)
    start = ready(build("mtf-glp-fs", SAMPLING, GENERIC), whole(ms, pan)).fuse(scene.ms, scene.pan)
    start = start[..., scene.core[0], scene.core[1]]
    plain = type(fitted)(untrained(method), fitted.moments)
    for number, window in enumerate(windows):
        row, col = (rule.tile_px * place for place in divmod(number, 128 // rule.tile_px))
        there = (..., slice(row, row + rule.tile_px), slice(col, col + rule.tile_px))
        core = (..., *window.core)
        torch.testing.assert_close(plain.fuse(window.ms, window.pan)[core], start[there], rtol=1e-6, atol=1e-3)
        assert (fitted.fuse(window.ms, window.pan)[core] - start[there]).abs().max() > 0.1


def test_a_tile_is_corrected_by_its_ms_and_its_halo_is_the_start(model):
    """What lies beyond a tile must not be taken for darkness."""
    method = model()
    halo_px, tile_px = method.card.rule.halo_px, method.card.rule.tile_px
    ms, pan = pair(128, 128)
    window = tiles(ms, pan, tile_px, halo_px)[0]
    fitted = ready(method, whole(ms, pan))
    plain = type(fitted)(replace(method, correction=None), fitted.moments).fuse(window.ms, window.pan)
    start = ready(build("mtf-glp-fs", SAMPLING, GENERIC), whole(ms, pan)).fuse(window.ms, window.pan)
    torch.testing.assert_close(plain[..., :halo_px, :], start[..., :halo_px, :], rtol=1e-6, atol=1e-3)
    expected = plain + SAMPLING.upsample(window.ms - SAMPLING.degrade(plain, (0.3,) * 4))
    torch.testing.assert_close(fitted.fuse(window.ms, window.pan), expected)


def untrained(method):
    """With fresh weights in it."""
    trained = method.trained
    return SceneRefiner(type(trained)(network(False).eval(), trained.identity, trained.sampling, ""))


def test_gradients_reach_all_that_learns():
    ms, pan = pair()
    for stage in (1, 2):
        net = network(stage=stage).double().train()
        for parameter in net.parameters():  # what lies behind scales of zero too
            if parameter.requires_grad and not parameter.abs().sum():
                torch.nn.init.normal_(parameter, std=0.1)
        net(ms, SAMPLING.upsample(ms), pan).square().mean().backward()
        named = dict(net.named_parameters())
        assert all(named[name].grad.abs().sum() > 0 for name in net.trainable_names())
