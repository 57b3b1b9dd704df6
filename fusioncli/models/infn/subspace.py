"""INFN on top of a linear method: it learns what `hyper-lmmse` lacks, in a few principal components of the HSI.

What it takes and gives is bands. Inputs are centred and scaled by figures that lie in the weights, so that digital
numbers of any unit will do.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from fusioncli.config.architectures import InfnOptions
from fusioncli.core.tiling import Exact
from fusioncli.models.hyperspectral.detail import DetailFusion, Gains, inject
from fusioncli.models.infn.network import Infn
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import sampling_for

_LEAST_SPREAD = 1e-6  # of the largest; a component below holds nothing


class SubspaceInfn(nn.Module):
    """fused = F + directions · spread · detail, F as of `DetailFusion` with gains that are kept here.

    The detail is that of `Infn` on components of mean 0 and deviation 1, with F in place of the upsampled HSI.

    Attributes:
        width: bands of the image that a classical method fuses in as much memory.
        infn: the network of the components.
        centre: (L,), frozen as all of the following; mean of the HSI.
        directions: (L, K), orthonormal.
        spread: (K,), deviations along them.
        guide_centre: (M,), mean of the MSI.
        guide_spread: (M,), deviations of its bands.
        gains: of F, the tensors of `Gains` in their order.
        mtf: (), gain of the HSI at its Nyquist frequency.
    """

    def __init__(self, bands: int, guide_bands: int, options: InfnOptions, ratio: int = 4) -> None:
        """Fresh weights; the frozen ones are set by `adjust`."""
        super().__init__()
        count = options.components
        self.infn = Infn(count, guide_bands, options, ratio)
        self.width = max(self.infn.width, bands)
        self._sampling = sampling_for("lanczos", ratio, ratio)
        self.centre, self.guide_centre = _frozen(torch.zeros(bands)), _frozen(torch.zeros(guide_bands))
        self.directions = _frozen(torch.eye(bands, count))
        self.spread, self.guide_spread = _frozen(torch.ones(count)), _frozen(torch.ones(guide_bands))
        shapes = (bands, guide_bands), (), (guide_bands,), (guide_bands, guide_bands)
        self.gains = nn.ParameterList(_frozen(torch.zeros(options.classes, *shape)) for shape in shapes)
        self.mtf = _frozen(torch.tensor(DEFAULT_MS_GAIN))

    @torch.no_grad()
    def adjust(self, hsi: Tensor, msi: Tensor, start: DetailFusion) -> None:
        """Take directions, means and deviations from pixels, hsi (L, n) and msi (M, m), and the gains of a method.

        All in units of `value_max`.
        """
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
        for ours, theirs in zip(self.gains, start.gains, strict=True):
            ours.copy_(theirs)
        self.mtf.fill_(start.gain)

    @torch.no_grad()
    def temper(self, share: float) -> None:
        """Leave only so much of the detail that was learned."""
        cast(nn.Conv2d, self.infn.head[-1]).weight.mul_(share)

    def forward(self, hsi: Tensor, hsi_up: Tensor, msi: Tensor) -> Tensor:
        """Fuse hsi (N, L, h, w) and msi (N, M, H, W) to (N, L, H, W); the upsampled HSI is not looked at."""
        start = self.start(hsi, msi)
        guide = (msi - self.guide_centre.view(-1, 1, 1)) / self.guide_spread.view(-1, 1, 1)
        detail = self.infn.detail(self._components(hsi), self._components(start), guide)
        return start + torch.einsum("lk,nkhw->nlhw", self.directions * self.spread, detail)

    @torch.no_grad()
    def start(self, hsi: Tensor, msi: Tensor) -> Tensor:
        """What the linear method makes, (N, L, H, W)."""
        return inject(hsi, msi, Gains(*self.gains), self._sampling, float(self.mtf))

    def error(self, fused: Tensor, truth: Tensor) -> Tensor:
        """Mean absolute difference of the components."""
        return self._along(fused - truth).abs().mean()

    def rule(self, lms_reach_px: int) -> Exact:
        """As `Infn.rule`, which sees what the linear method makes."""
        return self.infn.rule(2 * self._sampling.reach_px(float(self.mtf)))

    def _components(self, x: Tensor) -> Tensor:
        """(N, L, h, w) bands to (N, K, h, w)."""
        return self._along(x - self.centre.view(-1, 1, 1))

    def _along(self, x: Tensor) -> Tensor:
        """Differences of bands (N, L, h, w) as those of components (N, K, h, w)."""
        return torch.einsum("lk,nlhw->nkhw", self.directions / self.spread, x)


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
