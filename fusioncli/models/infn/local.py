"""What a MSI pixel takes from the four HSI cells around it: guides in the cells, and weights without parameters.

DHFF and INR-CS of Wu et al., "INF³: Implicit Neural Feature Fusion Function for Multispectral and Hyperspectral Image
Fusion", IEEE TCI 10, 2024 (arXiv 2307.07288). Maps are (N, rows, columns, C).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize

from fusioncli.models.infn.positions import SIDES, Lattice


def pool_guide(guide: Tensor, lattice: Lattice) -> Tensor:
    """The largest value of the pixels whose nearest cell is each cell (DHFF's guide on the HSI grid).

    Where every cell holds the same whole number of pixels this is max pooling. A cell without a pixel, because the MSI
    is coarser or ends before, takes the nearest pixel.

    Args:
        guide: (N, C, H, W).
        lattice: of the two grids.

    Returns:
        (N, C, h, w).
    """
    rows, cols = lattice.rows, lattice.cols
    fixed = torch.are_deterministic_algorithms_enabled()  # the gradient of max pooling is not, on a GPU
    if rows.aligned and cols.aligned and rows.ratio and cols.ratio and not fixed:
        return max_pool2d(guide, (rows.ratio, cols.ratio))
    for dim, axis in ((2, rows), (3, cols)):
        members = axis.members(guide)
        guide = guide.index_select(dim, members.flatten()).unflatten(dim, tuple(members.shape)).amax(dim + 1)
    return guide


def latent_cosines(latent: Tensor, lattice: Lattice) -> Tensor:
    """Cosines between the nearest cell of every pixel and its four neighbours.

    The nearest cell is one of the four, so that all cosines are those between the corners of 2 x 2 cells: computed once
    per HSI cell, and picked for every pixel.

    Args:
        latent: (N, h', w', C), extended.
        lattice: of the two grids.

    Returns:
        (N, H, W, 4), at least float32.
    """
    unit = _unit(latent)
    corners = [unit[:, row : unit.shape[1] - 1 + row, col : unit.shape[2] - 1 + col] for row, col in SIDES]
    table = torch.stack([(a * b).sum(-1) for a in corners for b in corners], -1)
    upper_row, upper_col = (axis.fractions(table) >= _UPPER for axis in (lattice.rows, lattice.cols))
    nearest = 2 * upper_row.long()[:, None] + upper_col.long()
    pick = 4 * nearest[..., None] + torch.arange(4, device=table.device)
    return lattice.lower(table).gather(-1, pick.expand(len(table), -1, -1, -1))


def guide_cosines(guide: Tensor, pooled: Tensor, lattice: Lattice) -> Tensor:
    """Cosines between every pixel's own guide and those of its four neighbours, as a joint bilateral filter has them.

    Args:
        guide: (N, H, W, C).
        pooled: (N, h', w', C), extended.
        lattice: of the two grids.

    Returns:
        (N, H, W, 4), at least float32.
    """
    own = _unit(guide)
    return torch.stack([(own * other).sum(-1) for other in lattice.neighbours(_unit(pooled))], -1)


def weights(cosines: Tensor, temperature: Tensor | float, lattice: Lattice | None) -> Tensor:
    """Softmax over the four neighbours; they sum to 1.

    Args:
        cosines: (N, H, W, 4).
        temperature: above 0; the lower, the more the most similar neighbour counts.
        lattice: multiply by the areas of bilinear interpolation, which makes the result continuous; None: do not.
    """
    logits = cosines / temperature
    if lattice is not None:
        logits = logits + torch.log(torch.stack(list(_areas(lattice, cosines)), -1))
    return logits.softmax(-1)


_UPPER = 0.5 - 1e-6  # from here on the upper neighbour is the nearest cell


def _areas(lattice: Lattice, like: Tensor) -> Iterable[Tensor]:
    rows, cols = lattice.rows.fractions(like)[:, None], lattice.cols.fractions(like)
    for row_side, col_side in SIDES:
        yield (rows if row_side else 1 - rows) * (cols if col_side else 1 - cols)


def _unit(x: Tensor) -> Tensor:
    return normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)
