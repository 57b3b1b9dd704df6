"""The reference toolbox's own filters and borders, for figures that must equal the literature's (torch).

Everything here is exact in float64 and *not* meant for georeferenced products: `interp23tap` places MS sample
k on PAN pixel r·k + r/2, half a PAN pixel away from the centre of the MS pixel, and its border is circular.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fusioncli.ops import kernels
from fusioncli.ops.resample import Taps, apply_taps, pad, sampled


def interp23tap(x: Tensor, ratio: int) -> Tensor:
    """Upsample by a power of two: sample k lands on r·k + r/2, circular border.

    The toolbox's loop runs `ratio/2` times, right for 2 and 4 only; this one runs log2(ratio) times.

    Args:
        x: (..., h, w).
        ratio: 2, 4, 8 ….

    Raises:
        ValueError: ratio is not a power of two.
    """
    h, w = x.shape[-2:]
    return apply_taps(x, _interp23_taps(ratio), (h * ratio, w * ratio), "circular")


def mtf_filter(x: Tensor, gains: Sequence[float], ratio: float) -> Tensor:
    """The toolbox's `MTF` and `MTF_PAN`: each band through `kernels.mtf_kernel`, replicate border.

    Args:
        x: (N, C, H, W), or (N, 1, H, W) to give one output band per gain.
        gains: C gains at the MS Nyquist.
        ratio: scale between the grids.

    Returns:
        (N, len(gains), H, W).
    """
    return per_gain(x, gains, lambda bands, gain: filter2d(bands, kernels.mtf_kernel(gain, ratio)))


def mtf_degrade(x: Tensor, gains: Sequence[float], ratio: int) -> Tensor:
    """`decimate(mtf_filter(x, …))` without computing the pixels that decimation drops."""
    return per_gain(x, gains, lambda bands, gain: filter2d(bands, kernels.mtf_kernel(gain, ratio), every=ratio))


def gaussian_lowpass(x: Tensor, ratio: float) -> Tensor:
    """The toolbox's `LPfilterGauss`, replicate border: (..., H, W) to the same shape."""
    return filter2d(x, kernels.gaussian_lowpass_kernel(ratio))


def decimate(x: Tensor, ratio: int) -> Tensor:
    """Keep px floor(r/2) of every r in both axes: Matlab's `imresize(x, 1/r, 'nearest')`."""
    return x[..., ratio // 2 :: ratio, ratio // 2 :: ratio]


def imresize(x: Tensor, scale: float | tuple[int, int], antialias: bool = True) -> Tensor:
    """Matlab's bicubic `imresize`: centre aligned, kernel stretched when shrinking, symmetric border.

    Args:
        x: (..., h, w).
        scale: one factor for both axes (output size is rounded up), or the output height and width.
        antialias: stretch the kernel when shrinking.
    """
    sizes = scale if isinstance(scale, tuple) else tuple(int(np.ceil(n * scale - 1e-9)) for n in x.shape[-2:])
    rows, cols = (
        _imresize_taps(Fraction(size, n) if isinstance(scale, tuple) else _fraction(scale), antialias)
        for size, n in zip(sizes, x.shape[-2:], strict=True)
    )
    return apply_taps(x, (rows, cols), (sizes[0], sizes[1]), "symmetric")


def starck_murtagh_lowpass(x: Tensor, ratio: int) -> Tensor:
    """The toolbox's `LPfilter`: [1 4 6 4 1]/16 twice per octave, analysis then synthesis; same shape."""
    levels = int(np.ceil(np.log2(ratio)))
    taps = Taps.of(np.array([[1, 4, 6, 4, 1]]) / 16.0, 0, 1)
    for level in range(2 * levels):
        x = pad(x, (4, 4), (4, 4), "symmetric") if level < levels else x
        x = apply_taps(x, taps, (x.shape[-2] - 4, x.shape[-1] - 4), "replicate")
    return x


def filter2d(x: Tensor, kernel: np.ndarray, every: int = 1) -> Tensor:
    """Correlate the last two axes with a symmetric odd-sized kernel, replicate border, dtype of x.

    The kernel is split into separable terms (eigenvalues down to 1e-14 of the first): exact to round-off.

    Args:
        x: (..., H, W).
        kernel: (n, n), symmetric.
        every: keep only px floor(every/2) of every so many, as `decimate` does.
    """
    sizes = [-(-(n - every // 2) // every) for n in x.shape[-2:]]
    terms = [
        sign * apply_taps(x, taps, (sizes[0], sizes[1]), "replicate")
        for sign, taps in _separable_terms(kernel.tobytes(), every)
    ]
    return torch.stack(terms).sum(0)


def per_gain(x: Tensor, gains: Sequence[float], filtered: Callable[[Tensor, float], Tensor]) -> Tensor:
    """Filter band i of x with gain i; a single band is filtered once per distinct gain and repeated."""
    if x.shape[1] == 1:
        once = {gain: filtered(x, gain) for gain in dict.fromkeys(gains)}
        return torch.cat([once[gain] for gain in gains], 1)
    if len(set(gains)) == 1:
        return filtered(x, gains[0])
    return torch.cat([filtered(x[:, i : i + 1], gain) for i, gain in enumerate(gains)], 1)


@lru_cache(maxsize=64)
def _separable_terms(kernel: bytes, every: int) -> tuple[tuple[float, Taps], ...]:
    """Eigenvectors of a symmetric kernel as taps for rows and columns alike, with their signs."""
    values = np.frombuffer(kernel)
    side = round(len(values) ** 0.5)
    eigenvalues, vectors = np.linalg.eigh(values.reshape(side, side))
    first = every // 2 - side // 2
    return tuple(
        (float(np.sign(value)), Taps.of(vector * np.sqrt(abs(value)), first, every))
        for value, vector in zip(eigenvalues[::-1], vectors.T[::-1], strict=True)
        if abs(value) > 1e-14 * abs(eigenvalues).max()
    )


def _fraction(scale: float) -> Fraction:
    return Fraction(scale).limit_denominator(64)


@lru_cache(maxsize=32)
def _imresize_taps(scale: Fraction, antialias: bool) -> Taps:
    stretch = max(1.0, float(1 / scale)) if antialias else 1.0
    centres = (np.arange(scale.numerator) + 0.5) / float(scale) - 0.5
    return sampled(lambda x: kernels.cubic(x / stretch), centres, 2 * stretch, scale.denominator)


@lru_cache(maxsize=8)
def _interp23_taps(ratio: int) -> Taps:
    response = kernels.half_band_response(ratio)
    centre = len(response) // 2
    reach = -(-centre // ratio) + 1
    offsets = np.arange(-reach, reach + 1)
    phases = np.arange(ratio)
    index = centre + phases[:, None] - ratio // 2 - ratio * offsets[None, :]
    inside = (index >= 0) & (index < len(response))
    return Taps.of(np.where(inside, response[index.clip(0, len(response) - 1)], 0.0), -reach, 1)
