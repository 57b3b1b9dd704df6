"""Band-dependent spatial detail, physically constrained (`bdsd-pc`)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fusioncli.models.classical.base import Classical
from fusioncli.models.classical.linear import LinearFusion
from fusioncli.models.classical.regression import moments_of, signed_least_squares
from fusioncli.models.contract import Window
from fusioncli.models.statistics import Moments, Statistics


class BandDependentDetail(Classical):
    """BDSD-PC (Vivone, 2019): the detail that each band's MTF takes away, regressed on PAN and the bands.

    The regression is at the MS scale; PAN's coefficient may not be negative, those of the bands not positive.
    """

    name: ClassVar[str] = "bdsd-pc"

    @property
    def reach_px(self) -> int:
        """Observing low-passes the MS on its own grid, the longest of all filters."""
        sampling, optics = self.sampling, self.optics
        widest = max(sampling.blur_reach_px(gain) for gain in optics.ms_mtf)
        return max(sampling.ratio * widest, sampling.reach_px(optics.pan_mtf))

    def observe(self, window: Window) -> Statistics:
        """Moments, on the MS grid, of the bands' lost detail, the low-passed bands and the degraded PAN."""
        ms = self.sampling.settle(window.ms)
        low = self.sampling.blur(ms, self.optics.ms_mtf)
        pan = self.sampling.degrade(window.pan, (self.optics.pan_mtf,))
        return {"small": Moments.of(window.counted_ms(ms - low, low, pan))}

    def fit(self, statistics: Statistics) -> LinearFusion:
        """Coefficients gamma of fused = lms + gamma · [lms, pan].

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        second = moments_of(statistics, "small", pan=-1).second
        bands = len(second) // 2
        signs = np.append(-np.ones(bands), 1.0)
        gram, cross = second[bands:, bands:], second[bands:, :bands]
        gamma = np.stack([signed_least_squares(gram, cross[:, band], signs) for band in range(bands)])
        return LinearFusion(
            self.card, self.sampling, np.eye(bands) + gamma[:, :-1], np.zeros(bands), added=gamma[:, -1]
        )
