"""How the MS grid samples the PAN grid: the operators, down and up, that every fusion method is built on.

Two conventions exist and are never mixed. `CentredSampling` is the georeferenced one: MS pixel (i, j) is the
area of its r x r PAN pixels and its sample sits at their centre; filters have unit sum and the exact MTF gain
at Nyquist. `ToolboxSampling` equals the reference Matlab toolbox digit for digit: phase floor(r/2),
unnormalised kernels, circular and replicate borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from torch import Tensor

from fusioncli.errors import UsageError
from fusioncli.ops import kernels, toolbox
from fusioncli.ops.resample import Taps, apply_taps, sampled

_KERNELS = {"cubic": (kernels.cubic, 2), "lanczos": (kernels.lanczos, 4)}
_GAUSSIAN_RADIUS_SIGMAS = 4.0  # beyond it a Gaussian weighs less than 1e-4 of its sum
UPSAMPLERS = (*_KERNELS, "interp23tap")


class Sampling(Protocol):
    """Operators between the MS grid (h, w) and the PAN grid (h·ratio, w·ratio): linear, NCHW, dtype kept."""

    @property
    def ratio(self) -> int:
        """PAN pixels per MS pixel, along either axis."""
        ...

    @property
    def literal(self) -> bool:
        """Whether results must equal the reference toolbox's, digit for digit: one window, no guards."""
        ...

    def reach_px(self, *gains: float) -> int:
        """How far, in PAN px, `upsample` looks; if gains are given, `upsample(degrade(pan, gains))`."""
        ...

    def upsample(self, ms: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, h·ratio, w·ratio)."""
        ...

    def blur_reach_px(self, gain: float) -> int:
        """How far `blur` looks, in px of the grid it works on."""
        ...

    def blur(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """MTF low-pass on the grid of x: (N, C or 1, H, W) to (N, len(gains), H, W)."""
        ...

    def degrade(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """MTF low-pass, then one sample per MS pixel: (N, C or 1, H, W) to (N, len(gains), h, w)."""
        ...

    def smooth(self, pan: Tensor) -> Tensor:
        """The sensor-independent low-pass of PAN, used to match histograms: (N, 1, H, W) to the same."""
        ...

    def shrink(self, pan: Tensor) -> Tensor:
        """PAN as GSA's regression sees it: low-passed without a sensor model, on the MS grid (N, 1, h, w)."""
        ...

    def settle(self, ms: Tensor) -> Tensor:
        """MS as BDSD's regression sees it, on its own grid: (N, C, h, w) to the same."""
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
    def literal(self) -> bool:
        """No: filters, borders and phases are those of the product."""
        return False

    def reach_px(self, *gains: float) -> int:
        """Interpolation support, plus the widest of the Gaussians."""
        widest = max((self.blur_reach_px(gain) for gain in gains), default=0)
        return _KERNELS[self.kernel][1] * self.ratio + widest

    def blur_reach_px(self, gain: float) -> int:
        """How far `blur` looks, in px of the grid it works on."""
        return int(np.ceil(_GAUSSIAN_RADIUS_SIGMAS * kernels.gaussian_sigma(gain, self.gsd_ratio)))

    def upsample(self, ms: Tensor) -> Tensor:
        """Interpolate to PAN pixel centres."""
        sizes = ms.shape[-2] * self.ratio, ms.shape[-1] * self.ratio
        return apply_taps(ms, _upsampling_taps(self.kernel, self.ratio), sizes, "symmetric")

    def blur(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """Gaussian of exact gain at Nyquist (0.005 more where its σ is below 0.7 px)."""
        return toolbox.per_gain(x, gains, lambda bands, gain: self._gaussian(bands, gain, 1))

    def degrade(self, x: Tensor, gains: Sequence[float]) -> Tensor:
        """Gaussian of exact gain at Nyquist, sampled at MS pixel centres (between PAN px if r is even)."""
        return toolbox.per_gain(x, gains, lambda bands, gain: self._gaussian(bands, gain, self.ratio))

    def smooth(self, pan: Tensor) -> Tensor:
        """Gaussian of gain 0.3."""
        return self._gaussian(pan, kernels.DEFAULT_MS_GAIN, 1)

    def shrink(self, pan: Tensor) -> Tensor:
        """Gaussian of gain 0.3 at MS pixel centres."""
        return self._gaussian(pan, kernels.DEFAULT_MS_GAIN, self.ratio)

    def settle(self, ms: Tensor) -> Tensor:
        """MS as it is."""
        return ms

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
    def literal(self) -> bool:
        """Yes."""
        return True

    def reach_px(self, *gains: float) -> int:
        """Half-band cascade (11 px at its last stage, 22 before …), plus half the taps of the MTF filter."""
        return len(kernels.half_band_response(self.ratio)) // 2 + (kernels.MTF_TAPS // 2 if gains else 0)

    def blur_reach_px(self, gain: float) -> int:
        """Half the 41 taps, whatever the gain."""
        return kernels.MTF_TAPS // 2

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

    def settle(self, ms: Tensor) -> Tensor:
        """`imresize` of the upsampled MS, 1/r: the toolbox goes there and back, half a PAN pixel off."""
        return toolbox.imresize(self.upsample(ms), 1 / self.ratio)


@lru_cache(maxsize=32)
def _upsampling_taps(kernel: str, ratio: int) -> Taps:
    function, radius = _KERNELS[kernel]
    return sampled(function, (np.arange(ratio) + 0.5) / ratio - 0.5, radius, 1)


@lru_cache(maxsize=64)
def _gaussian_taps(sigma: float, every: int) -> Taps:
    centre = np.array([(every - 1) / 2])
    return sampled(lambda x: np.exp(-0.5 * (x / sigma) ** 2), centre, _GAUSSIAN_RADIUS_SIGMAS * sigma, every)


def sampling_for(upsampler: str, ratio: int, gsd_ratio: float) -> Sampling:
    """The sampling that an `--upsampler` name stands for.

    Raises:
        UsageError: unknown name, or `interp23tap` at a ratio that is not 2, 4, 8 ….
    """
    if upsampler in _KERNELS:
        return CentredSampling(ratio, gsd_ratio, upsampler)
    if upsampler != "interp23tap":
        raise UsageError(f"no upsampler is called '{upsampler}'", f"choose one of {', '.join(UPSAMPLERS)}")
    if ratio < 2 or ratio & (ratio - 1):
        raise UsageError(f"interp23tap doubles the size at every stage; the ratio is {ratio}", "use --upsampler cubic")
    return ToolboxSampling(ratio)
