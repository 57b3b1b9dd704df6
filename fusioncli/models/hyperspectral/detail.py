"""The detail that a Gaussian model expects: learned from the finest detail that the cube still resolves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusioncli.models.contract import Card, Window
from fusioncli.models.hyperspectral.base import CubeMethod, band_groups, moments_of
from fusioncli.models.hyperspectral.hypersharpening import combine
from fusioncli.models.hyperspectral.mixture import Mixture, shares_of
from fusioncli.models.hyperspectral.sample import Sample
from fusioncli.models.statistics import Moments, Statistics
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import CentredSampling, Sampling

_FINEST = CentredSampling(1, 1.0)
"""Its blur leaves out the last octave of the cube's own grid, the one nearest to what is missing."""
_NOISE = 1e-3  # of the guide's detail, as a share of its variance: nothing is made of differences below it
_FEW = 0.1  # the same, of a class of one pixel; less of more pixels


class Gains(NamedTuple):
    """What the detail of a guide is worth, for each class of pixels, as tensors.

    Attributes:
        weights: (K, B, M).
        constants: (K,), of a `Mixture` of the guide's pixels, as what follows.
        means: (K, M).
        whitening: (K, M, M).
    """

    weights: Tensor
    constants: Tensor
    means: Tensor
    whitening: Tensor


@dataclass(frozen=True)
class DetailFusion:
    """F = lms + Σ shares[k] · weights[k] · detail(guide), once back-projected: fused = F + upsample(ms - degrade(F)).

    A pixel belongs to classes half by itself and half by what the cube's sensor would see there: beside a shore, dark
    water needs the gains of the land whose light the upsampled cube has spread over it.

    Neither step makes a positive sample negative: in deep shadow and water the expected detail may be larger than what
    it is added to.

    Attributes:
        card: of the method that was fitted.
        sampling: operators between the grids.
        weights: (K, B, M), by class.
        classes: of the guide's pixels.
        gain: MTF gain of the low-pass.
    """

    card: Card
    sampling: Sampling
    weights: np.ndarray
    classes: Mixture
    gain: float

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and guide (N, M, H, W), DN, to (N, B, H, W), DN."""
        return inject(ms, pan, Gains(*(each.to(ms) for each in self.gains)), self.sampling, self.gain)

    @property
    def gains(self) -> Gains:
        """As tensors, float64."""
        classes = self.classes.constants, self.classes.means, self.classes.whitening
        return Gains(*map(torch.from_numpy, (self.weights, *classes)))


def inject(ms: Tensor, guide: Tensor, gains: Gains, sampling: Sampling, mtf: float) -> Tensor:
    """What `DetailFusion` makes of ms (N, B, h, w) and guide (N, M, H, W): (N, B, H, W)."""

    def degrade(x: Tensor) -> Tensor:
        return sampling.degrade(x, (mtf,) * x.shape[1])

    around = sampling.upsample(degrade(guide))
    detail = guide - around
    shares = (shares_of(guide, *gains[1:]) + shares_of(around, *gains[1:])) / 2
    fused = ms.new_empty(len(ms), ms.shape[1], *guide.shape[2:])
    for some in band_groups(ms.shape[1]):
        image = sampling.upsample(ms[:, some])
        least = image.clamp(max=0.0)
        for place, weights in enumerate(gains.weights):
            image.add_(combine(weights[some], shares[:, place : place + 1] * detail))
        image = image.maximum(least)
        rest = sampling.upsample(ms[:, some] - degrade(image))
        fused[:, some] = rest.add_(image).maximum(least)
    return fused


class HyperDetail(CubeMethod):
    """Linear minimum mean square error estimate of the missing detail, for each class of pixels.

    With Gaussian statistics it is the maximum a posteriori estimate of Hardie, Eismann and Wilson (IEEE TIP 13(9),
    2004), with a mixture of Gaussians that of Eismann and Hardie (IEEE TGRS 42(9), 2004), whose classes are mixtures of
    endmembers; here they are those of the guide's pixels. Water has other gains than a town. They take the covariances
    from the whole signal; here they are those of the highest frequencies on the cube's grid, which resemble the missing
    ones more than shade and terrain do. One step of back-projection makes the result agree with the cube.
    """

    name: ClassVar[str] = "hyper-lmmse"
    per_band: ClassVar[bool] = True

    @property
    def reach_px(self) -> int:
        """Upsampling a residual of what was degraded after upsampling a low-passed guide."""
        return 2 * self.sampling.reach_px(self.gain)

    def observe(self, window: Window) -> Statistics:
        """Pixels of the finest detail of cube and lowered guide, and of that guide itself; its moments."""
        guide = self.lower(window.pan)
        fine = [x - _FINEST.blur(x, (DEFAULT_MS_GAIN,) * x.shape[1]) for x in (window.ms, guide)]
        pixels = window.counted_ms(*fine, guide)
        return {"pixels": Sample.of(pixels, window.ms.shape[1]), "guide": Moments.of(window.counted_ms(guide))}

    def fit(self, statistics: Statistics) -> DetailFusion:
        """The gains of the detail.

        Raises:
            DataError: no valid pixel, or a constant guide.
        """
        bands, sample = len(self.optics.ms_mtf), statistics["pixels"]
        moments_of(statistics["guide"], 0)  # the detail of a constant is round-off
        assert isinstance(sample, Sample)
        cube, fine, guide = np.split(sample.pixels.astype(np.float64), [bands, (bands + len(sample.pixels)) // 2])
        classes = Mixture.of(guide)
        return DetailFusion(self.card, self.sampling, _gains(cube, fine, classes.shares(guide)), classes, self.gain)


def _gains(cube: np.ndarray, guide: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Least-squares weights (K, B, M) of detail (B, n) on detail (M, n), for classes by (K, n)."""
    level = (guide**2).mean(1)
    level = np.maximum(level, np.finfo(np.float32).eps * level.max())
    weights = []
    for share in shares:
        count = max(share.sum(), np.finfo(np.float32).tiny)
        gram, cross = (guide * share) @ guide.T / count, (cube * share) @ guide.T / count
        weights.append(np.linalg.solve(gram + np.diag((_NOISE + _FEW / count) * level), cross.T).T)
    return np.stack(weights)
