"""INFN: sizes, the definition, equivariance, tiles, precision, and that it learns."""

import math
from fractions import Fraction

import naive_infn
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fusioncli.config.architectures import InfnOptions
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Exact
from fusioncli.models.catalogue import find_method
from fusioncli.models.infn import network as infn_network
from fusioncli.models.infn.network import Infn
from fusioncli.models.infn.positions import Placement
from fusioncli.models.networks import Network, build_network

SMALL = {"width": 8, "blocks": 1, "hidden": (16, 12), "latent": 6}


def small(bands=5, guide_bands=3, ratio=4, **options):
    """A little network as if trained: no weight is 0, and the detail is about as large as the image."""
    torch.manual_seed(1)
    network = Infn(bands, guide_bands, InfnOptions(**SMALL | options), ratio).double()
    torch.nn.init.normal_(network.head[-1].weight)
    return network.eval().requires_grad_(False)


def images(cells, pixels, bands=5, guide_bands=3, dtype=torch.float64):
    torch.manual_seed(2)
    sizes = (bands, *cells), (bands, *pixels), (guide_bands, *pixels)
    return [torch.rand(2, *size, dtype=dtype) for size in sizes]


@pytest.mark.parametrize(("width", "count"), [(64, 823_232), (128, 2_901_760)])
def test_parameters(width, count):
    network = Infn(31, 3, InfnOptions(width=width))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_multiplications_of_one_training_patch():
    """64 x 64 from x4, by torch's own counter: 6.8 G at width 128, as the fast form promises (8.3 G without it)."""
    network = Infn(31, 3, InfnOptions(width=128)).to("meta")
    sizes = (1, 31, 16, 16), (1, 31, 64, 64), (1, 3, 64, 64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*(torch.empty(size, device="meta") for size in sizes))
    assert counter.get_total_flops() / 2e9 == pytest.approx(6.80, abs=0.05)


def test_it_is_a_network():
    config = ModelConfig(arch="infn", bands=6, guide_bands=4, ratio=3, options=InfnOptions(**SMALL))
    network = build_network(config)
    assert isinstance(network, Network) and isinstance(network, Infn)
    assert network.spatial.head.in_channels == 6 + 4 and network.ratio == 3
    assert config.options.inputs == ("hsi", "hsi_up", "msi")
    assert "hsi-fuse" in find_method("infn").title


def test_untrained_it_is_the_upsampled_hsi():
    torch.manual_seed(3)
    network = Infn(5, 3, InfnOptions(**SMALL))
    hsi, hsi_up, msi = images((4, 5), (16, 20), dtype=torch.float32)
    assert torch.equal(network(hsi, hsi_up, msi), hsi_up)
    torch.nn.init.normal_(network.head[-1].weight)
    assert not torch.equal(network(hsi, hsi_up, msi), hsi_up)
    torch.nn.init.zeros_(network.head[0].weight)
    assert torch.equal(network(hsi, hsi_up, msi), hsi_up)


@pytest.mark.parametrize("ratio", [2, 3, 4, 8, Fraction(5, 2), Fraction(8, 3)])
@pytest.mark.parametrize("similarity", ["latent", "guide"])
def test_fast_is_the_definition(ratio, similarity):
    cells = (6, 9)
    inputs = images(cells, tuple(int(n * ratio) for n in cells))
    ratios = [Fraction(p, n) for p, n in zip(inputs[2].shape[-2:], cells, strict=True)]
    network = small(similarity=similarity, temperature=0.3)
    fused = network(*inputs)
    expected = naive_infn.infn(network, inputs, ratios)
    assert (fused - expected).abs().max() < 1e-12
    assert (fused - inputs[1]).abs().max() > 0.1


@pytest.mark.parametrize("options", [{"area_weighted": True}, {"phase_cells": -0.125}, {"phase_cells": 0.75}])
@pytest.mark.parametrize("ratio", [4, Fraction(8, 3)])
def test_variants_are_their_definition(options, ratio):
    inputs = images((6, 6), (int(6 * ratio),) * 2)
    network = small(**options)
    expected = naive_infn.infn(network, inputs, (ratio, ratio), options.get("phase_cells", 0))
    assert (network(*inputs) - expected).abs().max() < 1e-12


@pytest.mark.parametrize("pixels", [(26, 23), (3, 40), (19, 7), (5, 4)])
def test_sizes_need_not_be_multiples(pixels):
    """The grids cover the same rectangle, each axis at its own ratio, also below 1."""
    inputs = images((5, 6), pixels)
    ratios = Fraction(pixels[0], 5), Fraction(pixels[1], 6)
    network = small()
    assert (network(*inputs) - naive_infn.infn(network, inputs, ratios)).abs().max() < 1e-12


