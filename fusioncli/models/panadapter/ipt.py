"""The body of IPT, a transformer over image tokens (Chen et al., "Pre-Trained Image Processing Transformer", 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from fusioncli.config.architectures import IptSize
from fusioncli.models.panadapter import recompute as again
from fusioncli.models.panadapter.attention import Attention

Carried = tuple[Tensor, ...]
"""Tensors that adapters hand from one to the next."""

Adapt = Callable[[Tensor, Carried], tuple[Tensor, Carried]]
"""What may stand behind a layer: it changes the stream (N, L, width) of tokens and what is carried along."""

_TABLE_SPREAD = 0.02  # of fresh position and query tables


class EncoderLayer(nn.Module):
    """Self-attention, then a two-layer perceptron, each added to the stream and normalised before."""

    def __init__(self, size: IptSize) -> None:
        super().__init__()
        self.self_attn = Attention(size.width, size.heads, bias=False)
        self.linear1 = nn.Linear(size.width, size.hidden)
        self.linear2 = nn.Linear(size.hidden, size.width)
        self.norm1 = nn.LayerNorm(size.width)
        self.norm2 = nn.LayerNorm(size.width)

    def forward(self, stream: Tensor) -> Tensor:
        """(N, L, width) to the same."""
        y = self.norm1(stream)
        stream = stream + self.self_attn(y, y, y)
        return stream + self.linear2(relu(self.linear1(self.norm2(stream))))


class DecoderLayer(nn.Module):
    """Attention to itself and to the encoder's result, and a perceptron; the task's query joins q, and the first k."""

    def __init__(self, size: IptSize) -> None:
        super().__init__()
        self.self_attn = Attention(size.width, size.heads, bias=False)
        self.multihead_attn = Attention(size.width, size.heads, bias=False)
        self.linear1 = nn.Linear(size.width, size.hidden)
        self.linear2 = nn.Linear(size.hidden, size.width)
        self.norm1 = nn.LayerNorm(size.width)
        self.norm2 = nn.LayerNorm(size.width)
        self.norm3 = nn.LayerNorm(size.width)

    def forward(self, stream: Tensor, memory: Tensor, query: Tensor) -> Tensor:
        """Stream and memory (N, L, width), query (L, width) or (N, L, width), to (N, L, width)."""
        y = self.norm1(stream)
        stream = stream + self.self_attn(y + query, y + query, y)
        stream = stream + self.multihead_attn(self.norm2(stream) + query, memory, memory)
        return stream + self.linear2(relu(self.linear1(self.norm3(stream))))


class Layers(nn.Module):
    """Layers under the name that published checkpoints give them, `layers.{i}`."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)


class IptBody(nn.Module):
    """IPT without heads and tails; its tensors are called as those below `body.` in published checkpoints.

    Pre-norm, no bias in attention, no dropout. The position table is added once, to the encoder's input
    (`pos_every=False` of the published code, which its weights were trained with).

    Attributes:
        size: widths and numbers of layers.
    """

    def __init__(self, size: IptSize) -> None:
        super().__init__()
        self.size = size
        width, tokens = size.width, size.side**2
        self.linear_encoding = nn.Linear(width, width)
        self.mlp_head = nn.Sequential(
            nn.Linear(width, size.hidden), nn.Identity(), nn.ReLU(), nn.Linear(size.hidden, width)
        )
        self.query_embed = nn.Embedding(size.queries, tokens * width)
        self.position_encoding = nn.ModuleDict({"pe": nn.Embedding(tokens, width)})
        self.encoder = Layers([EncoderLayer(size) for _ in range(size.encoder_layers)])
        self.decoder = Layers([DecoderLayer(size) for _ in range(size.decoder_layers)])
        for table in (self.query_embed, self._positions):
            nn.init.normal_(table.weight, std=_TABLE_SPREAD)

    @property
    def depth(self) -> int:
        """Layers of encoder and decoder together."""
        return self.size.encoder_layers + self.size.decoder_layers

    def forward(
        self, tokens: Tensor, grid: tuple[int, int], query: int | Tensor = 0, recompute: bool = False
    ) -> Tensor:
        """The plain network.

        Args:
            tokens: (N, h·w, width), row by row.
            grid: (h, w) of the tokens.
            query: number of the task, or (N,) of them.
            recompute: spare memory in training (gradient checkpointing).

        Returns:
            (N, h·w, width).
        """
        stream, _ = self.adapted(tokens, self.tables(grid, query), (None,) * self.depth, (), recompute)
        return stream + self.mlp_head(stream)

    def tables(self, grid: tuple[int, int], query: int | Tensor) -> tuple[Tensor, Tensor]:
        """Position and query table of a grid of tokens, each (h·w, width), interpolated if need be.

        The second is (N, h·w, width) for (N,) queries.
        """
        task = self.query_embed.weight[query].unflatten(-1, (-1, self.size.width))  # token by token
        return self._fit(self._positions.weight, grid), self._fit(task, grid)

    def adapted(
        self,
        tokens: Tensor,
        tables: tuple[Tensor, Tensor],
        adapters: Sequence[Adapt | None],
        carried: Carried,
        recompute: bool = False,
    ) -> tuple[Tensor, Carried]:
        """The network without its last perceptron, with adapters behind some layers.

        What stands behind the encoder's last layer changes the decoder's memory too.

        Args:
            tokens: (N, L, width).
            tables: of positions and of the task, as from `tables`.
            adapters: one per layer, encoder first; None where there is none. Layers beyond the last are not run.
            carried: what the first adapter gets.
            recompute: spare memory in training (gradient checkpointing).

        Returns:
            The stream of tokens (N, L, width), and what the last adapter hands on.
        """
        positions, query = tables
        stream = tokens + self.linear_encoding(tokens) + positions
        for layer, adapter in zip(self.encoder.layers, adapters, strict=False):
            stream = again.call(layer, stream, recompute=recompute)
            if adapter is not None:
                stream, carried = again.call(adapter, stream, carried, recompute=recompute)
        memory = stream
        for layer, adapter in zip(self.decoder.layers, adapters[self.size.encoder_layers :], strict=False):
            stream = again.call(layer, stream, memory, query, recompute=recompute)
            if adapter is not None:
                stream, carried = again.call(adapter, stream, carried, recompute=recompute)
        return stream, carried

    @property
    def _positions(self) -> nn.Embedding:
        return cast(nn.Embedding, self.position_encoding["pe"])

    def _fit(self, table: Tensor, grid: tuple[int, int]) -> Tensor:
        """A table (side², width), or N of them, for another grid: bicubic interpolation in two dimensions."""
        side = self.size.side
        if grid == (side, side):
            return table
        image = table.mT.reshape(-1, self.size.width, side, side)
        fitted = interpolate(image, grid, mode="bicubic", align_corners=False)
        return fitted.flatten(2).mT.reshape(*table.shape[:-2], -1, self.size.width)


def as_tokens(image: Tensor) -> Tensor:
    """(N, width, h, w) to tokens (N, h·w, width), row by row."""
    return image.flatten(2).transpose(1, 2)


def as_image(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (N, h·w, width) to (N, width, h, w)."""
    return torch.unflatten(tokens.transpose(1, 2), 2, grid)
