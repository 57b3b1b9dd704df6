"""Component substitution and additive multiresolution analysis, in one linear form (Vivone et al., 2015).

Mixing bands commutes with upsampling, and so does adding a low-passed PAN that is upsampled anyway: all but
one multiply-add per output pixel happens on the small MS grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusioncli.models.contract import Card
from fusioncli.ops.sampling import Sampling


@dataclass(frozen=True)
class LinearFusion:
    """fused = upsample(mix · ms - removed ⊙ degrade(pan) + offset) + added ⊙ pan.

    Attributes:
        card: of the method that was fitted.
        sampling: operators between the grids.
        mix: (B, B), band to band.
        offset: (B,), DN.
        added: (B,), gain of the PAN.
        removed: (B,), gain of the low-passed PAN, or None if the form has none.
        gains: MTF gains of that low-pass, one per band.
    """

    card: Card
    sampling: Sampling
    mix: np.ndarray
    offset: np.ndarray
    added: np.ndarray
    removed: np.ndarray | None = None
    gains: tuple[float, ...] = ()

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and pan (N, 1, H, W), DN, to (N, B, H, W), DN."""
        bands = torch.matmul(_like(self.mix, ms), ms.flatten(2)).view_as(ms).add_(_per_band(self.offset, ms))
        if self.removed is not None:
            bands -= self.sampling.degrade(pan, self.gains).mul_(_per_band(self.removed, ms))
        return self.sampling.upsample(bands).addcmul_(_per_band(self.added, ms), pan)


def _like(array: np.ndarray, tensor: Tensor) -> Tensor:
    return torch.from_numpy(array).to(tensor)


def _per_band(array: np.ndarray, tensor: Tensor) -> Tensor:
    return _like(array, tensor).view(1, -1, 1, 1)
