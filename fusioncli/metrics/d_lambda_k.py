"""D_lambda_K: does the fused image, seen with the MS sensor's blur, look like the MS."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fusioncli.metrics.contract import State
from fusioncli.metrics.q2n import Q2n


@dataclass(eq=False)
class DLambdaK(Q2n):
    """Khan's spectral distortion without reference, 1 - Q2n(MS upsampled, MTF-filtered fused).

    Khan et al. 2009, in the reference toolbox's form: at full resolution, without decimation. Masked as
    `Q2n`. Other toolboxes decimate the filtered image and compare with the MS itself: another block
    footprint, another figure.
    """

    name = "D_lambda_K"
    higher_is_better = False
    ideal = 0.0
    inputs = ("lms", "fused_filtered")

    def value(self, state: State) -> float:
        """One minus the mean over blocks."""
        return 1.0 - super().value(state)


def d_lambda_k(lms: Tensor, fused_filtered: Tensor, *, block_px: int = 32, mask: Tensor | None = None) -> float:
    """`DLambdaK` of one image: upsampled MS and MTF-filtered fused, (1, C, H, W) each."""
    return DLambdaK(block_px).update(lms, fused_filtered, mask=mask).compute()
