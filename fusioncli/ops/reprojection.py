"""Fused images brought back to the MS grid at any phase, for the reprojection indices (Scarpa and Ciotola 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fusioncli.ops import kernels
from fusioncli.ops.toolbox import filter2d, per_gain

Phase = tuple[int, int]
"""Row and column, 0 … ratio - 1, of the PAN pixel that an MS pixel is sampled at."""


def unit_sum_filter(x: Tensor, gains: Sequence[float], ratio: int) -> Tensor:
    """The toolbox's MTF kernels without negative taps, scaled to unit sum; replicate border.

    Args:
        x: (N, C, H, W), or (N, 1, H, W) to give one output band per gain.
        gains: C gains at the MS Nyquist.
        ratio: scale between the grids.

    Returns:
        (N, len(gains), H, W).
    """
    return per_gain(x, gains, lambda bands, gain: filter2d(bands, _unit_sum(kernels.mtf_kernel(gain, ratio))))


def sample(x: Tensor, ratio: int, phases: Sequence[Phase]) -> Tensor:
    """Band i at its phase of every ratio px: (N, C, H, W) to (N, C, H / ratio, W / ratio)."""
    bands = [x[:, i : i + 1, row::ratio, col::ratio] for i, (row, col) in enumerate(phases)]
    return torch.cat(bands, 1)


def _unit_sum(kernel: np.ndarray) -> np.ndarray:
    clipped = np.maximum(kernel, 0.0)
    return clipped / clipped.sum()
