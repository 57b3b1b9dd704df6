"""Separable linear resampling: one banded operator serves interpolation, low-pass filters and decimation.

Along one axis every filter used here is periodic: `phases` outputs for every `step` inputs. Upsampling by r
has r phases and step 1, decimation by r has one phase and step r, a plain filter has one phase and step 1. A
run of periods is a small dense matrix, so the whole axis is one matrix product of blocks, which is several
times faster on a CPU than strided convolutions and the same code on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Border = Literal["symmetric", "replicate", "circular"]
"""What lies outside the array: mirrored (edge sample repeated), the edge sample, or the other end."""

_BLOCK_INPUTS = 16


@dataclass(frozen=True)
class Taps:
    """A periodic banded map along one axis: y[P·k + p] = Σ_t weights[p][t] · x[step·k + first + t].

    Attributes:
        weights: P rows of equal length, one per output phase.
        first: offset of the first tap from the period's input position, px of the input.
        step: inputs consumed per period of P outputs.
    """

    weights: tuple[tuple[float, ...], ...]
    first: int
    step: int

    @staticmethod
    def of(weights: np.ndarray, first: int, step: int) -> Taps:
        """Build from an array of shape (phases, taps)."""
        return Taps(tuple(tuple(map(float, row)) for row in np.atleast_2d(weights)), first, step)

    @property
    def reach(self) -> int:
        """How far, in input px, an output looks to either side of its period."""
        return max(-self.first, self.first + len(self.weights[0]) - self.step)


def sampled(kernel: Callable[[np.ndarray], np.ndarray], centres: np.ndarray, radius: float, step: int) -> Taps:
    """Sample a continuous kernel around each output centre, rows normalised to sum 1.

    Args:
        kernel: function of the distance in input px.
        centres: position of the outputs of one period, in input px (sample j sits at j).
        radius: support of the kernel, input px.
        step: inputs per period.
    """
    first = int(np.ceil(centres.min() - radius))
    last = int(np.floor(centres.max() + radius))
    weights = kernel(centres[:, None] - np.arange(first, last + 1)[None, :])
    return Taps.of(weights / weights.sum(1, keepdims=True), first, step)


def border_index(n: int, before: int, after: int, border: Border) -> np.ndarray:
    """Index into an axis of n samples for positions -before … n-1+after."""
    position = np.arange(-before, n + after)
    if border == "circular":
        return position % n
    if border == "replicate":
        return position.clip(0, n - 1)
    folded = position % (2 * n)
    return np.where(folded < n, folded, 2 * n - 1 - folded)


def pad(x: Tensor, rows: tuple[int, int], cols: tuple[int, int], border: Border) -> Tensor:
    """Extend the last two axes by (before, after) px."""
    for dim, (before, after) in ((-2, rows), (-1, cols)):
        if before or after:
            index = border_index(x.shape[dim], before, after, border)
            x = x.index_select(x.dim() + dim, torch.from_numpy(index).to(x.device))
    return x


def without_margin(image: Tensor, px: int) -> Tensor:
    """The middle of (..., H, W), so many pixels from every side, as a view."""
    height, width = image.shape[-2:]
    return image[..., px : height - px, px : width - px]


def apply_taps(x: Tensor, taps: Taps | tuple[Taps, Taps], sizes: tuple[int, int], border: Border) -> Tensor:
    """Apply taps to rows and columns.

    Args:
        x: (..., h, w), floating point.
        taps: the map along either axis, or one for the rows and one for the columns.
        sizes: output height and width.
        border: what lies outside x.

    Returns:
        (..., *sizes), dtype and device of x.
    """
    rows, cols = taps if isinstance(taps, tuple) else (taps, taps)
    if sizes[0] > x.shape[-2]:  # grow the rows last, shrink them first: the other axis then has fewer of them
        return _along_rows(_along_columns(x, cols, sizes[1], border), rows, sizes[0], border)
    return _along_columns(_along_rows(x, rows, sizes[0], border), cols, sizes[1], border)


def _along_rows(x: Tensor, taps: Taps, n_out: int, border: Border) -> Tensor:
    """Filter over the second to last axis."""
    matrix, blocks, before, after = _plan(taps, x.shape[-2], n_out)
    x = pad(x, (before, after), (0, 0), border)
    windows = x.unfold(-2, matrix.shape[0], taps.step * _periods(taps)).transpose(-1, -2)
    out = torch.matmul(matrix.T.to(x), windows)
    return out.reshape(*x.shape[:-2], blocks * matrix.shape[1], x.shape[-1])[..., :n_out, :]


def _along_columns(x: Tensor, taps: Taps, n_out: int, border: Border) -> Tensor:
    """Filter over the last axis: two transpositions cost less than products of narrow matrices."""
    return _along_rows(x.mT.contiguous(), taps, n_out, border).mT.contiguous()


def _periods(taps: Taps) -> int:
    return max(1, _BLOCK_INPUTS // taps.step)


def _plan(taps: Taps, n_in: int, n_out: int) -> tuple[Tensor, int, int, int]:
    """Block matrix (inputs, outputs), number of blocks, and padding (crop, if negative) around the axis."""
    matrix = _block_matrix(taps)
    blocks = -(-n_out // matrix.shape[1])
    end = (blocks - 1) * taps.step * _periods(taps) + taps.first + matrix.shape[0]
    return matrix, blocks, -taps.first, end - n_in


@lru_cache(maxsize=256)
def _block_matrix(taps: Taps) -> Tensor:
    weights = np.asarray(taps.weights)
    phases, length = weights.shape
    periods = _periods(taps)
    matrix = np.zeros(((periods - 1) * taps.step + length, periods * phases))
    for k in range(periods):
        matrix[k * taps.step : k * taps.step + length, k * phases : (k + 1) * phases] = weights.T
    return torch.from_numpy(matrix)
