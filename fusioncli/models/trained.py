"""A network with its weights as a model that fuses scenes: digital numbers in, digital numbers out."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import cast

import torch
from torch import Tensor, nn

from fusioncli.config.identity import Identity
from fusioncli.core.tiling import Untiled
from fusioncli.errors import DataError
from fusioncli.models.contract import Card
from fusioncli.models.networks import Network, build_network
from fusioncli.models.weights import Weights, fill, load_weights
from fusioncli.ops.sampling import Sampling, sampling_for

_DEFAULT_UPSAMPLER = "lanczos"


@dataclass(frozen=True)
class Trained:
    """A network, what its weights say of themselves, and the upsampler that it learned with.

    Attributes:
        network: on the CPU, float32, frozen.
        identity: bands, ratio, value_max and more.
        sampling: makes `lms`.
        origin: digest of the weights.
    """

    network: nn.Module
    identity: Identity
    sampling: Sampling
    origin: str
    _placed: dict[tuple[torch.device, torch.dtype], nn.Module] = field(default_factory=dict, compare=False, repr=False)
    _lock: Lock = field(default_factory=Lock, compare=False, repr=False)

    @property
    def upsampler(self) -> str:
        """What makes `lms`."""
        return self.identity.upsampler or _DEFAULT_UPSAMPLER

    @property
    def card(self) -> Card:
        """How it may be used; with the toolbox's upsampler a scene is one window."""
        network = cast(Network, self.network)
        rule = Untiled() if self.sampling.literal else network.rule(self.sampling.reach_px())
        identity = self.identity
        return Card(identity.arch, rule, identity.bands, identity.ratio, self.origin, width=network.width)

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and pan (N, 1, H, W), DN, to (N, B, H, W), DN.

        What the network leaves as it is stays exactly as the upsampler made it.
        """
        peak_dn = self.identity.value_max
        lms = self.sampling.upsample(ms)
        lms_unit = lms / peak_dn
        fused_unit = self._on(ms.device, ms.dtype)(ms / peak_dn, lms_unit, pan / peak_dn)
        return lms.add_(fused_unit.sub_(lms_unit), alpha=peak_dn)

    def _on(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """The network on a device, copied there once, whichever thread asks first."""
        with self._lock:
            if (device, dtype) not in self._placed:
                self._placed[device, dtype] = deepcopy(self.network).to(device, dtype)
            return self._placed[device, dtype]


def load_trained(path: Path, bands: int, sampling: Sampling, arch: str | None = None) -> Trained:
    """The model that a file of weights holds.

    Args:
        path: of the file.
        bands: MS bands of the scene.
        sampling: of the scene; its ratio must be the network's, whose own upsampler is used.
        arch: architecture that the file must be of; None for any.

    Raises:
        DataError: the file is unusable, or was made for another number of bands or another ratio.
    """
    weights = load_weights(path, arch)
    identity = weights.identity
    for what, theirs, ours in (("bands", identity.bands, bands), ("ratio", identity.ratio, sampling.ratio)):
        if theirs != ours:
            raise DataError(
                f"{path} was trained for {what} {theirs}, the scene has {what} {ours}",
                "choose weights that fit (fusion weights ls), or a classical method such as --method mtf-glp-fs",
            )
    return trained(weights)


def trained(weights: Weights) -> Trained:
    """Weights as a model (DataError: they do not fit the network that they name)."""
    identity = weights.identity
    network = build_network(identity.model())
    fill(network, weights)
    network.eval().requires_grad_(False)
    sampling = sampling_for(identity.upsampler or _DEFAULT_UPSAMPLER, identity.ratio, identity.ratio)
    return Trained(network, identity, sampling, f"{weights.path.name} sha256:{weights.sha256[:12]}")
