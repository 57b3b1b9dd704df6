"""How the MS grid samples the PAN grid: the pair of operators, down and up, that every fusion method is built on.

Two conventions exist and are never mixed. `CentredSampling` is the georeferenced one: MS pixel (i, j) is the area of
its r x r PAN pixels and its sample sits at their centre; filters have unit sum and the exact MTF gain at Nyquist.
`ToolboxSampling` equals the reference Matlab toolbox digit for digit: phase floor(r/2), unnormalised kernels,
circular and replicate borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from torch import Tensor

from fusioncli.ops import kernels, toolbox
from fusioncli.ops.resample import Taps, apply_taps, sampled

_KERNELS = {"cubic": (kernels.cubic, 2), "lanczos": (kernels.lanczos, 4)}
_GAUSSIAN_RADIUS_SIGMAS = 4.0  # beyond it a Gaussian weighs less than 1e-4 of its sum
UPSAMPLERS = (*_KERNELS, "interp23tap")


class Sampling(Protocol):
    """Operators between the MS grid (h, w) and the PAN grid (h·ratio, w·ratio), all linear, NCHW, dtype kept."""

    @property
    def ratio(self) -> int:
        """PAN pixels per MS pixel, along either axis."""
        ...

    @property
    def reach_px(self) -> int:
        """How far, in PAN px, `upsample(degrade(pan))` looks around a pixel."""
        ...

    def upsample(self, ms: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, h·ratio, w·ratio)."""
        ...

    def blur(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """MTF low-pass on the grid of x: (N, C or 1, H, W) to (N, len(gains), H, W)."""
        ...

    def degrade(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """MTF low-pass, then one sample per MS pixel: (N, C or 1, H, W) to (N, len(gains), h, w)."""
        ...

    def smooth(self, pan: Tensor) -> Tensor:
        """The sensor-independent low-pass of the intensity, used to match histograms: (N, 1, H, W) to the same."""
        ...

    def shrink(self, pan: Tensor) -> Tensor:
        """PAN as GSA's regression sees it: low-passed without a sensor model, on the MS grid (N, 1, h, w)."""
        ...


@dataclass(frozen=True)
class CentredSampling:
    """Pixel-area convention of georeferenced products; symmetric borders, unit-sum filters.

    Attributes:
        ratio: PAN pixels per MS pixel on the grid the models see.
        gsd_ratio: true resolution ratio of the sensor (it differs from `ratio` when the MS was resampled).
        kernel: "cubic" (a = -0.5, as GDAL and Matlab) or "lanczos" (4 lobes).
    """

    ratio: int
    gsd_ratio: float
    kernel: str = "cubic"

    @property
    def reach_px(self) -> int:
        """Interpolation support plus the longest low-pass (gain 0.1), rounded up."""
        longest = _GAUSSIAN_RADIUS_SIGMAS * kernels.gaussian_sigma(0.1, self.gsd_ratio)
        return _KERNELS[self.kernel][1] * self.ratio + int(np.ceil(longest)) + self.ratio

    def upsample(self, ms: Tensor) -> Tensor:
        """Interpolate to PAN pixel centres."""
        h, w = ms.shape[-2:]
        return apply_taps(ms, _upsampling_taps(self.kernel, self.ratio), (h * self.ratio, w * self.ratio), "symmetric")

    def blur(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """Gaussian of exact gain at Nyquist."""
        return toolbox.per_gain(x, gains, lambda bands, gain: self._gaussian(bands, gain, 1))

    def degrade(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """Gaussian of exact gain at Nyquist, sampled at MS pixel centres (between PAN pixels when ratio is even)."""
        return toolbox.per_gain(x, gains, lambda bands, gain: self._gaussian(bands, gain, self.ratio))

    def smooth(self, pan: Tensor) -> Tensor:
        """Gaussian of gain 0.3."""
        return self._gaussian(pan, kernels.DEFAULT_MS_GAIN, 1)

    def shrink(self, pan: Tensor) -> Tensor:
        """Gaussian of gain 0.3 at MS pixel centres."""
        return self._gaussian(pan, kernels.DEFAULT_MS_GAIN, self.ratio)

    def _gaussian(self, x: Tensor, gain: float, every: int) -> Tensor:
        taps = _gaussian_taps(kernels.gaussian_sigma(gain, self.gsd_ratio), every)
        return apply_taps(x, taps, (x.shape[-2] // every, x.shape[-1] // every), "symmetric")


@dataclass(frozen=True)
class ToolboxSampling:
    """The reference toolbox's convention, for whole scenes (its circular border cannot be tiled).

    Attributes:
        ratio: a power of two.
    """

    ratio: int

    @property
    def reach_px(self) -> int:
        """Half-band cascade (11 px per stage) plus half the 41 taps of the MTF filter."""
        return len(kernels.half_band_response(self.ratio)) // 2 + kernels.MTF_TAPS // 2 + self.ratio

    def upsample(self, ms: Tensor) -> Tensor:
        """`interp23tap`."""
        return toolbox.interp23tap(ms, self.ratio)

    def blur(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """`MTF`."""
        return toolbox.mtf_filter(x, gains, self.ratio)

    def degrade(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """`MTF`, then px floor(r/2) of every r."""
        return toolbox.mtf_degrade(x, gains, self.ratio)

    def smooth(self, pan: Tensor) -> Tensor:
        """`LPfilterGauss`."""
        return toolbox.gaussian_lowpass(pan, self.ratio)

    def shrink(self, pan: Tensor) -> Tensor:
        """`LPfilterPlusDec`."""
        return toolbox.decimate(toolbox.starck_murtagh_lowpass(pan, self.ratio), self.ratio)


@lru_cache(maxsize=32)
def _upsampling_taps(kernel: str, ratio: int) -> Taps:
    function, radius = _KERNELS[kernel]
    return sampled(function, (np.arange(ratio) + 0.5) / ratio - 0.5, radius, 1)


@lru_cache(maxsize=64)
def _gaussian_taps(sigma: float, every: int) -> Taps:
    centre = np.array([(every - 1) / 2])
    return sampled(lambda x: np.exp(-0.5 * (x / sigma) ** 2), centre, _GAUSSIAN_RADIUS_SIGMAS * sigma, every)
