"""PanAdapter without some of its parts: what takes their place, and that the rest still learns."""

import pytest
import torch

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.models.panadapter.network import PanAdapter
from fusioncli.models.panadapter.presets import TINY


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(3)


def shaken(**settings):
    """A tiny network, every trained parameter moved away from its special start."""
    network = PanAdapter(3, 4, PanAdapterOptions(**{**TINY, **settings}))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def tokens_of(body):
    """Tokens, tables and priors for one window."""
    carried = torch.randn(2, 16, 16), torch.randn(2, 16, 16)
    return torch.randn(2, 16, 36), body.vit.tables((4, 4), 1), list(body.adapters), carried


@pytest.mark.parametrize("use_ctf", [True, False])
def test_without_cti_the_transformer_is_the_plain_one(use_ctf):
    for use_cti in (True, False):
        body = shaken(use_cti=use_cti, use_ctf=use_ctf).interaction
        tokens, *rest = tokens_of(body)
        stream, _ = body.vit.adapted(tokens, *rest)
        plain = body.vit(tokens, (4, 4), 1)
        assert torch.equal(stream + body.vit.mlp_head(stream), plain) == (not use_cti)
        assert any("injection" in name for name, _ in body.named_parameters()) == use_cti


def test_without_ctf_priors_learn_from_the_transformer_alone():
    adapter = shaken(use_ctf=False).interaction.adapters[0]
    stream, own, other = torch.randn(2, 16, 36), torch.randn(2, 16, 16), torch.randn(2, 16, 16)
    _, (spectral, spatial) = adapter(stream, (own, other))
    seen = adapter.down(stream)
    assert torch.allclose(spectral, own + adapter.spectral.project(seen), atol=1e-6)
    assert torch.allclose(spatial, other + adapter.spatial.project(seen), atol=1e-6)
    assert not torch.allclose(spectral, own, atol=1e-2)
    fresh = PanAdapter(3, 4, PanAdapterOptions(**TINY, use_ctf=False)).interaction.adapters[0]
    _, carried = fresh(stream, (own, other))
    assert torch.equal(carried[0], own) and torch.equal(carried[1], other)


@pytest.mark.parametrize("settings", [{"use_ctf": False}, {"use_cti": False}, {"use_ctf": False, "use_cti": False}])
def test_all_that_is_left_learns(settings):
    network = shaken(**settings)
    images = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16)
    network(*images).square().mean().backward()
    lost = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert lost == []
