"""The universal image quality index as a formula, in sliding windows and between the bands of blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from fusioncli.metrics.blocks import blocks, whole_blocks
from fusioncli.metrics.contract import State, Streamed
from fusioncli.metrics.windows import window_sums

_FLAT = 2e-14


def quality_index(
    covariance: Tensor, variances: Tensor, mean_x: Tensor, mean_y: Tensor, *, noise: float | Tensor = 0.0
) -> Tensor:
    """Universal image quality index, 4 Cxy mx my / ((Cxx + Cyy)(mx² + my²)) (Wang and Bovik 2002, eq. 2).

    Where both signals are constant only the means are compared, 2 mx my / (mx² + my²); where both means
    vanish the index is 1, as in the authors' code.

    Args:
        covariance: of x and y.
        variances: of x plus of y.
        mean_x: mean of x.
        mean_y: mean of y.
        noise: variances up to this count as zero.

    Returns:
        Values in [-1, 1], shaped like the arguments.
    """
    energy = mean_x.square() + mean_y.square()
    means = 2 * mean_x * mean_y
    quality = 2 * covariance * means / (variances * energy)
    constant = variances <= noise
    if constant.any():
        quality = torch.where(constant, means / energy, quality)
    return torch.where(energy > 0, quality, 1.0) if (energy == 0).any() else quality


def window_quality(x: Tensor, y: Tensor, size: int) -> Tensor:
    """Universal quality index of every complete size x size window: (1, C, h - size + 1, w - size + 1).

    Windows whose variance is within round-off of zero count as constant.
    """
    n = size * size
    sum_x, sum_y = window_sums(x, size), window_sums(y, size)
    squares = n * window_sums(x * x + y * y, size)
    products = n * window_sums(x * y, size)
    variances = squares - sum_x.square() - sum_y.square()
    return quality_index(products - sum_x * sum_y, variances, sum_x, sum_y, noise=_FLAT * squares)


def block_quality(bands: Tensor) -> Tensor:
    """Universal quality index between all pairs of bands in each block: (n, C, N) to (n, C, C).

    Deviations are taken from a pixel of the block first, so that a constant band has a variance of exactly
    zero.
    """
    origin = bands[..., :1]
    deviations = bands - origin
    shift = deviations.mean(-1, keepdim=True)
    deviations -= shift
    mean = origin + shift
    covariance = deviations @ deviations.mT
    variance = covariance.diagonal(dim1=1, dim2=2)
    return quality_index(covariance, variance[:, :, None] + variance[:, None], mean, mean.mT)


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
