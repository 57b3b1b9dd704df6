"""R-SAM, R-ERGAS, R-Q2n, R-Q: the fused image brought back to the MS grid and compared with the MS.

Scarpa and Ciotola 2022. They are the indices with reference on the MS grid; `fused_lowered` is the fused
image after each band's unit-sum MTF filter, decimated at the phase where the MS lines up with PAN.
"""

from __future__ import annotations

from dataclasses import dataclass

from fusioncli.metrics.ergas import Ergas
from fusioncli.metrics.q2n import Q2n
from fusioncli.metrics.sam import Sam
from fusioncli.metrics.uiqi import Uiqi

_INPUTS = ("ms", "fused_lowered")


@dataclass(eq=False)
class RSam(Sam):
    """SAM after reprojection."""

    name = "R-SAM"
    inputs = _INPUTS


@dataclass(eq=False)
class RErgas(Ergas):
    """ERGAS after reprojection; `ratio` stays that of the fusion."""

    name = "R-ERGAS"
    inputs = _INPUTS


@dataclass(eq=False)
class RQ2n(Q2n):
    """Q2n after reprojection."""

    name = "R-Q2n"
    inputs = _INPUTS


@dataclass(eq=False)
class RUiqi(Uiqi):
    """Q after reprojection."""

    name = "R-Q"
    inputs = _INPUTS
