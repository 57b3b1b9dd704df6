"""QNR: spectral and spatial distortion in one figure."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from fusioncli.metrics.contract import Composite
from fusioncli.metrics.d_lambda import DLambda
from fusioncli.metrics.d_s import DS


@dataclass(eq=False)
class Qnr(Composite):
    """Quality with no reference, (1 - D_lambda)^alpha (1 - D_s)^beta (Alparone et al. 2008).

    It does not rank the true image first: report it, never gate on it alone. Masked as its parts.

    Attributes:
        d_lambda: spectral part.
        d_s: spatial part.
        alpha: weight of the spectral part.
        beta: weight of the spatial part.
    """

    d_lambda: DLambda = field(default_factory=DLambda)
    d_s: DS = field(default_factory=DS)
    alpha: float = 1.0
    beta: float = 1.0

    name = "QNR"
    higher_is_better = True
    ideal = 1.0
    value_range = (0.0, 1.0)
    inputs = ("fused", "lms", "pan", "pan_degraded")

    def leaves(self) -> tuple[DLambda, DS]:
        """Both distortions."""
        return (self.d_lambda, self.d_s)

    def compute(self) -> float:
        """The product."""
        return (1 - self.d_lambda.compute()) ** self.alpha * (1 - self.d_s.compute()) ** self.beta


def qnr(fused: Tensor, lms: Tensor, pan: Tensor, pan_degraded: Tensor, *, mask: Tensor | None = None) -> float:
    """`Qnr` of one image: fused and upsampled MS (1, C, H, W), PAN and degraded PAN (1, 1, H, W)."""
    return Qnr().update(fused, lms, pan, pan_degraded, mask=mask).compute()
