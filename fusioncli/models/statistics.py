"""Scene statistics that add up: the same numbers however a scene is cut into parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from fusioncli.errors import DataError

Statistics = dict[str, "Accumulator"]
"""Named accumulators of one method; windows are merged key by key, in scene order."""

_CHUNK = 8192  # pixels converted to float64 at a time: they stay in the cache
_SIGN = np.uint32(2**31)
_DROPPED_BITS = np.uint32(12)
_NOTHING_COUNTED = (
    "no MS pixel holds data all over its area",
    "compare the extents and nodata values: fusion info FILE",
)


class Accumulator(Protocol):
    """What `Moments`, `Histogram` and `Values` have in common."""

    def __add__(self, other: Self) -> Self:
        """The same of the union of two disjoint sets of pixels."""
        ...


def merge(a: Statistics, b: Statistics) -> Statistics:
    """Add the statistics of two sets of pixels (order matters only in the last bit: keep it fixed)."""
    return {key: a[key] + b[key] for key in a}


@dataclass(frozen=True)
class Moments:
    """Count, means and centred second moments of a few channels, in float64.

    Merging is Chan, Golub and LeVeque's pairwise update (1979), which never subtracts large sums.

    Attributes:
        count: pixels.
        mean: (channels,).
        scatter: (channels, channels), Σ (x - mean)(x - mean)ᵀ.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, pixels: Tensor) -> Self:
        """From (channels, pixels) of any float type."""
        channels, count = pixels.shape
        if count == 0:
            return cls(0, np.zeros(channels), np.zeros((channels, channels)))
        near = pixels.mean(1, keepdim=True).double()  # close to the mean: what is left to correct is tiny
        total = torch.zeros(channels, 1, dtype=torch.float64, device=pixels.device)
        scatter = torch.zeros(channels, channels, dtype=torch.float64, device=pixels.device)
        for chunk in pixels.split(_CHUNK, 1):
            x = chunk - near
            total += x.sum(1, keepdim=True)
            scatter.addmm_(x, x.T)
        scatter.addmm_(total, total.T, alpha=-1.0 / count)
        return cls(count, (near + total / count)[:, 0].cpu().numpy(), scatter.cpu().numpy())

    def __add__(self, other: Self) -> Self:
        """Moments of the union of two disjoint sets of pixels."""
        if not (self.count and other.count):
            return self if self.count else other
        count = self.count + other.count
        step = other.mean - self.mean
        shift = np.outer(step, step) * (self.count * other.count / count)
        mean = self.mean + step * (other.count / count)
        return type(self)(count, mean, self.scatter + other.scatter + shift)

    @property
    def covariance(self) -> np.ndarray:
        """(channels, channels), with Bessel's correction (n - 1), as Matlab's `cov` and `std`."""
        return self.scatter / max(self.count - 1, 1)

    @property
    def second(self) -> np.ndarray:
        """(channels, channels), Σ x xᵀ: the normal equations of a regression without intercept."""
        return self.scatter + self.count * np.outer(self.mean, self.mean)


@dataclass(frozen=True)
class Histogram:
    """Counts per band over the leading bits of a float32, so that no range has to be known beforehand.

    Exact for integers below 4096, within 0.05 % above, for either sign. Only bins that hold something are
    stored.

    Attributes:
        bins: per band, ascending bin numbers, uint32.
        counts: per band, pixels in each of these bins, int64.
    """

    bins: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, pixels: Tensor) -> Self:
        """From (bands, pixels)."""
        bits = pixels.float().contiguous().cpu().numpy().view(np.uint32)
        ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN) >> _DROPPED_BITS
        bins, counts = zip(*(np.unique(band, return_counts=True) for band in ordered), strict=True)
        return cls(bins, counts)

    def __add__(self, other: Self) -> Self:
        """Counts of the union of two disjoint sets of pixels."""
        bands = zip(self.bins, other.bins, self.counts, other.counts, strict=True)
        bins, counts = zip(*(_sum_counts(np.r_[p, q], np.r_[m, n]) for p, q, m, n in bands), strict=True)
        return type(self)(bins, counts)

    def quantile(self, band: int, q: float) -> float:
        """Value that a share q (0 … 1) of the band's pixels does not exceed: its bin's edge nearest zero.

        Raises:
            DataError: the histogram is empty.
        """
        cumulated = np.cumsum(self.counts[band])
        if not len(cumulated):
            raise DataError(*_NOTHING_COUNTED)
        rank = np.searchsorted(cumulated, max(1, int(np.ceil(q * cumulated[-1]))))
        ordered = self.bins[band][rank] << _DROPPED_BITS
        bits = ordered ^ _SIGN if ordered & _SIGN else ~ordered >> _DROPPED_BITS << _DROPPED_BITS
        return float(bits.view(np.float32))


@dataclass(frozen=True)
class Values:
    """Every value, for the exact percentiles of a scene that is held in one piece anyway.

    Attributes:
        values: (bands, pixels).
    """

    values: np.ndarray

    @classmethod
    def of(cls, pixels: Tensor) -> Self:
        """From (bands, pixels)."""
        return cls(pixels.cpu().numpy())

    def __add__(self, other: Self) -> Self:
        """Values of the union of two disjoint sets of pixels."""
        return type(self)(np.concatenate([self.values, other.values], 1))

    def quantile(self, band: int, q: float) -> float:
        """Percentile 100·q as Matlab's `prctile`: the k-th of n values is the percentile 100 (k - 0.5) / n.

        Raises:
            DataError: there are no values.
        """
        if not self.values.shape[1]:
            raise DataError(*_NOTHING_COUNTED)
        return float(np.quantile(self.values[band], q, method="hazen"))


def _sum_counts(bins: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add the counts of bins that occur twice."""
    distinct, where = np.unique(bins, return_inverse=True)
    summed = np.zeros(len(distinct), np.int64)
    np.add.at(summed, where, counts)
    return distinct, summed
