"""The function that is learned instead of an upsampler: from features of a cell and a pixel, and their distance.

Written in its exact fast form. A linear layer of joined inputs is the sum of a layer of each, so that the first layer
is computed once per HSI cell, once per MSI pixel, and once per row and column. Because the weights of the neighbours
sum to 1, the last layer is computed once, after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from fusioncli.models.infn.positions import SIDES, Lattice


class Decoder(nn.Module):
    """Linear layers with ReLU between, for each of the four neighbours, and the weighted sum of their results.

    The input of a neighbour is its latent, the guide of the pixel, and the distance (row, column) in half cells.
    """

    def __init__(self, latent: int, guide: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        self._split = [latent, guide, 2]
        sizes = [sum(self._split), *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))

    def forward(self, latent: Tensor, guide: Tensor, weights: Tensor, lattice: Lattice) -> Tensor:
        """Latent of every MSI pixel.

        Args:
            latent: (N, h', w', C), extended.
            guide: (N, H, W, G).
            weights: (N, H, W, 4), which sum to 1.
            lattice: of the two grids.

        Returns:
            (N, H, W, outputs).
        """
        first, *inner, last = (cast(nn.Linear, layer) for layer in self.layers)
        of_cell, of_guide, of_distance = first.weight.split(self._split, 1)
        cells = linear(latent, of_cell)
        pixels = linear(guide, of_guide, first.bias)
        pixels = pixels + _distances(of_distance, lattice).to(pixels.dtype)
        total = None
        for side, (cell, weight) in enumerate(zip(lattice.neighbours(cells), weights.unbind(-1), strict=True)):
            hidden = (pixels + _step(of_distance, side).to(pixels.dtype)).add_(cell).relu_()
            for layer in inner:
                hidden = layer(hidden).relu_()
            share = hidden * weight.to(hidden.dtype)[..., None]
            total = share if total is None else total + share
        return last(cast(Tensor, total))


def _distances(of_distance: Tensor, lattice: Lattice) -> Tensor:
    """What the first layer makes of the distance to the lower neighbours: (H, W, hidden)."""
    exact = of_distance.to(torch.promote_types(of_distance.dtype, torch.float32))
    rows, cols = (2 * axis.fractions(exact) for axis in (lattice.rows, lattice.cols))
    return (rows[:, None] * exact[:, 0])[:, None] + cols[:, None] * exact[:, 1]


def _step(of_distance: Tensor, side: int) -> Tensor:
    """What another neighbour adds to that: (hidden,)."""
    row_side, col_side = SIDES[side]
    return -2 * (row_side * of_distance[:, 0] + col_side * of_distance[:, 1])