def test_grids_placed_by_hand():
    """MSI rows reach one and a half cells beyond the HSI at either end, columns are shifted by half a cell."""
    inputs = images((5, 6), (24, 21))
    placement = Placement(1 / 3, (0.5 - 4.5) / 3 - 0.5, 0.3, 0.15)
    rows = [Fraction(i - 4, 3) - Fraction(1, 2) for i in range(24)]
    cols = [Fraction(3, 10) * i + Fraction(15, 100) for i in range(21)]
    network = small()
    guide = network.spatial(torch.cat(inputs[:0:-1], 1))
    latent = torch.cat([naive_infn.pooled(guide, rows, cols, (5, 6)), network.spectral(inputs[0])], 1)
    expected = inputs[1] + network.head(naive_infn.query(network, latent, guide, rows, cols)[0])
    assert (network(*inputs, placement) - expected).abs().max() < 1e-12


def test_strips_change_nothing(monkeypatch):
    for ratio in (3, Fraction(5, 2)):
        inputs = images((6, 8), (int(6 * ratio), int(8 * ratio)))
        whole = small()(*inputs)
        monkeypatch.setattr(infn_network, "_STRIP_PX", 2 * 4 * inputs[2].shape[-1])
        assert (small()(*inputs) - whole).abs().max() < 1e-12
        monkeypatch.undo()


@pytest.mark.parametrize("ratio", [3, 4])
def test_a_shifted_scene_is_fused_to_the_shifted_result(ratio):
    inputs = images((20, 20), (20 * ratio,) * 2)
    network = small(ratio=ratio)
    fused = network(*inputs)
    moved = network(inputs[0][..., 1:, 1:], *(x[..., ratio:, ratio:] for x in inputs[1:]))
    inner = slice(7 * ratio, -7 * ratio)  # one block reaches 4 cells, plus 2
    assert (moved[..., inner, inner] - fused[..., ratio:, ratio:][..., inner, inner]).abs().max() < 1e-12


def tile_error(network, halo_cells):
    """Largest difference between two by two cells fused with a halo alone, and in the middle of a scene."""
    ratio, size = network.ratio, 2 * halo_cells + 12
    inputs = [x[:1] for x in images((size, size), (size * ratio,) * 2)]
    read, core = (slice(5, 7 + 2 * halo_cells), slice(halo_cells, halo_cells + 2))
    at = [slice(part.start * ratio, part.stop * ratio) for part in (read, core)]
    tile = network(inputs[0][..., read, read], *(x[..., at[0], at[0]] for x in inputs[1:]))[..., at[1], at[1]]
    return (tile - network(*inputs)[..., at[0], at[0]][..., at[1], at[1]]).abs().max().item()


@pytest.mark.parametrize("ratio", [2, 3, 4, 8])
@pytest.mark.parametrize("phase_cells", [0.0, -0.4, 0.6])
def test_tiles_with_the_rules_halo_are_the_whole(ratio, phase_cells):
    network = small(ratio=ratio, phase_cells=phase_cells)
    assert tile_error(network, math.ceil(network.rule(0).reach_px / ratio)) < 1e-12


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_with_a_cell_less_they_are_not(ratio):
    network = small(ratio=ratio)
    assert tile_error(network, network.rule(0).reach_px // ratio - 1) > 1e-9


def test_tile_is_whole_in_float32_at_full_depth():
    network = small(blocks=4).float()
    inputs = [x[:1] for x in images((32, 32), (128, 128), dtype=torch.float32)]
    tile = network(inputs[0][..., :20, 12:], *(x[..., :80, 48:] for x in inputs[1:]))
    assert network.rule(0) == Exact(48)
    assert (tile[..., :32, 48:] - network(*inputs)[..., :32, 96:]).abs().max() < 1e-5


def test_the_rule_knows_the_upsampler():
    assert Infn(5, 3, InfnOptions()).rule(12) == Exact(48)
    assert Infn(5, 3, InfnOptions()).rule(40) == Exact(3 + 6 + 10 + 40)


@pytest.mark.parametrize(("bands", "guide_bands"), [(4, 1), (31, 3), (102, 4), (224, 10)])
def test_any_bands(bands, guide_bands):
    inputs = images((4, 4), (10, 12), bands, guide_bands)
    network = small(bands, guide_bands)
    fused = network(*inputs)
    assert fused.shape == (2, bands, 10, 12) and fused.isfinite().all() and not torch.equal(fused, inputs[1])
