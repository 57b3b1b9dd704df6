"""The universal image quality index as a formula, in sliding windows and between the bands of blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from fusioncli.metrics.blocks import blocks, whole_blocks
from fusioncli.metrics.contract import State, Streamed
from fusioncli.metrics.windows import window_sums

_FLAT = 2e-14
"""Variance over squared mean that is round-off; one pixel of a window one level off, in 16 bits, makes 1e-13."""


def quality_index(covariance: Tensor, variances: Tensor, means: Tensor, energy: Tensor) -> Tensor:
    """Universal image quality index, 4 Cxy mx my / ((Cxx + Cyy)(mx² + my²)) (Wang and Bovik 2002, eq. 2).

    Where both signals are constant, up to round-off, only the means are compared, 2 mx my / (mx² + my²); where
    both means vanish the index is 1, as in the authors' code.

    Args:
        covariance: of x and y, in any unit.
        variances: of x plus of y, in the same unit.
        means: mx my, or the product of the sums over n samples if the unit is n² times the variance's.
        energy: mx² + my², or that of the sums.

    Returns:
        Values in [-1, 1], shaped like the arguments.
    """
    quality = (covariance * means).mul_(4).div_(variances * energy)
    constant = variances <= _FLAT * energy
    if constant.any():
        quality = torch.where(constant, 2 * means / energy, quality)
    return torch.where(energy > 0, quality, 1.0) if (energy == 0).any() else quality


def window_quality(x: Tensor, y: Tensor, size: int) -> Tensor:
    """Universal quality index of every complete size x size window: (1, C, h - size + 1, w - size + 1)."""
    n = size * size
    sum_x, sum_y = window_sums(x, size), window_sums(y, size)
    means, energy = sum_x * sum_y, sum_x.square().addcmul_(sum_y, sum_y)
    variances = window_sums(x.square().addcmul_(y, y), size).mul_(n).sub_(energy)
    covariance = window_sums(x * y, size).mul_(n).sub_(means)
    return quality_index(covariance, variances, means, energy)


def block_quality(bands: Tensor) -> Tensor:
    """Universal quality index between all pairs of bands in each block: (n, C, N) to (n, C, C)."""
    mean = bands.mean(-1, keepdim=True)
    deviations = bands - mean
    covariance = deviations @ deviations.mT / bands.shape[-1]
    variance = covariance.diagonal(dim1=1, dim2=2)
    energy = mean.square()
    return quality_index(covariance, variance[:, :, None] + variance[:, None], mean * mean.mT, energy + energy.mT)


class BlockQuality(Streamed):
    """Sums over blocks of the index between all pairs of bands, which D_lambda and D_s turn into figures."""

    block_px: int
    counted = "whole block without an invalid pixel"

    @property
    def align_px(self) -> int:
        """Blocks lie on the scene's grid."""
        return self.block_px

    def sums(self, stacks: dict[str, Tensor], mask: Tensor | None) -> State | None:
        """Number of valid blocks, and for each stack (1, C, h, w) the sum of its (C, C) indices over them."""
        height, width = next(iter(stacks.values())).shape[-2:]
        if min(height, width) < self.block_px:
            return None
        valid = whole_blocks(mask, self.block_px, self.block_px)
        state: State = {}
        for name, stack in stacks.items():
            quality = block_quality(blocks(stack, self.block_px, self.block_px))
            kept = quality if valid is None else quality[valid]
            state |= {"count": kept.new_tensor(float(len(kept))), name: kept.sum(0)}
        return state
