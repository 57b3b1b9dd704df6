"""Component substitution: an intensity made of the MS bands is replaced by the PAN (`gs`, `gsa`)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fusioncli.models.classical.base import Classical
from fusioncli.models.classical.linear import LinearFusion
from fusioncli.models.classical.regression import deviation, least_squares, moments_of, share
from fusioncli.models.contract import Window
from fusioncli.models.statistics import Moments, Statistics
from fusioncli.ops.kernels import DEFAULT_MS_GAIN


class GramSchmidt(Classical):
    """Intensity = mean of the bands, PAN stretched to its mean and deviation (Laben and Brower, 2000)."""

    name: ClassVar[str] = "gs"

    def observe(self, window: Window) -> Statistics:
        """Moments of the bands and PAN on the PAN grid."""
        return {"full": Moments.of(window.counted(self.sampling.upsample(window.ms), window.pan))}

    def fit(self, statistics: Statistics) -> LinearFusion:
        """Gains cov(I, band) / var(I), by the PAN's stretch std(I) / std(PAN).

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        full = moments_of(statistics, "full", pan=-1)
        bands = len(full.mean) - 1
        weights = np.full(bands, 1.0 / bands)
        stretch = deviation(weights, full.covariance[:bands, :bands]) / np.sqrt(full.covariance[-1, -1])
        return self._substitute(full, weights, stretch)

    def _substitute(self, full: Moments, weights: np.ndarray, stretch: float) -> LinearFusion:
        """Fuse by lms + g (stretch (pan - mean) - (I - mean)), I = weights · lms, g = cov(I, lms) / var I."""
        bands = len(weights)
        covariance = full.covariance[:bands, :bands] @ weights
        gain = share(covariance, weights @ covariance)
        offset = gain * (weights @ full.mean[:bands] - stretch * full.mean[-1])
        mix = np.eye(bands) - np.outer(gain, weights)
        return LinearFusion(self.card, self.sampling, mix, offset, stretch * gain)


class GramSchmidtAdaptive(GramSchmidt):
    """Intensity = the sum of bands that best fits the PAN at the MS scale (Aiazzi et al., 2007)."""

    name: ClassVar[str] = "gsa"

    @property
    def reach_px(self) -> int:
        """Observing low-passes the PAN."""
        return self.sampling.reach_px(DEFAULT_MS_GAIN)

    def observe(self, window: Window) -> Statistics:
        """As `gs`, and moments of the bands and the shrunk PAN on the MS grid."""
        small = window.counted_ms(window.ms, self.sampling.shrink(window.pan))
        return super().observe(window) | {"small": Moments.of(small)}

    def fit(self, statistics: Statistics) -> LinearFusion:
        """Weights by least squares with intercept at the MS scale; gains as `gs`, PAN not stretched.

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        full = moments_of(statistics, "full", pan=-1)
        small = moments_of(statistics, "small", pan=-1)
        weights = least_squares(small.covariance[:-1, :-1], small.covariance[:-1, -1])
        return self._substitute(full, weights, 1.0)
