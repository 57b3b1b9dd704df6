"""Q2n: the universal quality index of all bands at once, as hypercomplex numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusioncli.core.tiling import Rect
from fusioncli.errors import UsageError
from fusioncli.metrics.blocks import blocks, whole_blocks
from fusioncli.metrics.contract import State, Streamed, pooled
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.hypercomplex import sign_table
from fusioncli.ops.resample import pad

_EPS = torch.finfo(torch.float64).eps
_TOP_DN = 65535.0


@dataclass(eq=False)
class Q2n(Streamed):
    """Q4, Q8 … Q2n, averaged over blocks; any number of bands, filled up with zeros to a power of two.

    Alparone et al. 2004, Garzelli and Nencini 2009, with the details of the reference toolbox: both images
    are rounded to integers (halves up) and clipped to 0 … 65535, so pass digital numbers, never reflectance;
    each block is normalised with the reference's mean and standard deviation, so exchanging the images
    changes the figure; blocks beyond the lower right border are completed by mirroring. A block of zeros in
    both images counts 1, a band that is constant in the reference alone makes its block nearly 0.
    Masked: blocks that hold an invalid pixel are dropped.

    Attributes:
        block_px: side of the blocks.
        shift_px: distance between blocks, block_px unless they are to overlap.
    """

    block_px: int = 32
    shift_px: int | None = None

    name = "Q2n"
    higher_is_better = True
    ideal = 1.0
    value_range = (0.0, 1.0)
    counted = "block without an invalid pixel"

    def __post_init__(self) -> None:
        if not 2 <= self.align_px <= self.block_px:
            raise UsageError(
                f"Q2n cannot place blocks of {self.block_px} px every {self.align_px} px",
                "the shift lies between 2 and the block",
            )

    @property
    def halo_px(self) -> int:
        """How far blocks overlap."""
        return self.block_px - self.align_px

    @property
    def align_px(self) -> int:
        """Distance between blocks."""
        return self.shift_px or self.block_px

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State:
        """Sum over the blocks that start in the core."""
        quality, valid = self._blocks(images, mask, cut)
        return pooled(quality.view(1, 1, -1), valid)

    def value(self, state: State) -> float:
        """Mean over blocks."""
        return (state["sum"] / state["count"]).item()

    def quality_map(self, reference: Tensor, fused: Tensor) -> Tensor:
        """The index of each block of a whole image (1, C, H, W) in DN: (rows, columns) of blocks."""
        cut = Cut.whole(*reference.shape[-2:])
        quality, _ = self._blocks((reference.double(), fused.double()), None, cut)
        return quality.view(-(-cut.core.height // self.align_px), -1)

    def _blocks(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> tuple[Tensor, Tensor | None]:
        """The index of the blocks that start in the core, row by row, and which are wholly valid."""
        core, read = cut.core, cut.read
        covered = Rect(core.row0, core.col0, core.row0 + self._reach(core.height), core.col0 + self._reach(core.width))
        beyond = ((0, max(0, covered.row1 - read.row1)), (0, max(0, covered.col1 - read.col1)))
        area = (..., *covered.slices(read))
        mirrored = (pad(image, *beyond, "symmetric")[area] for image in images)
        reference, fused = (_digital_numbers_(blocks(x, self.block_px, self.align_px)) for x in mirrored)
        valid = None if mask is None else pad(mask, *beyond, "symmetric")[area]
        return block_hypercomplex_quality_(reference, fused), whole_blocks(valid, self.block_px, self.align_px)

    def _reach(self, length: int) -> int:
        """Extent of the blocks that start within a length."""
        return (-(-length // self.align_px) - 1) * self.align_px + self.block_px


def q2n(
    reference: Tensor,
    fused: Tensor,
    *,
    block_px: int = 32,
    shift_px: int | None = None,
    mask: Tensor | None = None,
) -> float:
    """`Q2n` of one image (1, C, H, W)."""
    return Q2n(block_px, shift_px).update(reference, fused, mask=mask).compute()


def block_hypercomplex_quality_(reference: Tensor, fused: Tensor) -> Tensor:
    """Q2n of each block, in closed form; the arguments are overwritten.

    The covariance of two hypercomplex signals is a signed sum of the covariances of their components: unit k
    collects s[i, j] C[i, j] over all i xor j = k. So one C x C matrix product per block replaces the products
    pixel by pixel. Integers make every sum exact, hence constant bands have a variance of exactly zero.

    Args:
        reference: (n, C, N) float64, integers in 0 … 65535.
        fused: likewise.

    Returns:
        (n,) in [0, 1].
    """
    bands, pixels = reference.shape[1:]
    units = 1 << (bands - 1).bit_length()
    sums, fused_sums = reference.sum(-1), fused.sum(-1)
    degrees = pixels * (pixels - 1)
    covariance = (pixels * (reference @ fused.mT) - sums[:, :, None] * fused_sums[:, None]) / degrees
    variance = (pixels * reference.square_().sum(-1) - sums.square()) / degrees
    fused_variance = (pixels * fused.square_().sum(-1) - fused_sums.square()) / degrees

    deviation = torch.where(variance > 0, variance.sqrt(), _EPS)
    scale = torch.where(sums > 0, deviation, 1.0)
    total = (variance / deviation.square()).sum(1) + (fused_variance / scale.square()).sum(1)
    mean = (fused_sums - sums) / pixels / scale + 1
    energy = mean.square().sum(1) + (units - bands)
    bias = 2 * (units * energy).sqrt() / (units + energy)

    products = covariance / deviation[:, :, None] / scale[:, None]
    contrast = _unit_norm(products, units) * 2 / total
    return bias * torch.where(total > 0, contrast, 1.0)


def _unit_norm(products: Tensor, units: int) -> Tensor:
    """Length of the hypercomplex number a b* whose component products a_i b_j are (n, C, C)."""
    bands = products.shape[1]
    index = torch.arange(bands)
    signs = torch.tensor(sign_table(units)[:bands, :bands], dtype=products.dtype)
    signs[:, 1:] *= -1
    target = (index[:, None] ^ index).flatten().to(products.device)
    number = products.new_zeros(len(products), units)
    number.index_add_(1, target, (products * signs.to(products.device)).flatten(1))
    return torch.linalg.vector_norm(number, dim=1)


def _digital_numbers_(values: Tensor) -> Tensor:
    """Round in place, halves up, and clip to what 16 bits hold."""
    return values.clamp_(0.0, _TOP_DN).add_(0.5).floor_()
