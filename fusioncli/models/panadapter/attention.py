"""Multi-head attention, batch first, with the parameter names of `torch.nn.MultiheadAttention`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention


class Attention(nn.Module):
    """softmax(q·kᵀ / √(width / heads)) · v, projected (Vaswani et al., NeurIPS 2017, section 3.2).

    Attributes:
        heads: how many; `width` is a multiple of it.
        in_proj_weight: (3 · width, width), rows of q, k and v in this order.
        in_proj_bias: (3 · width,), or None.
        out_proj: the last projection.
    """

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width)) if bias else None
        self.out_proj = nn.Linear(width, width, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend: query (N, L, width), key and value (N, K, width) to (N, L, width)."""
        weights = self.in_proj_weight.chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q = self._split(linear(query, weights[0], biases[0]))
        k = self._split(linear(key, weights[1], biases[1]))
        v = self._split(linear(value, weights[2], biases[2]))
        return self.out_proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(N, L, width) to (N, heads, L, width / heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
