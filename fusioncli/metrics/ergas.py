"""ERGAS: relative error of all bands in one figure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from fusioncli.errors import DataError, UsageError
from fusioncli.metrics.contract import State
from fusioncli.metrics.squared_errors import SquaredErrors


@dataclass(eq=False)
class Ergas(SquaredErrors):
    """Relative dimensionless global error, (100 / ratio) sqrt(mean over bands of MSE_b / mean_b²).

    Wald 2000. The means are the reference's, so exchanging the images changes the figure. A band whose
    reference has mean zero makes it infinite, as in the reference toolbox. Masked: valid pixels only.

    torchmetrics' `ErrorRelativeGlobalDimensionlessSynthesis(ratio)` is the same; its default ratio is 4, and
    so is the ratio that some evaluation scripts use for every scale.

    Attributes:
        ratio: MS pixel size over PAN pixel size: 4, not 1/4.
    """

    ratio: float

    name = "ERGAS"
    higher_is_better = False
    ideal = 0.0
    value_range = (0.0, inf)

    def __post_init__(self) -> None:
        if not self.ratio >= 1:
            raise UsageError(
                f"the ratio of ERGAS is {self.ratio:g}, expected at least 1",
                "give the coarse over the fine pixel size: 4, not 0.25",
            )

    def value(self, state: State) -> float:
        """The index; undefined for a band that is zero in both images."""
        relative = self.mean_squares(state) / (state["reference"] / state["count"]).square()
        if relative.isnan().any():
            band = int(torch.nonzero(relative.isnan())[0]) + 1
            raise DataError(f"ERGAS is undefined: band {band} is zero in both images", "leave that band out")
        return (100 / self.ratio) * relative.mean().sqrt().item()


def ergas(reference: Tensor, fused: Tensor, *, ratio: float, mask: Tensor | None = None) -> float:
    """`Ergas` of one image (1, C, H, W)."""
    return Ergas(ratio).update(reference, fused, mask=mask).compute()
