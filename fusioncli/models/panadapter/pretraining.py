"""Networks that restore pictures; once trained, their `body.` tensors are PanAdapter's frozen backbones."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from fusioncli.config.architectures import EdsrPretrainingOptions, IptPretrainingOptions
from fusioncli.models.panadapter import recompute as again
from fusioncli.models.panadapter.edsr import EdsrBody, ResBlock
from fusioncli.models.panadapter.ipt import IptBody, as_image, as_tokens
from fusioncli.ops.resample import pad

_HEAD_SIDE_PX = 5  # of the kernels in IPT's heads


class EdsrPretraining(nn.Module):
    """EDSR (Lim et al., CVPR Workshops 2017) between images of one size: no upsampler, added to the image.

    Its tensors are called as in published checkpoints, but for the convolution behind the blocks, `after`. A fresh
    network leaves images as they are.

    Attributes:
        body: the residual blocks.
        gradient_checkpointing: compute blocks once more in the backward pass instead of keeping their results.
    """

    def __init__(self, bands: int, options: EdsrPretrainingOptions) -> None:
        super().__init__()
        width = options.edsr.width
        self.gradient_checkpointing = False
        self.head = nn.Conv2d(bands, width, 3, padding=1)
        self.body = EdsrBody(options.edsr).body
        self.after = nn.Conv2d(width, width, 3, padding=1)
        self.tail = _zeroed(nn.Conv2d(width, bands, 3, padding=1))

    def forward(self, image: Tensor, task: Tensor) -> Tensor:
        """Restore.

        Args:
            image: (N, B, H, W), 0 … 1.
            task: not looked at.

        Returns:
            (N, B, H, W).
        """
        features = x = self.head(image)
        for block in self.body:
            x = again.call(block, x, recompute=self.gradient_checkpointing and self.training)
        return image + self.tail(features + self.after(x))


class IptPretraining(nn.Module):
    """IPT (Chen et al., CVPR 2021) between images of one size: no upsampler, added to the image.

    Tensors below `head.` and `body.` are called as in published checkpoints. A fresh network leaves images as they
    are. Images larger than one window of tokens are restored with interpolated tables.

    Attributes:
        body: the transformer, which all tasks share.
        gradient_checkpointing: compute layers once more in the backward pass instead of keeping their results.
        skips_parameters: heads and tails of tasks that a batch does not have take no gradient.
    """

    skips_parameters = True

    def __init__(self, bands: int, options: IptPretrainingOptions) -> None:
        super().__init__()
        features, tasks = options.ipt.width // options.token_px**2, options.ipt.queries
        self.token_px = options.token_px
        self.gradient_checkpointing = False
        self.head = nn.ModuleList(_head(bands, features) for _ in range(tasks))
        self.body = IptBody(options.ipt)
        self.tail = nn.ModuleList(_zeroed(nn.Conv2d(features, bands, 3, padding=1)) for _ in range(tasks))

    def forward(self, image: Tensor, task: Tensor) -> Tensor:
        """Restore; sides that are no whole number of tokens are mirrored at their far ends, and cut again.

        Args:
            image: (N, B, H, W), 0 … 1.
            task: (N,) int64, all equal.

        Returns:
            (N, B, H, W).
        """
        number, (height, width) = int(task[0]), image.shape[-2:]
        down, across = (math.ceil(size / self.token_px) for size in (height, width))
        below, beside = down * self.token_px - height, across * self.token_px - width
        features = self.head[number](pad(image, (0, below), (0, beside), "symmetric"))
        tokens = as_tokens(pixel_unshuffle(features, self.token_px))
        recompute = self.gradient_checkpointing and self.training
        tokens = self.body(tokens, (down, across), number, recompute)
        seen = pixel_shuffle(as_image(tokens, (down, across)), self.token_px)
        return image + self.tail[number](features + seen)[..., :height, :width]


def _head(bands: int, features: int) -> nn.Sequential:
    first = nn.Conv2d(bands, features, 3, padding=1)
    return nn.Sequential(first, ResBlock(features, _HEAD_SIDE_PX), ResBlock(features, _HEAD_SIDE_PX))


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
