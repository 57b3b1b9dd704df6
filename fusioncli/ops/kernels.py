"""Filter kernels as numbers (numpy): continuous interpolation kernels, Gaussian MTF, the toolbox's own.

The toolbox kernels follow the community's reference Matlab toolbox (Vivone et al., "A Critical Comparison
Among Pansharpening Algorithms", IEEE TGRS 2015) digit for digit; where the product deviates on purpose, the
deviation has a name of its own: `gaussian_sigma` (exact gain at Nyquist, unit sum) instead of `mtf_kernel`
(sampled, not normalised).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

MTF_TAPS = 41
DEFAULT_MS_GAIN = 0.3
_KAISER_BETA = 0.5  # Matlab's default for kaiser(N), which the toolbox uses for its window method

# Twice the published half-band coefficients at offsets ±1, ±3, …, ±11; the centre is 1, the even taps are 0.
_HALF_BAND = (
    0.610668182370,
    -0.145397186478,
    0.043619155884,
    -0.010385513306,
    0.001615524292,
    -0.000120162964,
)


def cubic(x: np.ndarray) -> np.ndarray:
    """Cubic convolution, a = -0.5, support ±2 (Keys 1981): Matlab's `bicubic` and GDAL's `cubic`."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def lanczos(x: np.ndarray, lobes: int = 4) -> np.ndarray:
    """Sinc under a sinc window, support ±lobes (Duchon 1979)."""
    return np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0.0)


def gaussian_sigma(gain: float, ratio: float) -> float:
    """Standard deviation, PAN px, of the Gaussian whose response at the MS Nyquist 1/(2 ratio) is `gain`."""
    return ratio * float(np.sqrt(-2.0 * np.log(gain))) / np.pi


@lru_cache(maxsize=64)
def mtf_kernel(gain: float, ratio: float) -> np.ndarray:
    """The toolbox's `genMTF` kernel of a band: (41, 41), not normalised (sum 0.9987 at gain 0.3, ratio 4)."""
    return _windowed_gaussian(gain, ratio, MTF_TAPS - 1)


@lru_cache(maxsize=8)
def gaussian_lowpass_kernel(ratio: float) -> np.ndarray:
    """The toolbox's `LPfilterGauss` kernel: `mtf_kernel` at gain 0.3, scaled by N instead of N - 1."""
    return _windowed_gaussian(DEFAULT_MS_GAIN, ratio, MTF_TAPS)


def _windowed_gaussian(gain: float, ratio: float, bins: int) -> np.ndarray:
    """Window-method FIR of a Gaussian response: inverse DFT times Huang's rotated Kaiser window."""
    half = MTF_TAPS // 2
    alpha = bins / (2.0 * ratio) / np.sqrt(-2.0 * np.log(gain))
    offset = np.arange(-half, half + 1)
    response = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2.0 * alpha**2))
    response[response < np.finfo(float).eps * response.max()] = 0.0
    spatial = np.real(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(response))))
    t = offset * 2.0 / (MTF_TAPS - 1)
    radius = np.hypot(t[:, None], t[None, :])
    window = np.interp(radius, t, np.kaiser(MTF_TAPS, _KAISER_BETA))
    window[radius > 1.0] = 0.0
    kernel = spatial * window
    kernel.flags.writeable = False
    return kernel


def half_band_response(ratio: int) -> np.ndarray:
    """Impulse response of the toolbox's `interp23tap` cascade for ratio 2, 4, 8 …, centred, odd length.

    Raises:
        ValueError: the ratio is not a power of two (the cascade doubles the size at every stage).
    """
    stages = int(np.log2(ratio)) if ratio >= 2 else 0
    if 2**stages != ratio or stages == 0:
        raise ValueError(f"interp23tap needs a power of two, got ratio {ratio}")
    stage = np.zeros(23)
    stage[11] = 1.0
    stage[10::-2] = _HALF_BAND
    stage[12::2] = _HALF_BAND
    response = stage
    for _ in range(stages - 1):
        spread = np.zeros(2 * len(response) - 1)
        spread[::2] = response
        response = np.convolve(spread, stage)
    return response
