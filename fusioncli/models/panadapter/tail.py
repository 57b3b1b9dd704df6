"""Tails: from features of the MS grid and of the PAN grid to detail on the PAN grid.

All of them end in a layer of zeros, so that a fresh network adds nothing to the upsampled MS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, relu

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.models.panadapter import recompute as again


@dataclass(frozen=True)
class Channels:
    """What goes into a tail and comes out.

    Attributes:
        coarse: features of the MS grid.
        fine: features of the PAN grid.
        bands: of the detail.
    """

    coarse: int
    fine: int
    bands: int


def build_tail(channels: Channels, ratio: int, options: PanAdapterOptions) -> SirenTail | ConvTail:
    """The tail that `options.tail` names: `forward(coarse, fine, recompute)` gives (N, bands, H, W)."""
    match options.tail:
        case "ensemble":
            return EnsembleTail(channels, ratio, options)
        case "bilinear":
            return SirenTail(channels, ratio, options)
        case "conv":
            return ConvTail(channels, ratio, options)


class SirenTail(nn.Module):
    """Layers with sine activation, pixel by pixel (Sitzmann et al., NeurIPS 2020), over bilinear MS features.

    The first layer's product with the MS features is formed on the MS grid: it commutes with interpolation, whose
    samples lie at pixel centres and are repeated beyond the border. Every layer starts as SIREN's inner layers do,
    the first too: its inputs are features of unit size, not coordinates.

    Attributes:
        last: starts at zero.
    """

    extra_inputs = 0

    def __init__(self, channels: Channels, ratio: int, options: PanAdapterOptions) -> None:
        super().__init__()
        width, self.ratio, self.frequency = options.tail_width, ratio, options.sine_frequency
        self.coarse = nn.Conv2d(channels.coarse, width, 1)
        self.fine = nn.Conv2d(channels.fine, width, 1, bias=False)
        inner = [nn.Conv2d(width, width, 1) for _ in range(options.tail_layers - 1)]
        self.inner = nn.ModuleList(inner)
        self.last = _zeroed(nn.Conv2d(width, channels.bands, 1))
        inputs = channels.coarse + channels.fine + self.extra_inputs
        self._spread(self.coarse.weight, inputs)
        self._spread(self.fine.weight, inputs)
        for layer in inner:
            self._spread(layer.weight, width)

    def forward(self, coarse: Tensor, fine: Tensor, recompute: bool = False) -> Tensor:
        """Detail.

        Args:
            coarse: (N, channels.coarse, h, w).
            fine: (N, channels.fine, H, W).
            recompute: spare memory in training (gradient checkpointing).

        Returns:
            (N, bands, H, W).
        """
        x = interpolate(self.coarse(coarse), scale_factor=self.ratio, mode="bilinear", align_corners=False)
        return self.last(again.call(self._activate, x + self.fine(fine), recompute=recompute))

    def _activate(self, x: Tensor) -> Tensor:
        """The first layer's sines, then the inner layers."""
        x = torch.sin(self.frequency * x)
        for layer in self.inner:
            x = torch.sin(self.frequency * layer(x))
        return x

    def _spread(self, weight: Tensor, fan_in: int) -> None:
        bound = (6 / fan_in) ** 0.5 / self.frequency
        nn.init.uniform_(weight, -bound, bound)


class EnsembleTail(SirenTail):
    """The same over each of the four nearest MS pixels and its distance, averaged.

    As in LIIF (Chen et al., "Learning Continuous Image Representation", CVPR 2021), with the areas of its rectangles
    as weights: those of bilinear interpolation. Features are repeated beyond the border, so that a constant map gives
    the same at the border as inside. The last layer is linear and therefore applied once, to the mean.
    """

    extra_inputs = 2

    offsets: Tensor
    shares: Tensor

    def __init__(self, channels: Channels, ratio: int, options: PanAdapterOptions) -> None:
        super().__init__(channels, ratio, options)
        self.offset = nn.Conv2d(2, options.tail_width, 1, bias=False)
        self._spread(self.offset.weight, channels.coarse + channels.fine + self.extra_inputs)
        offsets, shares = _neighbours(ratio)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("shares", shares, persistent=False)

    def forward(self, coarse: Tensor, fine: Tensor, recompute: bool = False) -> Tensor:
        """As the bilinear tail."""
        h, w = coarse.shape[-2:]
        repeated = interpolate(pad(self.coarse(coarse), [1] * 4, "replicate"), scale_factor=self.ratio, mode="nearest")
        shared, mean = self.fine(fine), None
        for number, near in enumerate(self._views(repeated, h, w)):
            offset = self.offset(self.offsets[number : number + 1])
            here = again.call(partial(self._one, size=(h, w)), shared, near, offset, recompute=recompute)
            part = self.shares[number].repeat(h, w) * here
            mean = part if mean is None else mean + part
        assert mean is not None
        return self.last(mean)

    def _one(self, shared: Tensor, near: Tensor, offset: Tensor, size: tuple[int, int]) -> Tensor:
        return self._activate(shared + near + offset.repeat(1, 1, *size))

    def _views(self, repeated: Tensor, h: int, w: int) -> Iterator[Tensor]:
        """The MS pixel above left, above right, below left and below right of every PAN pixel."""
        first = (self.ratio + 1) // 2
        for row in (first, first + self.ratio):
            for col in (first, first + self.ratio):
                yield repeated[..., row : row + h * self.ratio, col : col + w * self.ratio]


class ConvTail(nn.Module):
    """MS features repeated, then 3x3 convolutions: the paper's ablation without an implicit representation.

    Attributes:
        last: starts at zero.
    """

    def __init__(self, channels: Channels, ratio: int, options: PanAdapterOptions) -> None:
        super().__init__()
        width, self.ratio = options.tail_width, ratio
        sides = [channels.coarse + channels.fine, *[width] * options.tail_layers]
        self.inner = nn.ModuleList(_convolution(*pair) for pair in pairwise(sides))
        self.last = _zeroed(_convolution(width, channels.bands))

    def forward(self, coarse: Tensor, fine: Tensor, recompute: bool = False) -> Tensor:
        """As the bilinear tail."""
        x = torch.cat([interpolate(coarse, scale_factor=self.ratio, mode="nearest"), fine], 1)
        for layer in self.inner:
            x = relu(again.call(layer, x, recompute=recompute))
        return self.last(x)


def _convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="replicate")


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _neighbours(ratio: int) -> tuple[Tensor, Tensor]:
    """The four nearest MS pixels of the PAN pixels of one MS pixel, row by row.

    Returns:
        Offsets (4, 2, ratio, ratio) of a PAN pixel from each, rows and columns, in MS px; and shares
        (4, ratio, ratio) of each, which sum to 1.
    """
    position = (torch.arange(ratio) + 0.5) / ratio - 0.5
    after = position - position.floor()
    along = torch.stack([after, after - 1])  # from the pixel before, from the pixel behind
    rows = along[:, None, :, None].expand(2, 2, ratio, ratio)
    cols = along[None, :, None, :].expand(2, 2, ratio, ratio)
    return torch.stack([rows, cols], 2).flatten(0, 1), ((1 - rows.abs()) * (1 - cols.abs())).flatten(0, 1)
