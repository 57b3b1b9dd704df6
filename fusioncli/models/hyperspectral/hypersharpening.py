"""Hypersharpening: every band of the cube has a guide of its own, made of the sharper image's bands.

The guide of a band is the sum of sharper bands that fits it best at the cube's resolution (Selva et al., "Hyper-
sharpening: a first approach on SIM-GA data", IEEE JSTARS 8(6), 2015: the synthesized band), and takes the place that
PAN has in pansharpening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fusioncli.models.classical.ratio import GUARDED
from fusioncli.models.classical.regression import least_squares
from fusioncli.models.contract import Card
from fusioncli.models.hyperspectral.base import CubeMethod, band_groups, moments_of, regress_on_guide
from fusioncli.models.hyperspectral.response import fit_response
from fusioncli.models.statistics import Moments, Statistics
from fusioncli.ops.sampling import Sampling

_LEADING = 1e-5


@dataclass(frozen=True)
class Substitution:
    """fused = upsample(mix · ms + offset) + added · guide.

    Attributes:
        card: of the method that was fitted.
        sampling: operators between the grids.
        mix: (B, B), band to band.
        offset: (B,), DN.
        added: (B, M), gains of the guide's bands.
    """

    card: Card
    sampling: Sampling
    mix: np.ndarray
    offset: np.ndarray
    added: np.ndarray

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and guide (N, M, H, W), DN, to (N, B, H, W), DN."""
        mix, offset, added = (torch.from_numpy(x).to(ms) for x in (self.mix, self.offset, self.added))
        bands = torch.matmul(mix, ms.flatten(2)).view_as(ms).add_(offset.view(1, -1, 1, 1))
        fused = ms.new_empty(len(ms), ms.shape[1], *pan.shape[2:])
        for some in band_groups(ms.shape[1]):
            fused[:, some] = self.sampling.upsample(bands[:, some]) + combine(added[some], pan)
        return fused


class HyperSubstitution(CubeMethod):
    """GSA with a guide per band: the guide replaces what the cube itself makes of the guide's bands.

    The intensities are the cube seen through the given response of the sharper sensor, or regressed as in `gsa`, on the
    leading principal directions only: hundreds of alike bands would leave the rest undetermined.
    """

    name: ClassVar[str] = "hyper-gsa"

    def fit(self, statistics: Statistics) -> Substitution:
        """Coefficients of fused = lms + W (guide - upsample(R ms + c)).

        Raises:
            DataError: no valid pixel, or a constant guide.
        """
        bands = len(self.optics.ms_mtf)
        small = moments_of(statistics["small"], bands)
        weights, _ = regress_on_guide(small, bands)
        seen, offset = self._intensities(small, bands)
        mix = np.eye(bands) - weights @ seen
        return Substitution(self.card, self.sampling, mix, -weights @ offset, weights)

    def _intensities(self, small: Moments, bands: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights (M, B) of the cube's bands in the guide's, and intercepts (M,)."""
        if self.optics.response is not None:
            response = fit_response(small, bands, self.optics.response)
            return response.weights, response.offset
        gram = small.covariance[:bands, :bands]
        seen = np.array([least_squares(gram, cross, _LEADING) for cross in small.covariance[bands:, :bands]])
        return seen, small.mean[bands:] - seen @ small.mean[:bands]


@dataclass(frozen=True)
class Modulation:
    """fused = lms · P / low(P), P = weights · guide + offset, the ratio guarded as in `models.classical.ratio`.

    Attributes:
        card: of the method that was fitted.
        sampling: operators between the grids.
        weights: (B, M).
        offset: (B,), DN.
        gain: MTF gain of the low-pass.
    """

    card: Card
    sampling: Sampling
    weights: np.ndarray
    offset: np.ndarray
    gain: float

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and guide (N, M, H, W), DN, to (N, B, H, W), DN."""
        weights, offset = (torch.from_numpy(x).to(ms) for x in (self.weights, self.offset))
        low = self.sampling.upsample(self.sampling.degrade(pan, (self.gain,) * pan.shape[1]))
        fused = ms.new_empty(len(ms), ms.shape[1], *pan.shape[2:])
        for some in band_groups(ms.shape[1]):
            shift = offset[some].view(1, -1, 1, 1)
            denominator = combine(weights[some], low).add_(shift)
            meaningless = denominator <= 0
            ratio = combine(weights[some], pan).add_(shift).div_(denominator)
            ratio.masked_fill_(meaningless, 1.0).clamp_(*GUARDED)
            fused[:, some] = self.sampling.upsample(ms[:, some]).mul_(ratio)
        return fused


class HyperModulated(CubeMethod):
    """MTF-GLP-HPM with a guide per band."""

    name: ClassVar[str] = "hyper-mtf-glp-hpm"
    per_band: ClassVar[bool] = True

    def fit(self, statistics: Statistics) -> Modulation:
        """The guide of every band.

        Raises:
            DataError: no valid pixel, or a constant guide.
        """
        bands = len(self.optics.ms_mtf)
        weights, offset = regress_on_guide(moments_of(statistics["small"], bands), bands)
        return Modulation(self.card, self.sampling, weights, offset, self.gain)


def combine(weights: Tensor, image: Tensor) -> Tensor:
    """Sums of bands: weights (K, C), image (N, C, H, W), to (N, K, H, W)."""
    return torch.matmul(weights, image.flatten(2)).view(len(image), -1, *image.shape[2:])
