"""D_s: distortion of the relation between each band and PAN."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusioncli.metrics.contract import State
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.universal_quality import BlockQuality


@dataclass(eq=False)
class DS(BlockQuality):
    """Spatial distortion without reference: what the fusion changes in the quality index of bands and PAN.

    Alparone et al. 2008, (mean over bands |Q(F_b, PAN) - Q(MS_b, PAN~)|^q)^(1/q), in the reference toolbox's
    form: MS and PAN~ are upsampled to the PAN grid, PAN~ being PAN brought to the MS's resolution and back.
    Blocks as in `DLambda`. Masked: blocks that hold an invalid pixel are dropped.

    torchmetrics' `SpatialDistortionIndex` degrades PAN itself, by a 7 x 7 uniform filter, and uses Gaussian
    windows: a figure about ten times larger.

    Attributes:
        block_px: side of the blocks.
        q: exponent of the mean over bands.
    """

    block_px: int = 32
    q: float = 1.0

    name = "D_s"
    higher_is_better = False
    ideal = 0.0
    value_range = (0.0, 2.0)
    inputs = ("fused", "lms", "pan", "pan_degraded")

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State | None:
        """Sums over blocks of the indices between all bands and PAN, which comes last, before and after."""
        fused, lms, pan, pan_degraded = images
        return self.sums({"fused": torch.cat([fused, pan], 1), "lms": torch.cat([lms, pan_degraded], 1)}, mask)

    def value(self, state: State) -> float:
        """Mean over bands."""
        changes = ((state["fused"] - state["lms"]) / state["count"]).abs()
        return changes[:-1, -1].pow(self.q).mean().pow(1 / self.q).item()


def d_s(
    fused: Tensor,
    lms: Tensor,
    pan: Tensor,
    pan_degraded: Tensor,
    *,
    block_px: int = 32,
    mask: Tensor | None = None,
) -> float:
    """`DS` of one image: fused and upsampled MS (1, C, H, W), PAN and degraded PAN (1, 1, H, W)."""
    return DS(block_px).update(fused, lms, pan, pan_degraded, mask=mask).compute()
