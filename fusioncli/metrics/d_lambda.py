"""D_lambda: distortion of the relations between bands."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusioncli.errors import DataError
from fusioncli.metrics.contract import State
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.universal_quality import BlockQuality


@dataclass(eq=False)
class DLambda(BlockQuality):
    """Spectral distortion without reference: what the fusion changes in the quality index between bands.

    Alparone et al. 2008, (mean over pairs |Q(F_i, F_j) - Q(MS_i, MS_j)|^p)^(1/p), in the reference toolbox's
    form: the MS is compared after upsampling to the PAN grid, in the same blocks. Blocks that the scene does
    not fill are dropped (the toolbox refuses such scenes); bands constant in a block compare by their means
    (it gives NaN).
    Masked: blocks that hold an invalid pixel are dropped.

    torchmetrics' `SpectralDistortionIndex` uses Gaussian windows and the MS before upsampling, and pools a
    batch before the absolute value: another figure.

    Attributes:
        block_px: side of the blocks.
        p: exponent of the mean over pairs.
    """

    block_px: int = 32
    p: float = 1.0

    name = "D_lambda"
    higher_is_better = False
    ideal = 0.0
    value_range = (0.0, 2.0)
    inputs = ("fused", "lms")

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State | None:
        """Sums over blocks of the indices between all pairs of bands, before and after."""
        fused, lms = images
        return self.sums({"fused": fused, "lms": lms}, mask)

    def value(self, state: State) -> float:
        """Mean over pairs of bands."""
        changes = ((state["fused"] - state["lms"]) / state["count"]).abs()
        if len(changes) < 2:
            raise DataError("D_lambda compares bands, the image has one", "use D_s or D_rho for a single band")
        pairs = torch.triu_indices(*changes.shape, offset=1)
        return changes[pairs[0], pairs[1]].pow(self.p).mean().pow(1 / self.p).item()


def d_lambda(fused: Tensor, lms: Tensor, *, block_px: int = 32, mask: Tensor | None = None) -> float:
    """`DLambda` of one image: fused and upsampled MS, (1, C, H, W) each."""
    return DLambda(block_px).update(fused, lms, mask=mask).compute()
