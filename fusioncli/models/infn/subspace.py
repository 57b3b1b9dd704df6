"""INFN for many bands: it learns the detail of a few principal components of the HSI, and of no other direction.

What it takes and gives is bands. Inputs are centred and scaled by figures that lie in the weights, so that digital
numbers of any unit will do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusioncli.config.architectures import InfnOptions
from fusioncli.core.tiling import Exact
from fusioncli.models.infn.network import Infn

_LEAST_SPREAD = 1e-6  # of the largest; a component below holds nothing


class SubspaceInfn(nn.Module):
    """fused = hsi_up + directions · spread · detail, the detail that of `Infn` on components of mean 0 and deviation 1.

    Attributes:
        width: bands of the image that a classical method fuses in as much memory.
        infn: the network of the components.
        centre: (L,), frozen as all of the following; mean of the HSI.
        directions: (L, K), orthonormal.
        spread: (K,), deviations along them.
        guide_centre: (M,), mean of the MSI.
        guide_spread: (M,), deviations of its bands.
    """

    def __init__(self, bands: int, guide_bands: int, options: InfnOptions, ratio: int = 4) -> None:
        """Fresh weights; the frozen ones are set by `adjust`."""
        super().__init__()
        count = options.components
        self.infn = Infn(count, guide_bands, options, ratio)
        self.width = max(self.infn.width, bands)
        self.centre, self.guide_centre = _frozen(torch.zeros(bands)), _frozen(torch.zeros(guide_bands))
        self.directions = _frozen(torch.eye(bands, count))
        self.spread, self.guide_spread = _frozen(torch.ones(count)), _frozen(torch.ones(guide_bands))

    @torch.no_grad()
    def adjust(self, hsi: Tensor, msi: Tensor) -> None:
        """Take directions, means and deviations from pixels: hsi (L, n), msi (M, m), in units of `value_max`."""
        hsi, msi = hsi.double(), msi.double()
        values, directions = torch.linalg.eigh(torch.cov(hsi))  # ascending
        directions = directions.flip(1)[:, : len(self.spread)]
        directions *= torch.where(directions.sum(0) < 0, -1.0, 1.0)  # their sign is anybody's choice
        spread = values.flip(0)[: len(self.spread)].clamp_min(0).sqrt()
        guide_spread = msi.std(1)
        self.centre.copy_(hsi.mean(1))
        self.directions.copy_(directions)
        self.spread.copy_(spread.clamp_min(_LEAST_SPREAD * float(spread[0])))
        self.guide_centre.copy_(msi.mean(1))
        self.guide_spread.copy_(guide_spread.clamp_min(_LEAST_SPREAD * float(guide_spread.max())))

    def forward(self, hsi: Tensor, hsi_up: Tensor, msi: Tensor) -> Tensor:
        """As `Infn.forward`: hsi (N, L, h, w), hsi_up (N, L, H, W), msi (N, M, H, W) to (N, L, H, W)."""
        guide = (msi - self.guide_centre.view(-1, 1, 1)) / self.guide_spread.view(-1, 1, 1)
        detail = self.infn.detail(self._components(hsi), self._components(hsi_up), guide)
        return hsi_up + torch.einsum("lk,nkhw->nlhw", self.directions * self.spread, detail)

    def rule(self, lms_reach_px: int) -> Exact:
        """As `Infn.rule`: components are made pixel by pixel."""
        return self.infn.rule(lms_reach_px)

    def _components(self, x: Tensor) -> Tensor:
        """(N, L, h, w) bands to (N, K, h, w)."""
        return torch.einsum("lk,nlhw->nkhw", self.directions / self.spread, x - self.centre.view(-1, 1, 1))


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
