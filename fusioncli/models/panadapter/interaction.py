"""Stage 2: a frozen transformer sees MS and PAN, and exchanges what it sees with the priors (the paper's MFIN)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, unfold

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.models.panadapter.adapters import Adapter
from fusioncli.models.panadapter.edsr import ResBlock
from fusioncli.models.panadapter.ipt import IptBody

_PATCH_PX = 3  # side of IPT's own tokens
_HEAD_SIDE_PX = 5  # of the kernels in its heads
_HEAD_PEAK = 255.0  # value that its heads were trained to take for white


class PatchEmbedding(nn.Conv2d):
    """One token per MS pixel: a convolution whose kernel is its patch of PAN pixels."""

    def __init__(self, channels: int, ratio: int, width: int) -> None:
        super().__init__(channels, width, ratio, ratio)


class IptHead(nn.Module):
    """One token per MS pixel: a new convolution, the frozen blocks of IPT's head, and IPT's own 3x3 patches.

    The features are resized so that a patch covers an MS pixel.

    Attributes:
        blocks: items 1 and 2 are called as below `head.{i}.` in published checkpoints.
    """

    def __init__(self, channels: int, ratio: int, width: int) -> None:
        super().__init__()
        features = width // _PATCH_PX**2
        self.ratio = ratio
        self.entry = nn.Conv2d(channels, features, 3, padding=1)
        self.blocks = nn.ModuleDict({name: ResBlock(features, _HEAD_SIDE_PX) for name in ("1", "2")})

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, width, h, w)."""
        h, w = (size // self.ratio for size in x.shape[-2:])
        features = self.entry(_HEAD_PEAK * x)
        for block in self.blocks.values():
            features = block(features)
        if self.ratio != _PATCH_PX:
            sizes = (_PATCH_PX * h, _PATCH_PX * w)
            features = interpolate(features, sizes, mode="bilinear", align_corners=False, antialias=True)
        return unfold(features, _PATCH_PX, stride=_PATCH_PX).unflatten(2, (h, w))


@dataclass(frozen=True)
class Windows:
    """How an image of tokens is cut into windows whose tokens attend to each other.

    Attributes:
        grid: (h, w) of the image, multiples of the window's.
        window: rows and columns of a window.
    """

    grid: tuple[int, int]
    window: tuple[int, int]

    def cut(self, image: Tensor) -> Tensor:
        """(N, width, h, w) to tokens (N · windows, rows · columns, width)."""
        x = image.unflatten(3, (-1, self.window[1])).unflatten(2, (-1, self.window[0]))
        return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)

    def join(self, tokens: Tensor) -> Tensor:
        """What `cut` has cut."""
        down, across = self.grid[0] // self.window[0], self.grid[1] // self.window[1]
        x = tokens.unflatten(1, self.window).unflatten(0, (-1, down, across))
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class Interaction(nn.Module):
    """Transformer, adapters, and the ways between images and tokens.

    Attributes:
        fine_channels: of the second result.
    """

    def __init__(self, channels: int, ratio: int, options: PanAdapterOptions) -> None:
        super().__init__()
        self.options, self.ratio = options, ratio
        width, prior = options.adapter_width, options.prior_width
        embedding = PatchEmbedding if options.embedding == "conv" else IptHead
        self.embedding = embedding(channels, ratio, options.ipt.width)
        self.spectral_down = nn.Conv2d(prior, width, 1)
        self.spatial_down = nn.Conv2d(prior, width, ratio, ratio)
        self.vit = IptBody(options.ipt)
        layers = options.adapted_layers
        self.adapters = nn.ModuleList(Adapter(options, last=layer == layers[-1]) for layer in layers)
        self.fine_channels = math.ceil(width / ratio**2)
        self.spatial_up: nn.Module = nn.Conv2d(width, self.fine_channels * ratio**2, 1)
        if width % ratio**2 == 0:
            self.spatial_up = nn.Identity()
            _align(self.spatial_down, ratio)

    @property
    def frozen(self) -> tuple[nn.Module, ...]:
        """Modules that keep the weights they were given."""
        return (self.vit, self.embedding.blocks) if isinstance(self.embedding, IptHead) else (self.vit,)

    def forward(
        self, spectral: Tensor, spatial: Tensor, stacked: Tensor, recompute: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Let the priors and the transformer interact.

        Args:
            spectral: prior (N, prior_width, h, w); h and w are multiples of the window unless the context is global.
            spatial: prior (N, prior_width, H, W).
            stacked: (N, channels, H, W), the upsampled MS and the PAN.
            recompute: spare memory in training (gradient checkpointing).

        Returns:
            Features (N, adapter_width, h, w) of the MS grid and (N, fine_channels, H, W) of the PAN grid.
        """
        h, w = spectral.shape[-2:]
        side = self.options.ipt.side
        windows = Windows((h, w), (h, w) if self.options.context == "global" else (side, side))
        tokens = windows.cut(self.embedding(stacked))
        carried = windows.cut(self.spectral_down(spectral)), windows.cut(self.spatial_down(spatial))
        tables = self.vit.tables(windows.window, self.options.query)
        _, carried = self.vit.adapted(tokens, tables, self._by_layer(), carried, recompute)
        coarse, fine = map(windows.join, carried)
        return coarse, pixel_shuffle(self.spatial_up(fine), self.ratio)

    def _by_layer(self) -> list[nn.Module | None]:
        """The adapter behind each layer, or None, up to the last."""
        layers = self.options.adapted_layers
        adapters = dict(zip(layers, self.adapters, strict=True))
        return [adapters.get(layer) for layer in range(1, layers[-1] + 1)]


def _align(down: nn.Conv2d, ratio: int) -> None:
    """Start a convolution of patches so that its folded result is one 1x1 convolution of every pixel.

    Of a random start every pixel gets a mixture of its whole patch, from which detail is slow to return.
    """
    assert down.bias is not None
    nn.init.zeros_(down.bias)
    nn.init.zeros_(down.weight)
    bound = (3 / down.in_channels) ** 0.5
    pixel = torch.empty(down.out_channels // ratio**2, down.in_channels).uniform_(-bound, bound)
    with torch.no_grad():
        for row in range(ratio):
            for col in range(ratio):
                down.weight[row * ratio + col :: ratio**2, :, row, col] = pixel
