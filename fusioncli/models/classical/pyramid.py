"""Generalised Laplacian pyramid: detail is what the MTF removes from PAN (`mtf-glp` and variants)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from fusioncli.models.classical.base import Classical, LowPan
from fusioncli.models.classical.linear import LinearFusion
from fusioncli.models.classical.ratio import GUARDED, UNGUARDED, Lines, RatioFusion
from fusioncli.models.classical.regression import moments_of, share
from fusioncli.models.contract import Window
from fusioncli.models.statistics import Moments, Statistics


class _Pyramid(Classical):
    """What the four have in common."""

    per_band: ClassVar[bool] = True

    @property
    def reach_px(self) -> int:
        """Upsampling of a PAN low-passed by every band's MTF."""
        return self.sampling.reach_px(*self.optics.ms_mtf)

    def _add(self, gain: np.ndarray, offset: np.ndarray) -> LinearFusion:
        """Fuse by lms + gain (pan - low) + offset."""
        mix = np.eye(len(gain))
        return LinearFusion(self.card, self.sampling, mix, offset, gain, gain, self.optics.ms_mtf)

    def _modulate(self, numerator: Lines, denominator: Lines) -> RatioFusion:
        """Fuse by lms · numerator(pan) / denominator(low)."""
        low = LowPan(self.sampling, self.optics.ms_mtf)
        limits = UNGUARDED if self.sampling.literal else GUARDED
        return RatioFusion(self.card, self.sampling, low, low.channels, numerator, denominator, limits=limits)


class _Matched(_Pyramid):
    """PAN stretched, band by band, to the band's mean and standard deviation before anything else."""

    def observe(self, window: Window) -> Statistics:
        """Moments of the bands, PAN and the smoothed PAN on the PAN grid."""
        layers = self.sampling.upsample(window.ms), window.pan, self.sampling.smooth(window.pan)
        return {"full": Moments.of(window.counted(*layers))}

    def _match(self, statistics: Statistics) -> Lines:
        """Stretch of the PAN to each band, std(band) / std(smoothed PAN)."""
        full = moments_of(statistics, "full", pan=-1)
        slope = np.sqrt(np.diag(full.covariance)[:-2] / full.covariance[-1, -1])
        return Lines(slope, full.mean[:-2] - slope * full.mean[-2])

    def _response(self) -> np.ndarray:
        """What the low-pass makes of a constant 1, per band: 1, or a little less with the toolbox's."""
        flat = torch.ones(1, 1, self.sampling.ratio, self.sampling.ratio, dtype=torch.float64)
        return self.sampling.degrade(flat, self.optics.ms_mtf).flatten().numpy()


class Additive(_Matched):
    """MTF-GLP: detail of the stretched PAN, added (Aiazzi et al., 2006)."""

    name: ClassVar[str] = "mtf-glp"

    def fit(self, statistics: Statistics) -> LinearFusion:
        """Coefficients of fused = lms + P - low(P), P the stretched PAN.

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        match = self._match(statistics)
        return self._add(match.slope, match.shift * (1.0 - self._response()))


class Modulated(_Matched):
    """MTF-GLP-HPM: detail of the stretched PAN, multiplied (Vivone et al., 2014)."""

    name: ClassVar[str] = "mtf-glp-hpm"

    def fit(self, statistics: Statistics) -> RatioFusion:
        """Coefficients of fused = lms · P / low(P), P the stretched PAN.

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        match = self._match(statistics)
        return self._modulate(match, Lines(match.slope, match.shift * self._response()))


class _Regressed(_Pyramid):
    """Gains regressed on the low-passed PAN."""

    def observe(self, window: Window) -> Statistics:
        """Moments of PAN, the bands and the low-passed PAN (once per distinct gain) on the PAN grid."""
        low = LowPan(self.sampling, self.optics.ms_mtf)(window.ms, window.pan)
        return {"full": Moments.of(window.counted(window.pan, self.sampling.upsample(window.ms), low))}

    def _channels(self) -> tuple[np.ndarray, np.ndarray]:
        """Index of each band, and of its low-passed PAN, in the moments."""
        low = LowPan(self.sampling, self.optics.ms_mtf).channels
        return 1 + np.arange(len(low)), 1 + len(low) + np.array(low)


class FullScale(_Regressed):
    """MTF-GLP-FS: gains regressed at full scale, added (Vivone et al., 2018)."""

    name: ClassVar[str] = "mtf-glp-fs"

    def fit(self, statistics: Statistics) -> LinearFusion:
        """Coefficients of fused = lms + g (pan - low), g = cov(lms, pan) / cov(low, pan).

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        full = moments_of(statistics, "full", pan=0)
        bands, low = self._channels()
        return self._add(share(full.covariance[0, bands], full.covariance[0, low]), np.zeros(len(bands)))


class ModulatedRegressed(_Regressed):
    """MTF-GLP-HPM-R: path radiance by regression, multiplied (Vivone et al., 2018)."""

    name: ClassVar[str] = "mtf-glp-hpm-r"

    def fit(self, statistics: Statistics) -> RatioFusion:
        """Coefficients of fused = lms · (g pan + c) / (g low + c).

        With g = cov(lms, low) / var(low), c = mean(lms) - g mean(pan).

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        full = moments_of(statistics, "full", pan=0)
        bands, low = self._channels()
        gain = share(full.covariance[bands, low], full.covariance[low, low])
        line = Lines(gain, full.mean[bands] - gain * full.mean[0])
        return self._modulate(line, line)
