"""Stage 2's small modules: they steer a frozen transformer with the priors, and the priors with the transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.models.panadapter.attention import Attention
from fusioncli.models.panadapter.ipt import Carried


class CrossFusion(nn.Module):
    """One prior learns from the other and from the transformer (the paper's CTF).

    Both terms that are added to the prior start at 0, so that a fresh adapter does not bury it in noise.
    """

    def __init__(self, options: PanAdapterOptions) -> None:
        super().__init__()
        width = options.adapter_width
        self.gate = _perceptron(width, options.gate_width)
        self.norm = _norm(width, options)
        self.attention = Attention(width, options.adapter_heads, bias=True)
        self.perceptron = _perceptron(width, options.ffn_width)
        for layer in (self.attention.out_proj, self.perceptron[2]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, own: Tensor, other: Tensor, seen: Tensor) -> Tensor:
        """Fuse tokens.

        Args:
            own: (N, L, adapter_width) of this prior.
            other: of the other prior.
            seen: of the transformer.

        Returns:
            (N, L, adapter_width).
        """
        gated = own * torch.sigmoid(self.gate(other)) + own
        keys = self.norm(gated)
        attended = self.attention(seen, keys, keys) + gated
        return attended + self.perceptron(attended)


class PlainFusion(nn.Module):
    """What the transformer sees, added to a prior: the ablation without CTF, of which the paper says no more.

    It starts at 0 as well.
    """

    def __init__(self, options: PanAdapterOptions) -> None:
        super().__init__()
        self.project = nn.Linear(options.adapter_width, options.adapter_width)
        for parameter in self.project.parameters():
            nn.init.zeros_(parameter)

    def forward(self, own: Tensor, other: Tensor, seen: Tensor) -> Tensor:
        """As of `CrossFusion`; the other prior is not looked at."""
        return own + self.project(seen)


class Injection(nn.Module):
    """What both priors give back to the transformer (the paper's CTI).

    The paper projects the transformer's own tokens back too; then nothing would leave it as it is. Here a scale of 0
    and a projection without bias make the injection exactly 0.

    Attributes:
        scale: starts at 0.
    """

    def __init__(self, options: PanAdapterOptions) -> None:
        super().__init__()
        width = options.adapter_width
        self.join = nn.Linear(2 * width, width)
        self.attention = Attention(width, options.adapter_heads, bias=True)
        self.scale = nn.Parameter(torch.zeros(1))
        self.up = nn.Linear(width, options.ipt.width, bias=False)

    def forward(self, spectral: Tensor, spatial: Tensor, seen: Tensor) -> Tensor:
        """Tokens (N, L, adapter_width) of both priors and of the transformer to (N, L, width of the transformer)."""
        joined = self.join(torch.cat([spectral, spatial], 2))
        return self.up(self.scale * self.attention(joined, seen, seen))


class Adapter(nn.Module):
    """What stands behind a layer of the transformer.

    Attributes:
        injection: None in the last adapter, behind which nobody reads the transformer's stream, and without CTI.
    """

    def __init__(self, options: PanAdapterOptions, last: bool) -> None:
        super().__init__()
        self.norm = _norm(options.ipt.width, options)
        self.down = nn.Linear(options.ipt.width, options.adapter_width)
        fusion = CrossFusion if options.use_ctf else PlainFusion
        self.spectral, self.spatial = fusion(options), fusion(options)
        self.injection = Injection(options) if options.use_cti and not last else None

    def forward(self, stream: Tensor, carried: Carried) -> tuple[Tensor, Carried]:
        """Adapt.

        Args:
            stream: (N, L, width) of the transformer.
            carried: tokens (N, L, adapter_width) of the spectral and of the spatial prior.

        Returns:
            The same, changed.
        """
        seen = self.down(self.norm(stream))
        spectral, spatial = carried
        spectral, spatial = self.spectral(spectral, spatial, seen), self.spatial(spatial, spectral, seen)
        if self.injection is not None:
            stream = stream + self.injection(spectral, spatial, seen)
        return stream, (spectral, spatial)


def _perceptron(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


def _norm(width: int, options: PanAdapterOptions) -> nn.Module:
    return nn.LayerNorm(width) if options.adapter_norm else nn.Identity()
