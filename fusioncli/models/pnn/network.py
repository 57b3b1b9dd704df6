"""PNN: a few convolutions from the upsampled MS and the PAN to the missing detail."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from fusioncli.config.architectures import PnnOptions
from fusioncli.core.tiling import Exact


class Pnn(nn.Module):
    """Convolutions with ReLU between, after Masi et al., Remote Sens. 8(7), 2016; residual as in Scarpa et al., 2018.

    A baseline: no published weights fit it, and no published figure was made by it. The input is mirrored once by
    the reach of all layers, so that layers need no padding and the result has the size of the PAN.

    Attributes:
        reach_px: how far, in PAN px, the output looks around a pixel of `lms` and `pan`.
        width: bands of the image that a classical method fuses in as much memory: it holds four copies, this network
            what goes into and comes out of its widest layer.
        gradient_checkpointing: compute the layers once more in the backward pass instead of keeping their results.
    """

    def __init__(self, bands: int, options: PnnOptions) -> None:
        super().__init__()
        channels = [bands + 1, *options.widths, bands]
        sides = options.kernels_px
        self.layers = nn.ModuleList(
            nn.Conv2d(*pair, side) for pair, side in zip(pairwise(channels), sides, strict=True)
        )
        self.residual = options.residual
        self.reach_px = sum(side // 2 for side in sides)
        self.width = -(-max(a + b for a, b in pairwise(channels)) // 4)
        self.gradient_checkpointing = False
        if self.residual:
            last = self.layers[-1]
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, ms: Tensor, lms: Tensor, pan: Tensor) -> Tensor:
        """Fuse values in units of `value_max`: the result is `lms` itself until training has moved the last layer.

        Args:
            ms: (N, B, h, w); not looked at.
            lms: (N, B, H, W), MS on the PAN grid.
            pan: (N, 1, H, W); H and W are larger than `reach_px`.

        Returns:
            (N, B, H, W).
        """
        detail = pad(torch.cat([lms, pan], 1), [self.reach_px] * 4, "reflect")
        for number in range(len(self.layers)):
            if self.gradient_checkpointing and self.training:
                detail = checkpoint(self._layer, detail, number, use_reentrant=False)
            else:
                detail = self._layer(detail, number)
        return lms + detail if self.residual else detail

    def rule(self, lms_reach_px: int) -> Exact:
        """Exact: convolutions only."""
        return Exact(self.reach_px + lms_reach_px)

    def _layer(self, x: Tensor, number: int) -> Tensor:
        x = self.layers[number](x)
        return x if number == len(self.layers) - 1 else x.relu_()
