"""Stage 1: what a frozen CNN sees in MS and PAN, condensed to a spectral and a spatial prior (the paper's SSPEN)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.models.panadapter import recompute as again
from fusioncli.models.panadapter.edsr import EdsrBody


class LocalPrior(nn.Sequential):
    """Condense the output of one block: 1x1 convolution, GELU, depth-wise 3x3 convolution (the paper's LPE)."""

    def __init__(self, width: int, tap_width: int) -> None:
        super().__init__(
            nn.Conv2d(width, tap_width, 1),
            nn.GELU(),
            nn.Conv2d(tap_width, tap_width, 3, padding=1, groups=tap_width),
        )


class Branch(nn.Module):
    """What surrounds the CNN for one kind of image: a new head before it, local priors behind its blocks."""

    def __init__(self, channels: int, options: PanAdapterOptions) -> None:
        super().__init__()
        width, taps, tap_width = options.edsr.width, options.taps, options.tap_width
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.local_priors = nn.ModuleList(LocalPrior(width, tap_width) for _ in range(taps))
        self.project = nn.Conv2d(taps * tap_width, options.prior_width, 1)

    def forward(self, image: Tensor, edsr: EdsrBody, recompute: bool) -> Tensor:
        """(N, channels, H, W) to a prior (N, prior_width, H, W)."""
        x = self.head(image).to(self.head.weight.dtype)  # the sum over blocks keeps its precision under autocast
        taps = []
        for blocks, local_prior in zip(_groups(edsr, len(self.local_priors)), self.local_priors, strict=True):
            for block in blocks:
                x = again.call(block, x, recompute=recompute)
            taps.append(local_prior(x))
        return self.project(torch.cat(taps, 1))


class Priors(nn.Module):
    """Both branches around one CNN.

    The paper has a copy of the CNN in either branch. Both are frozen and stay equal, so that one serves.

    Attributes:
        edsr: frozen.
        spectral: sees the MS.
        spatial: sees the upsampled MS and the PAN.
    """

    def __init__(self, ms_channels: int, pan_channels: int, options: PanAdapterOptions) -> None:
        super().__init__()
        self.edsr = EdsrBody(options.edsr)
        self.spectral = Branch(ms_channels, options)
        self.spatial = Branch(pan_channels, options)

    def forward(self, ms: Tensor, stacked: Tensor, recompute: bool = False) -> tuple[Tensor, Tensor]:
        """Extract the priors.

        Args:
            ms: (N, ms_channels, h, w).
            stacked: (N, pan_channels, H, W), the upsampled MS and the PAN.
            recompute: spare memory in training (gradient checkpointing).

        Returns:
            The spectral prior (N, prior_width, h, w) and the spatial one (N, prior_width, H, W).
        """
        return self.spectral(ms, self.edsr, recompute), self.spatial(stacked, self.edsr, recompute)


def _groups(edsr: EdsrBody, taps: int) -> list[tuple[nn.Module, ...]]:
    """The blocks up to each tap."""
    blocks = list(cast(nn.ModuleList, edsr.body))
    step = len(blocks) // taps
    return [tuple(blocks[first : first + step]) for first in range(0, len(blocks), step)]
