"""Windows with a halo and whole images: the network sees a tile, the upsampler what is around it."""

import pytest
import torch

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Blend
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import fuse_image
from fusioncli.models.networks import build_network
from fusioncli.models.panadapter.presets import TINY
from fusioncli.models.registry import build
from fusioncli.models.trained import Trained
from fusioncli.ops.sampling import sampling_for

PEAK_DN = 1023.0
LANCZOS = sampling_for("lanczos", 4, 4.0)


@pytest.fixture
def model():
    """A tiny PanAdapter that changes `lms`; tiles of 16 px."""
    torch.manual_seed(4)
    config = ModelConfig(arch="panadapter", bands=3, ratio=4, options=PanAdapterOptions(**TINY))
    network = build_network(config).eval().requires_grad_(False)
    network.tail2.last.weight.normal_(std=0.1)
    return Trained(network, Identity.of_model(config, value_max=PEAK_DN), LANCZOS, "")


def scene(cells):
    ms, pan = torch.rand(2, 3, *cells), torch.rand(2, 1, *(4 * count for count in cells))
    return ms * PEAK_DN, pan * PEAK_DN


def direct(model, ms, lms, pan):
    return model.network(ms / PEAK_DN, lms / PEAK_DN, pan / PEAK_DN) * PEAK_DN


def test_a_window_is_a_tile_in_its_surroundings(model):
    assert model.card.rule == Blend(16, 8, 16)
    ms, pan = scene((12, 12))
    lms, fused = LANCZOS.upsample(ms), model.fuse(ms, pan)
    middle = (..., slice(16, 32), slice(16, 32))
    expected = lms.clone()
    expected[middle] = direct(model, ms[..., 4:8, 4:8], lms[middle], pan[middle])
    assert torch.allclose(fused, expected, atol=1e-3)
    assert (fused - lms)[middle].abs().max() > 1
    assert torch.equal(fused[..., :16, :], lms[..., :16, :])


@pytest.mark.parametrize("cells", [(4, 4), (3, 4), (12, 12)])
def test_an_image_is_mirrored_around(model, cells):
    ms, pan = scene(cells)
    fused = fuse_image(model, ms, pan)
    assert fused.shape == (2, 3, 4 * cells[0], 4 * cells[1])
    assert torch.allclose(fused, direct(model, ms, LANCZOS.upsample(ms), pan), atol=1e-3)


def test_other_models_take_images_as_they_are():
    ms, pan = scene((5, 6))
    model = build("exp", LANCZOS, Optics((0.3,) * 3, 0.15, (1 / 3,) * 3))
    assert torch.equal(fuse_image(model, ms, pan), model.fuse(ms, pan))
