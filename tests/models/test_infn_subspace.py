"""INFN on principal components: it starts as a linear method, touches nothing else, and units do not matter."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from fusioncli.config.architectures import InfnOptions
from fusioncli.config.recipe import ModelConfig, StartConfig
from fusioncli.core.tiling import Exact
from fusioncli.errors import DataError
from fusioncli.models.contract import Card
from fusioncli.models.hyperspectral.detail import DetailFusion
from fusioncli.models.hyperspectral.mixture import Mixture
from fusioncli.models.infn.network import Infn
from fusioncli.models.infn.subspace import SubspaceInfn
from fusioncli.models.networks import Network, build_network
from fusioncli.models.start import start_network
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import sampling_for

BANDS, COMPONENTS = 20, 3
OPTIONS = InfnOptions(width=6, blocks=1, hidden=(8,), latent=4, components=COMPONENTS, classes=2)
SAMPLING = sampling_for("lanczos", 4, 4)
CONFIG = ModelConfig(arch="infn", bands=BANDS, guide_bands=2, ratio=4, options=OPTIONS)


@pytest.fixture
def images():
    """Two windows, (N, bands, …): five spectra mixed."""
    torch.manual_seed(1)
    spectra = torch.rand(BANDS, 5) * torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5])
    hsi, hsi_up = (torch.einsum("lk,nkhw->nlhw", spectra, torch.rand(2, 5, side, side)) for side in (6, 24))
    return hsi.double(), hsi_up.double(), torch.rand(2, 2, 24, 24).double()


def linear(scale=1.0, unit=1.0):
    """A method of some weights, for two classes of pixels of a guide in some unit."""
    random = np.random.default_rng(3)
    weights = scale * random.normal(size=(2, BANDS, 2))
    classes = Mixture(np.array([0.0, 0.5]), unit * random.uniform(size=(2, 2)), random.normal(size=(2, 2, 2)) / unit)
    return DetailFusion(Card("hyper-lmmse", Exact(0)), SAMPLING, weights, classes, 0.25)


def network_for(hsi, msi, start=None):
    torch.manual_seed(2)
    network = SubspaceInfn(BANDS, 2, OPTIONS).double()
    torch.nn.init.normal_(cast(nn.Conv2d, network.infn.head[-1]).weight)
    network.adjust(hsi.transpose(0, 1).flatten(1), msi.transpose(0, 1).flatten(1), start or linear())
    return network.eval()


def test_it_is_a_network(images):
    network = build_network(CONFIG)
    assert isinstance(network, SubspaceInfn) and isinstance(network, Network)
    learned = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learned == {f"infn.{name}" for name, _ in network.infn.named_parameters()}
    reach_px = SAMPLING.reach_px(DEFAULT_MS_GAIN)
    assert isinstance(network.rule(16), Exact) and network.rule(16) == Infn(3, 2, OPTIONS).rule(2 * reach_px)


def test_it_starts_as_the_linear_method(images):
    hsi, hsi_up, msi = images
    network, method = network_for(hsi, msi), linear()
    torch.nn.init.zeros_(cast(nn.Conv2d, network.infn.head[-1]).weight)
    torch.testing.assert_close(network(hsi, hsi_up, msi), method.fuse(hsi, msi), rtol=0, atol=1e-12)


def test_components_are_those_of_the_pixels(images):
    """Against numpy's singular values: mean 0, deviation 1, nothing shared."""
    hsi, _, msi = images
    network = network_for(hsi, msi)
    pixels = hsi.transpose(0, 1).flatten(1).numpy()
    centred = pixels - pixels.mean(1, keepdims=True)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = network.directions.numpy()
    np.testing.assert_allclose(np.abs(found.T @ left[:, :COMPONENTS]), np.eye(COMPONENTS), atol=1e-9)
    np.testing.assert_allclose(network.spread, values[:COMPONENTS] / np.sqrt(pixels.shape[1] - 1), rtol=1e-6)
    components = network._components(hsi).transpose(0, 1).flatten(1)
    np.testing.assert_allclose(torch.cov(components), np.eye(COMPONENTS), atol=1e-6)
    np.testing.assert_allclose(components.mean(1), 0, atol=1e-6)


def test_detail_lies_in_the_subspace(images):
    hsi, hsi_up, msi = images
    network = network_for(hsi, msi)
    detail = (network(hsi, hsi_up, msi) - network.start(hsi, msi)).transpose(0, 1).flatten(1).detach().numpy()
    directions = network.directions.numpy()
    assert np.abs(detail).max() > 0.1
    np.testing.assert_allclose(directions @ (directions.T @ detail), detail, atol=1e-9)


def test_the_error_is_that_of_the_components(images):
    hsi, hsi_up, msi = images
    network = network_for(hsi, msi)
    other = hsi_up + torch.randn_like(hsi_up)
    expected = (network._components(other) - network._components(hsi_up)).abs().mean()
    torch.testing.assert_close(network.error(other, hsi_up), expected)


def test_units_do_not_matter(images):
    hsi, hsi_up, msi = images
    plain = network_for(hsi, msi)(hsi, hsi_up, msi)
    scaled = network_for(hsi * 1000, msi * 0.01, linear(1e5, 0.01))(hsi * 1000, hsi_up * 1000, msi * 0.01)
    torch.testing.assert_close(scaled, plain * 1000, rtol=1e-5, atol=1e-3)


def test_a_flat_band_of_the_msi_does_no_harm(images):
    hsi, hsi_up, msi = images
    msi[:, 1] = 7.0
    assert network_for(hsi, msi)(hsi, hsi_up, msi).isfinite().all()


def test_nobody_trains_it_without_components():
    with pytest.raises(DataError, match="10 frozen tensors are in no file"):
        start_network(CONFIG, StartConfig())
