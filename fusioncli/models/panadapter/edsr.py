"""The body of EDSR: residual blocks whose outputs serve as local priors (Lim et al., CVPR Workshops 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from fusioncli.config.architectures import EdsrSize
from fusioncli.models.panadapter import recompute as again


class ResBlock(nn.Module):
    """x + conv(ReLU(conv(x))), zero padding, no change of size; also the block of IPT's heads, with 5x5 kernels.

    Attributes:
        body: the two convolutions are its items 0 and 2, as in published checkpoints.
    """

    def __init__(self, width: int, side_px: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, side_px, padding="same"),
            nn.ReLU(),
            nn.Conv2d(width, width, side_px, padding="same"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same."""
        return x + self.body(x)


class EdsrBody(nn.Module):
    """Residual blocks without the head, the last convolution and the upsampler of the published network.

    Its tensors are called `body.{i}.body.{0,2}.{weight,bias}`, exactly as in `edsr_baseline_x2`, whose `body.16`,
    head, tail and mean shifts have no counterpart here.

    Attributes:
        body: the blocks.
    """

    def __init__(self, size: EdsrSize) -> None:
        super().__init__()
        self.body = nn.ModuleList(ResBlock(size.width) for _ in range(size.blocks))

    def forward(self, x: Tensor, recompute: bool = False) -> tuple[Tensor, ...]:
        """The output of every block.

        Args:
            x: (N, width, H, W).
            recompute: spare memory in training (gradient checkpointing).

        Returns:
            As many (N, width, H, W) as there are blocks; the last one is the body's.
        """
        outputs = []
        for block in self.body:
            x = again.call(block, x, recompute=recompute)
            outputs.append(x)
        return tuple(outputs)
