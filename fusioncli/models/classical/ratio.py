"""Modulation: every band of a pixel is multiplied by the ratio of PAN to a low-resolution PAN."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusioncli.models.contract import Card
from fusioncli.ops.sampling import Sampling

GUARDED = (0.0, 4.0)
UNGUARDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Intensity:
    """The low-resolution PAN that a weighted sum of the MS bands makes.

    Attributes:
        sampling: operators between the grids.
        weights: (B,).
    """

    sampling: Sampling
    weights: np.ndarray

    def __call__(self, ms: Tensor, pan: Tensor) -> Tensor:
        """(N, B, h, w) to (N, 1, H, W); the PAN is not looked at."""
        weights = torch.from_numpy(self.weights).to(ms)
        return self.sampling.upsample(torch.matmul(weights, ms.flatten(2)).view(len(ms), 1, *ms.shape[2:]))


@dataclass(frozen=True)
class Lines:
    """Straight lines y = slope · x + shift.

    Attributes:
        slope: (K,).
        shift: (K,), DN.
    """

    slope: np.ndarray
    shift: np.ndarray

    def __call__(self, k: int, x: Tensor) -> Tensor:
        """The k-th line, applied to a copy of x."""
        return x.mul(float(self.slope[k])).add_(float(self.shift[k]))


@dataclass(frozen=True)
class RatioFusion:
    """Fuse by max(lms - haze, 0) · numerator(pan) / denominator(low) + haze.

    The denominator predicts a positive radiance. Where it is not positive (deep shadow, negative reflectance)
    a ratio means nothing and 1 is taken; elsewhere the ratio is limited to `limits`, so that noise divided by
    nearly nothing cannot explode. Ordinary pixels are touched by neither; with a limit of
    10 the darkest shadows of real scenes sparkle.

    Attributes:
        card: of the method that was fitted.
        sampling: operators between the grids.
        low: makes the low-resolution PAN (N, C, H, W) from ms and pan.
        channels: for each band, its channel of `low`.
        numerator: one line for all bands, or one per band.
        denominator: as many.
        haze: (B,) DN that is not modulated, or None for no haze (then nothing is clipped at zero either).
        limits: smallest and largest ratio; `UNGUARDED` in the reference toolbox.
    """

    card: Card
    sampling: Sampling
    low: Callable[[Tensor, Tensor], Tensor]
    channels: list[int]
    numerator: Lines
    denominator: Lines
    haze: np.ndarray | None = None
    limits: tuple[float, float] = GUARDED

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and pan (N, 1, H, W), DN, to (N, B, H, W), DN.

        Works band by band and in place, so that temporaries stay in the cache.
        """
        fused = self.sampling.upsample(ms)
        low = self.low(ms, pan)
        ratio = torch.empty(0)
        for band, channel in enumerate(self.channels):
            if band < len(self.numerator.slope):  # a single line serves all bands
                ratio = self._ratio(band, low[:, channel], pan[:, 0])
            layer = fused[:, band]
            if self.haze is None:
                layer.mul_(ratio)
            else:
                haze = float(self.haze[band])
                layer.sub_(haze).clamp_(min=0.0).mul_(ratio).add_(haze)
        return fused

    def _ratio(self, k: int, low: Tensor, pan: Tensor) -> Tensor:
        denominator = self.denominator(k, low)
        meaningless = denominator <= 0
        ratio = self.numerator(k, pan).div_(denominator)
        return ratio.masked_fill_(meaningless, 1.0).clamp_(*self.limits)
