"""The reference network: the upsampled MS before training, exact tiling, digital numbers, and its weights' manners."""

import numpy as np
import pytest
import torch

from fusioncli.config.architectures import PnnOptions
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Exact, Untiled
from fusioncli.errors import DataError, UsageError
from fusioncli.models.classical.base import Optics
from fusioncli.models.networks import Network, build_network
from fusioncli.models.registry import build
from fusioncli.models.trained import load_trained
from fusioncli.models.weights import save_weights
from fusioncli.ops.sampling import sampling_for

VALUE_MAX = 2047.0
CONFIG = ModelConfig(arch="pnn", bands=3, ratio=4, options=PnnOptions(widths=(6, 5), kernels_px=(5, 3, 3)))
REACH_PX = 2 + 1 + 1
LANCZOS = sampling_for("lanczos", 4, 4.0)


@pytest.fixture
def network():
    torch.manual_seed(1)
    return build_network(CONFIG)


@pytest.fixture
def scene():
    torch.manual_seed(2)
    return torch.rand(1, 3, 20, 24) * 1500, torch.rand(1, 1, 80, 96) * 1500


def stirred(network):
    """As if trained: no weight is 0."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return network


def weights_file(path, network, **facts):
    known = {"value_max": VALUE_MAX, "upsampler": "lanczos", "sensor": "QB"} | facts
    save_weights(path, network.state_dict(), Identity.of_model(CONFIG, **known))
    return path


def test_untrained_it_is_the_upsampled_ms(network, scene, tmp_path):
    ms, pan = scene
    lms = LANCZOS.upsample(ms)
    assert torch.equal(network(ms, lms, pan), lms)
    model = load_trained(weights_file(tmp_path / "w.safetensors", network), 3, LANCZOS)
    assert torch.equal(model.fuse(ms, pan), lms)


def test_without_residual_it_is_not(scene):
    plain = CONFIG.model_copy(update={"options": CONFIG.options.model_copy(update={"residual": False})})
    ms, pan = scene
    fused = build_network(plain)(ms, LANCZOS.upsample(ms), pan)
    assert fused.shape == (1, 3, 80, 96) and not torch.equal(fused, LANCZOS.upsample(ms))


def test_it_is_a_network(network):
    assert isinstance(network, Network)
    assert network.reach_px == REACH_PX
    assert network.width == 3  # (6 + 5) / 4, rounded up


@pytest.mark.parametrize("place", [(40, 48), (0, 0), (79, 95)])
def test_reach_is_what_a_pixel_of_pan_moves(network, scene, place, tmp_path):
    """Inside the scene; at its border the mirror brings the pixel closer."""
    model = load_trained(weights_file(tmp_path / "w.safetensors", stirred(network)), 3, LANCZOS)
    ms, pan = scene
    changed = pan.clone()
    changed[0, 0, *place] += 300
    moved = (model.fuse(ms, changed) - model.fuse(ms, pan)).abs().amax((0, 1)) > 0
    rows, cols = np.nonzero(moved.numpy())
    reach = max(np.abs(rows - place[0]).max(), np.abs(cols - place[1]).max())
    assert reach == REACH_PX


def test_the_card_reaches_as_far_as_a_pixel_of_ms(network, tmp_path):
    model = load_trained(weights_file(tmp_path / "w.safetensors", stirred(network)), 3, LANCZOS)
    assert model.card.rule == Exact(REACH_PX + LANCZOS.reach_px())
    torch.manual_seed(4)
    ms, pan = torch.rand(1, 3, 24, 24, dtype=torch.float64) * 1500, torch.rand(1, 1, 96, 96, dtype=torch.float64) * 1500
    changed = ms.clone()
    changed[0, :, 12, 12] += 500
    moved = (model.fuse(changed, pan) - model.fuse(ms, pan)).abs().amax((0, 1)) > 1e-9
    rows = np.nonzero(moved.any(1).numpy())[0]
    reach = max(48 - rows.min(), rows.max() - 51)
    assert REACH_PX + 8 < reach <= model.card.rule.reach_px


def test_windows_with_that_halo_are_the_whole(network, scene, tmp_path):
    model = load_trained(weights_file(tmp_path / "w.safetensors", stirred(network)), 3, LANCZOS)
    ms, pan = scene
    whole = model.fuse(ms, pan)
    halo = -(-model.card.rule.reach_px // 4)
    part = model.fuse(ms[..., : 8 + halo, 4:24], pan[..., : 4 * (8 + halo), 16:96])
    assert torch.allclose(part[..., :32, 4 * halo :], whole[..., :32, 16 + 4 * halo :], atol=1e-3, rtol=0)


def test_digital_numbers_scale_with_the_peak(network, scene, tmp_path):
    """The same scene in other units, with weights of that peak, is fused to the same scene."""
    small = load_trained(weights_file(tmp_path / "a.safetensors", stirred(network)), 3, LANCZOS)
    large = load_trained(weights_file(tmp_path / "b.safetensors", network, value_max=4 * VALUE_MAX), 3, LANCZOS)
    ms, pan = scene
    assert torch.allclose(large.fuse(4 * ms, 4 * pan), 4 * small.fuse(ms, pan), rtol=1e-5)
    assert not torch.allclose(large.fuse(ms, pan), small.fuse(ms, pan), rtol=1e-2)


def test_weights_bring_their_upsampler(network, scene, tmp_path):
    path = weights_file(tmp_path / "w.safetensors", network, upsampler="interp23tap")
    model = load_trained(path, 3, LANCZOS)
    ms, pan = scene
    assert isinstance(model.card.rule, Untiled)
    assert torch.equal(model.fuse(ms, pan), sampling_for("interp23tap", 4, 4.0).upsample(ms))


@pytest.mark.parametrize(("bands", "ratio", "what"), [(4, 4, "bands 3, the scene has bands 4"), (3, 2, "ratio 4")])
def test_another_scene_is_refused(network, tmp_path, bands, ratio, what):
    path = weights_file(tmp_path / "w.safetensors", network)
    optics = Optics((0.3,) * bands, 0.15, (1 / bands,) * bands)
    with pytest.raises(DataError, match=what) as caught:
        build(str(path), sampling_for("lanczos", ratio, float(ratio)), optics)
    assert "fusion weights ls" in caught.value.hint


def test_another_architecture_is_refused(network, tmp_path):
    path = weights_file(tmp_path / "w.safetensors", network)
    with pytest.raises(DataError, match="'pnn', not of 'other'"):
        load_trained(path, 3, LANCZOS, arch="other")


def test_its_name_alone_is_not_enough():
    with pytest.raises(UsageError, match="pnn is a network and needs weights") as caught:
        build("pnn", LANCZOS, Optics((0.3,) * 4, 0.15, (0.25,) * 4))
    assert ".safetensors" in caught.value.hint
