"""Brovey: the bands are multiplied by the ratio of PAN to an intensity made of them (`brovey`, `bt-h`)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from fusioncli.models.classical.base import Classical
from fusioncli.models.classical.ratio import GUARDED, UNGUARDED, Intensity, Lines, RatioFusion
from fusioncli.models.classical.regression import deviation, least_squares, moments_of
from fusioncli.models.contract import Window
from fusioncli.models.statistics import Histogram, Moments, Statistics, Values
from fusioncli.ops.kernels import DEFAULT_MS_GAIN

_HAZE_SHARES = (0.95, 0.45, 0.40, 0.05)  # of the dark percentile, for blue, green, red, near infrared
_DARK = 0.01


class Brovey(Classical):
    """Intensity = the bands weighted as the PAN's spectral response sees them (GDAL's "weighted Brovey")."""

    name: ClassVar[str] = "brovey"
    streamed: ClassVar[bool] = False

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and pan (N, 1, H, W), DN, to (N, B, H, W), DN."""
        return self._model.fuse(ms, pan)

    @property
    def _model(self) -> RatioFusion:
        same = Lines(np.ones(1), np.zeros(1))
        low = Intensity(self.sampling, np.array(self.optics.pan_weights))
        return RatioFusion(self.card, self.sampling, low, [0] * len(low.weights), same, same)


class BroveyHaze(Classical):
    """Brovey with regressed weights, and path radiance that is not modulated (Lolli et al., 2017).

    Four bands are taken to be blue, green, red and near infrared; their haze is a share of the 1st
    percentile. For any other number it is the darkest value of the band. Both are read off the MS itself,
    from a histogram with bins 0.05 % wide; in the toolbox's sampling off the upsampled MS, and exactly, as
    the toolbox does.
    """

    name: ClassVar[str] = "bt-h"

    @property
    def reach_px(self) -> int:
        """Observing low-passes the PAN."""
        return self.sampling.reach_px(DEFAULT_MS_GAIN)

    def observe(self, window: Window) -> Statistics:
        """Moments of the bands and the smoothed PAN on the PAN grid; levels of the bands."""
        lms = self.sampling.upsample(window.ms)
        literal = self.sampling.literal
        levels = Values.of(window.counted(lms)) if literal else Histogram.of(window.counted_ms(window.ms))
        return {"full": Moments.of(window.counted(lms, self.sampling.smooth(window.pan))), "levels": levels}

    def fit(self, statistics: Statistics) -> RatioFusion:
        """Weights w by least squares without intercept; PAN stretched to the intensity's mean and deviation.

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        full = moments_of(statistics, "full", pan=-1)
        levels = statistics["levels"]
        assert isinstance(levels, Histogram | Values)
        weights = least_squares(full.second[:-1, :-1], full.second[:-1, -1])
        slope = deviation(weights, full.covariance[:-1, :-1]) / np.sqrt(full.covariance[-1, -1])
        haze = _haze(levels, len(weights))
        veil = weights @ haze
        shift = weights @ full.mean[:-1] - slope * full.mean[-1]
        return RatioFusion(
            self.card,
            self.sampling,
            low=Intensity(self.sampling, weights),
            channels=[0] * len(weights),
            numerator=Lines(np.array([slope]), np.array([shift - veil])),
            denominator=Lines(np.ones(1), np.array([-veil])),
            haze=haze,
            limits=UNGUARDED if self.sampling.literal else GUARDED,
        )


def _haze(levels: Histogram | Values, bands: int) -> np.ndarray:
    if bands == len(_HAZE_SHARES):
        return np.array([share * levels.quantile(band, _DARK) for band, share in enumerate(_HAZE_SHARES)])
    return np.array([levels.quantile(band, 0.0) for band in range(bands)])
