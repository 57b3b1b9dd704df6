"""Coupled unmixing: the guide's pixels are explained by the endmembers of the cube (`cnmf`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fusioncli.models.contract import Card, Window
from fusioncli.models.hyperspectral.base import CubeMethod, band_groups, moments_of
from fusioncli.models.hyperspectral.hypersharpening import combine
from fusioncli.models.hyperspectral.response import fit_response
from fusioncli.models.hyperspectral.sample import Sample
from fusioncli.models.hyperspectral.unmixing import (
    even_abundances,
    factorise,
    pick_endmembers,
    update_abundances,
)
from fusioncli.models.statistics import Moments, Statistics
from fusioncli.ops.sampling import Sampling

ENDMEMBERS = 30
_ROUNDS = 100
_COARSE_STEPS = 200
_FINE_STEPS = 150
_LEAST = 1e-4  # of the largest abundance: multiplication never leaves 0
_PIXELS_AT_ONCE = 8192


@dataclass(frozen=True)
class UnmixingFusion:
    """fused = E A + upsample(ms - E degrade(A)), A the abundances of the fine pixels.

    Attributes:
        card: of the method that was fitted.
        sampling: operators between the grids.
        endmembers: E, (B, p).
        guide_endmembers: the same through the guide's response, (M, p).
        scales: DN of cube and guide that count as 1.
        least: smallest abundance to start from.
        gain: MTF gain of the cube.
    """

    card: Card
    sampling: Sampling
    endmembers: np.ndarray
    guide_endmembers: np.ndarray
    scales: tuple[float, float]
    least: float
    gain: float

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and guide (N, M, H, W), DN, to (N, B, H, W), DN."""
        endmembers, guides = (torch.from_numpy(x).to(ms) for x in (self.endmembers, self.guide_endmembers))
        count = endmembers.shape[1]
        start = even_abundances(count, 1, ms).view(1, -1, 1, 1).expand(len(ms), -1, *ms.shape[2:])
        coarse = _unmix(endmembers, ms / self.scales[0], start, _COARSE_STEPS)
        start = self.sampling.upsample(coarse).clamp_(min=self.least)
        fine = _unmix(guides, pan / self.scales[1], start, _FINE_STEPS)
        rest = ms - combine(endmembers, self.sampling.degrade(fine, (self.gain,) * count)).mul_(self.scales[0])
        fused = ms.new_empty(len(ms), ms.shape[1], *pan.shape[2:])
        for some in band_groups(ms.shape[1]):
            fused[:, some] = (
                combine(endmembers[some], fine).mul_(self.scales[0]).add_(self.sampling.upsample(rest[:, some]))
            )
        return fused


class CoupledUnmixing(CubeMethod):
    """Coupled non-negative matrix factorisation (Yokoya, Yairi and Iwasaki, IEEE TGRS 50(2), 2012), in one sweep.

    Endmembers are factorised once from a sample of the cube. Their colours in the guide start at the response and are
    refined on the same pixels. The abundances of a fine pixel start at those of the cube, upsampled, and are fitted to
    the guide: with fewer guide bands than endmembers, they stay near the start. What unmixing leaves of the cube is
    added back. The original alternates between both images as a whole; here every pixel stands alone, so that a scene
    may be cut.
    """

    name: ClassVar[str] = "cnmf"

    @property
    def reach_px(self) -> int:
        """Upsampling a residual of degraded abundances, which were upsampled."""
        return self.sampling.reach_px(self.gain) + self.sampling.reach_px()

    def observe(self, window: Window) -> Statistics:
        """Pixels and moments of the cube and the lowered guide on the cube's grid."""
        counted = window.counted_ms(window.ms, self.lower(window.pan))
        return {"small": Moments.of(counted), "pixels": Sample.of(counted, window.ms.shape[1])}

    def fit(self, statistics: Statistics) -> UnmixingFusion:
        """The endmembers.

        Raises:
            DataError: no valid pixel, or a constant guide.
        """
        bands = len(self.optics.ms_mtf)
        small, sample = moments_of(statistics["small"], bands), statistics["pixels"]
        assert isinstance(sample, Sample)
        response = fit_response(small, bands, self.optics.response)
        pixels = torch.from_numpy(sample.pixels).double().clamp(min=0.0)
        scales = [max(float(image.max()), 1e-30) for image in (pixels[:bands], pixels[bands:])]
        cube, guide = pixels[:bands] / scales[0], pixels[bands:] / scales[1]
        endmembers = pick_endmembers(cube, min(ENDMEMBERS, cube.shape[1]))
        endmembers, abundances = factorise(cube, endmembers.clamp(min=_LEAST), _ROUNDS)
        weights = torch.from_numpy(response.weights) * (scales[0] / scales[1])
        offset = torch.from_numpy(response.offset / scales[1])
        colours = (weights @ endmembers + offset[:, None]).clamp(min=_LEAST)
        colours = update_abundances(abundances.T, guide.T, colours.T, 200).T
        return UnmixingFusion(
            self.card,
            self.sampling,
            endmembers.numpy(),
            colours.numpy(),
            (scales[0], scales[1]),
            _LEAST * float(abundances.max()),
            self.gain,
        )


def _unmix(endmembers: Tensor, image: Tensor, start: Tensor, steps: int) -> Tensor:
    """Abundances of an image (N, C, H, W), from (N, p, H, W), some pixels at a time."""
    found = torch.empty(start.shape, dtype=image.dtype, device=image.device)
    for target, spectra, first in zip(found.flatten(2), image.flatten(2), start.flatten(2), strict=True):
        for some in (slice(i, i + _PIXELS_AT_ONCE) for i in range(0, target.shape[1], _PIXELS_AT_ONCE)):
            target[:, some] = update_abundances(endmembers, spectra[:, some].clamp(min=0.0), first[:, some], steps)
    return found
