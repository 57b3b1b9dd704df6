"""HQNR: QNR with Khan's spectral distortion."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from fusioncli.metrics.contract import Composite
from fusioncli.metrics.d_lambda_k import DLambdaK
from fusioncli.metrics.d_s import DS


@dataclass(eq=False)
class Hqnr(Composite):
    """Hybrid quality with no reference, (1 - D_lambda_K) (1 - D_s) (Aiazzi et al. 2014).

    It does not rank the true image first: report it, never gate on it alone. Masked as its parts.

    Attributes:
        d_lambda_k: spectral part.
        d_s: spatial part.
    """

    d_lambda_k: DLambdaK = field(default_factory=DLambdaK)
    d_s: DS = field(default_factory=DS)

    name = "HQNR"
    higher_is_better = True
    ideal = 1.0
    value_range = (0.0, 1.0)
    inputs = ("fused", "lms", "pan", "pan_degraded", "fused_filtered")

    def leaves(self) -> tuple[DLambdaK, DS]:
        """Both distortions."""
        return (self.d_lambda_k, self.d_s)

    def compute(self) -> float:
        """The product."""
        return (1 - self.d_lambda_k.compute()) * (1 - self.d_s.compute())


def hqnr(
    fused: Tensor,
    lms: Tensor,
    pan: Tensor,
    pan_degraded: Tensor,
    fused_filtered: Tensor,
    *,
    mask: Tensor | None = None,
) -> float:
    """`Hqnr` of one image; PAN and degraded PAN are (1, 1, H, W), the others (1, C, H, W)."""
    return Hqnr().update(fused, lms, pan, pan_degraded, fused_filtered, mask=mask).compute()
