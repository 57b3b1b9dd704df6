"""Feature extractors: the body of EDSR, for the HSI on its own grid and for the MSI on the fine one."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fusioncli.models.residual import ResidualBlock


class Encoder(nn.Module):
    """EDSR-baseline without upsampling, mean shift and norm (Lim et al., CVPR workshops, 2017).

    Attributes:
        reach_px: how far an output looks.
    """

    def __init__(self, bands: int, width: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(bands, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.tail = nn.Conv2d(width, width, 3, padding=1)
        self.reach_px = 2 * blocks + 2

    def forward(self, image: Tensor, thrifty: bool = False) -> Tensor:
        """Features of an image.

        Args:
            image: (N, bands, h, w).
            thrifty: compute the blocks once more in the backward pass instead of keeping their results.

        Returns:
            (N, width, h, w).
        """
        first = self.head(image)
        deep = first
        for block in self.blocks:
            deep = cast(Tensor, checkpoint(block, deep, use_reentrant=False)) if thrifty else block(deep)
        return first + self.tail(deep)
