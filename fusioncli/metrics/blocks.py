"""Square blocks side by side on the scene's grid, for indices that are means over blocks."""

from __future__ import annotations

import torch
from torch import Tensor


def blocks(x: Tensor, size: int, shift: int) -> Tensor:
    """Complete blocks at every shift-th position, row by row: (1, C, h, w) to a copy (n, C, size²)."""
    tiles = x[0].unfold(1, size, shift).unfold(2, size, shift)
    copy = tiles.permute(1, 2, 0, 3, 4).clone(memory_format=torch.contiguous_format)
    return copy.view(-1, x.shape[1], size * size)


def whole_blocks(mask: Tensor | None, size: int, shift: int) -> Tensor | None:
    """(n,) bool, True for the blocks of a mask (1, 1, h, w) that hold no invalid pixel."""
    return None if mask is None else blocks(mask, size, shift).all(-1)[:, 0]
