"""Networks: what training and fusion ask of them, and the one place that knows every class."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from fusioncli.config.architectures import (
    EdsrPretrainingOptions,
    InfnOptions,
    IptPretrainingOptions,
    PanAdapterOptions,
    PnnOptions,
    RefinerOptions,
)
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Rule
from fusioncli.models.infn.network import Infn
from fusioncli.models.infn.subspace import SubspaceInfn
from fusioncli.models.panadapter.network import PanAdapter
from fusioncli.models.panadapter.pretraining import EdsrPretraining, IptPretraining
from fusioncli.models.pnn.network import Pnn
from fusioncli.models.refiner.network import Refiner


@runtime_checkable
class Network(Protocol):
    """A module that fuses values in units of `value_max`.

    Attributes:
        width: bands of the image that a classical method fuses in as much memory.
    """

    width: int

    def forward(self, ms: Tensor, lms: Tensor, pan: Tensor) -> Tensor:
        """Fuse ms (N, B, h, w), lms (N, B, H, W) and pan (N, 1, H, W) to (N, B, H, W)."""
        ...

    def rule(self, lms_reach_px: int) -> Rule:
        """How a scene may be cut, when the upsampler that makes `lms` looks so far."""
        ...


def build_network(config: ModelConfig) -> nn.Module:
    """The network that a recipe or an identity describes, with fresh weights of torch's global generator.

    Returns:
        A module that is a `Network` too, but for those that restore one image.
    """
    match config.options:
        case PnnOptions() as options:
            return Pnn(config.bands, options)
        case RefinerOptions() as options:
            return Refiner(config.ratio, options)
        case InfnOptions() as options if options.components:
            return SubspaceInfn(config.bands, config.guide_bands, options, config.ratio)
        case InfnOptions() as options:
            return Infn(config.bands, config.guide_bands, options, config.ratio)
        case PanAdapterOptions() as options:
            return PanAdapter(config.bands, config.ratio, options)
        case EdsrPretrainingOptions() as options:
            return EdsrPretraining(config.bands, options)
        case IptPretrainingOptions() as options:
            return IptPretraining(config.bands, options)
        case _:
            raise NotImplementedError(config.arch)
