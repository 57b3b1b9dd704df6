"""The detail that a Gaussian model expects: learned from the finest detail that the cube still resolves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fusioncli.models.contract import Card, Window
from fusioncli.models.hyperspectral.base import CubeMethod, band_groups, moments_of, regress_on_guide
from fusioncli.models.hyperspectral.hypersharpening import combine
from fusioncli.models.statistics import Moments, Statistics
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import CentredSampling, Sampling

_FINEST = CentredSampling(1, 1.0)
"""Its blur leaves out the last octave of the cube's own grid, the one nearest to what is missing."""


@dataclass(frozen=True)
class DetailFusion:
    """F = lms + weights · detail(guide), then once back-projected: fused = F + upsample(ms - degrade(F)).

    Neither step makes a positive sample negative: in deep shadow and water the expected detail is larger than what it
    is added to.

    Attributes:
        card: of the method that was fitted.
        sampling: operators between the grids.
        weights: (B, M).
        gain: MTF gain of the low-pass.
    """

    card: Card
    sampling: Sampling
    weights: np.ndarray
    gain: float

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and guide (N, M, H, W), DN, to (N, B, H, W), DN."""
        return inject(ms, pan, torch.from_numpy(self.weights).to(ms), self.sampling, self.gain)


def inject(ms: Tensor, guide: Tensor, weights: Tensor, sampling: Sampling, gain: float) -> Tensor:
    """What `DetailFusion` makes of ms (N, B, h, w) and guide (N, M, H, W) with weights (B, M): (N, B, H, W)."""

    def degrade(x: Tensor) -> Tensor:
        return sampling.degrade(x, (gain,) * x.shape[1])

    detail = guide - sampling.upsample(degrade(guide))
    fused = ms.new_empty(len(ms), ms.shape[1], *guide.shape[2:])
    for some in band_groups(ms.shape[1]):
        image = sampling.upsample(ms[:, some])
        least = image.clamp(max=0.0)
        image = image.add_(combine(weights[some], detail)).maximum(least)
        rest = sampling.upsample(ms[:, some] - degrade(image))
        fused[:, some] = rest.add_(image).maximum(least)
    return fused


class HyperDetail(CubeMethod):
    """Linear minimum mean square error estimate of the missing detail.

    With Gaussian statistics it is the maximum a posteriori estimate of Hardie, Eismann and Wilson (IEEE TIP 13(9),
    2004). They take the covariances from the whole signal; here they are those of the highest frequencies on the
    cube's grid, which resemble the missing ones more than shade and terrain do. One step of back-projection makes the
    result agree with the cube.
    """

    name: ClassVar[str] = "hyper-lmmse"
    per_band: ClassVar[bool] = True

    @property
    def reach_px(self) -> int:
        """Upsampling a residual of what was degraded after upsampling a low-passed guide."""
        return 2 * self.sampling.reach_px(self.gain)

    def observe(self, window: Window) -> Statistics:
        """Moments of the finest detail of the cube and of the lowered guide, and of that guide itself."""
        guide = self.lower(window.pan)
        fine = [x - _FINEST.blur(x, (DEFAULT_MS_GAIN,) * x.shape[1]) for x in (window.ms, guide)]
        return {"detail": Moments.of(window.counted_ms(*fine)), "guide": Moments.of(window.counted_ms(guide))}

    def fit(self, statistics: Statistics) -> DetailFusion:
        """The gains of the detail.

        Raises:
            DataError: no valid pixel, or a constant guide.
        """
        bands = len(self.optics.ms_mtf)
        moments_of(statistics["guide"], 0)  # the detail of a constant is round-off
        weights, _ = regress_on_guide(moments_of(statistics["detail"], bands), bands)
        return DetailFusion(self.card, self.sampling, weights, self.gain)
