"""What every method for cubes starts from: the guide as the cube's sensor would see it, and regressions on it.

`ms` is the hyperspectral cube of B bands, `pan` the guide: the M >= 1 bands of a sharper image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from torch import Tensor

from fusioncli.errors import DataError
from fusioncli.models.classical.base import Classical
from fusioncli.models.classical.regression import least_squares
from fusioncli.models.contract import Window
from fusioncli.models.statistics import Accumulator, Moments, Statistics

_BANDS_AT_ONCE = 16  # temporaries of so many bands stay small beside the result
_FLAT_CUTOFF = 1e-12  # of the squared mean: a smaller variance is round-off of a constant


class CubeMethod(Classical):
    """A method whose guide may have any number of bands."""

    guide_bands: ClassVar[int | None] = None

    @property
    def gain(self) -> float:
        """MTF gain of the cube at its Nyquist, one for all bands: their mean."""
        return sum(self.optics.ms_mtf) / len(self.optics.ms_mtf)

    @property
    def reach_px(self) -> int:
        """Upsampling of a low-passed guide."""
        return self.sampling.reach_px(self.gain)

    def lower(self, x: Tensor) -> Tensor:
        """Through the MTF of the cube, on its grid: (N, C, H, W) to (N, C, h, w)."""
        return self.sampling.degrade(x, (self.gain,) * x.shape[1])

    def observe(self, window: Window) -> Statistics:
        """Moments of the cube and the lowered guide on the cube's grid."""
        return {"small": Moments.of(window.counted_ms(window.ms, self.lower(window.pan)))}


def band_groups(bands: int) -> Iterator[slice]:
    """A few bands at a time."""
    for first in range(0, bands, _BANDS_AT_ONCE):
        yield slice(first, min(first + _BANDS_AT_ONCE, bands))


def moments_of(accumulator: Accumulator, bands: int) -> Moments:
    """Moments of cube and guide, once it is sure that they determine something.

    Args:
        accumulator: moments of the cube's bands, then the guide's.
        bands: of the cube.

    Raises:
        DataError: no valid pixel, or every band of the guide is constant.
    """
    assert isinstance(accumulator, Moments)
    if accumulator.count == 0:
        raise DataError(
            "no pixel holds data in PAN and in every MS band at once",
            "compare the extents and nodata values: fusion info FILE",
        )
    spread = np.diag(accumulator.covariance)[bands:]
    if (spread <= _FLAT_CUTOFF * accumulator.mean[bands:] ** 2).all():
        raise DataError(
            f"PAN is constant at all {accumulator.count} valid pixels: no detail",
            "check the file given to --pan and its nodata value: fusion info FILE",
        )
    return accumulator


def regress_on_guide(moments: Moments, bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Every band of the cube as a sum of guide bands, by least squares with intercept.

    Args:
        moments: of the cube's bands, then the guide's.
        bands: of the cube.

    Returns:
        Weights (B, M), and intercepts (B,), DN.
    """
    gram = moments.covariance[bands:, bands:]
    weights = np.array([least_squares(gram, cross) for cross in moments.covariance[:bands, bands:]])
    return weights, moments.mean[:bands] - weights @ moments.mean[bands:]
