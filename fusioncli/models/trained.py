"""A network with its weights as a model that fuses scenes: digital numbers in, digital numbers out."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import cast

import torch
from torch import Tensor, nn

from fusioncli.config.architectures import PANSHARPENING
from fusioncli.config.identity import Identity
from fusioncli.core.tiling import Blend, Untiled
from fusioncli.errors import DataError
from fusioncli.models.catalogue import FAST, FAST_FOR_CUBES
from fusioncli.models.contract import Card
from fusioncli.models.networks import Network, build_network
from fusioncli.models.weights import Weights, fill, load_weights
from fusioncli.ops.resample import without_margin
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
    def card(self) -> Card:
        """How it may be used; with the toolbox's upsampler a scene is one window."""
        network = cast(Network, self.network)
        rule = Untiled() if self.sampling.literal else network.rule(self.sampling.reach_px())
        known, width = self.identity, network.width
        return Card(
            known.arch,
            rule,
            known.bands,
            known.ratio,
            self.origin,
            width=width,
            guide_bands=known.guide_bands,
            upsampler=upsampler_of(known),
        )

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and guide (N, M, H, W), DN, to (N, B, H, W), DN.

        What the network leaves as it is stays exactly as the upsampler made it; so does the halo of windows that have
        one, which only the upsampler sees.
        """
        rule, ratio, peak_dn = self.card.rule, self.sampling.ratio, self.identity.value_max
        halo_px = rule.halo_px if isinstance(rule, Blend) else 0
        lms = self.sampling.upsample(ms)
        lms_tile = without_margin(lms, halo_px)
        lms_unit, pan_unit = lms_tile / peak_dn, without_margin(pan, halo_px) / peak_dn
        fused_unit = self.on(ms.device, ms.dtype)(without_margin(ms, halo_px // ratio) / peak_dn, lms_unit, pan_unit)
        lms_tile.add_(fused_unit.sub_(lms_unit), alpha=peak_dn)
        return lms

    def on(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """The network on a device, copied there once, whichever thread asks first."""
        with self._lock:
            if (device, dtype) not in self._placed:
                self._placed[device, dtype] = deepcopy(self.network).to(device, dtype)
            return self._placed[device, dtype]


def load_trained(
    path: Path,
    bands: int,
    sampling: Sampling,
    arch: str | None = None,
    base: Path | None = None,
    guide_bands: int = 1,
) -> Trained:
    """The model that a file of weights holds.

    Args:
        path: of the file.
        bands: MS bands of the scene.
        sampling: of the scene; its ratio must be the network's, whose own upsampler is used.
        arch: architecture that the file must be of; None for any.
        base: of an adapter; None to look for it.
        guide_bands: PAN bands of the scene, or those of a cube's sharper image.

    Raises:
        DataError: the file is unusable, or was made for other numbers of bands or another ratio.
    """
    weights = load_weights(path, arch, base)
    check_fits(weights.identity, str(path), (bands, guide_bands), sampling.ratio)
    return trained(weights)


def check_fits(identity: Identity, name: str, bands: tuple[int, int], ratio: int) -> None:
    """Refuse a scene of another kind (DataError).

    Args:
        identity: of weights.
        name: of their file.
        bands: MS bands and PAN bands of the scene.
        ratio: PAN pixels per MS pixel of the scene.
    """
    options, (ms_bands, guide_bands) = identity.model().options, bands
    classical = FAST if guide_bands == 1 and options.inputs == PANSHARPENING else FAST_FOR_CUBES
    known = {"bands": (identity.bands, ms_bands), "PAN bands": (identity.guide_bands, guide_bands)}
    for what, (theirs, ours) in (known | {"ratio": (identity.ratio, ratio)}).items():
        if theirs != ours and not (what == "bands" and options.any_bands):
            raise DataError(
                f"{name} was trained for {what} {theirs}, the scene has {what} {ours}",
                f"choose weights that fit (fusion weights ls), or a classical method such as --method {classical}",
            )


def upsampler_of(identity: Identity) -> str:
    """What makes the `lms` that a network learned with."""
    return identity.upsampler or _DEFAULT_UPSAMPLER


def trained(weights: Weights) -> Trained:
    """Weights as a model (DataError: they do not fit the network that they name)."""
    identity = weights.identity
    network = build_network(identity.model())
    fill(network, weights)
    network.eval().requires_grad_(False)
    sampling = sampling_for(upsampler_of(identity), identity.ratio, identity.ratio)
    origin = f"{weights.path.name} sha256:{weights.sha256[:12]}"
    if identity.kind == "adapter" and identity.base is not None:
        origin += f" on {identity.base.name} sha256:{identity.base.sha256[:12]}"
    return Trained(network, identity, sampling, origin)
