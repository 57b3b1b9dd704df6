"""`exp`: the MS upsampled, the yardstick of every other method."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from fusioncli.models.classical.base import Classical


class Interpolation(Classical):
    """MS on the PAN grid, without the PAN's detail (EXP in the literature)."""

    name: ClassVar[str] = "exp"
    streamed: ClassVar[bool] = False
    guide_bands: ClassVar[int | None] = None
    per_band: ClassVar[bool] = True

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w), DN, to (N, B, H, W), DN; the PAN is not looked at."""
        return self.sampling.upsample(ms)
