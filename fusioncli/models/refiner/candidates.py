"""Classical fusions of one scene, all from the same moments, in units of each band's own spread.

Three formulas that disagree in an instructive way: detail added with a gain (MTF-GLP-FS, Vivone et al., IEEE TIP
27(7), 2018), detail multiplied (MTF-GLP-HPM-R, Vivone et al., IEEE TGRS 56(3), 2018), and an intensity of all bands
replaced by the PAN (GSA, Aiazzi et al., IEEE TGRS 45(10), 2007; its weights regressed on the PAN grid). Optics are
those of no sensor in particular, so that nothing has to be known of the sensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.resample import without_margin
from fusioncli.ops.sampling import Sampling

OWN, COMMON = 4, 3
"""Images that `Candidates` gives of each band, and of all bands together."""
_RATIOS = 0.0, 3.0  # of the multiplied detail; beyond, it is noise divided by noise
_RIDGE = 1e-6  # of the mean variance: bands that copy each other share their weight


@dataclass(frozen=True)
class SceneMoments:
    """Means and covariances of N scenes; channels are the bands of `lms`, the PAN and the low-passed PAN.

    Attributes:
        mean: (N, B + 2).
        covariance: (N, B + 2, B + 2).
    """

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, layers: Tensor) -> SceneMoments:
        """Of each (B + 2, H, W) of a batch on its own, as if it were a scene; computed in float64."""
        pixels = layers.flatten(2).double()
        mean = pixels.mean(2)
        centred = pixels - mean[..., None]
        covariance = centred @ centred.transpose(1, 2) / max(pixels.shape[2] - 1, 1)
        return cls(mean.to(layers.dtype), covariance.to(layers.dtype))

    def to(self, like: Tensor) -> SceneMoments:
        """With the type and device of a tensor."""
        return SceneMoments(self.mean.to(like), self.covariance.to(like))

    @cached_property
    def spread(self) -> Tensor:
        """Standard deviations, (N, B + 2); 1 for a channel that does not vary."""
        variance = self.covariance.diagonal(dim1=1, dim2=2)
        return torch.where(variance > 0, variance, 1.0).sqrt()

    @property
    def gain(self) -> Tensor:
        """Of added detail, (N, B): cov(lms, pan) / cov(low, pan)."""
        return self.covariance[:, :-2, -2] / self._positive(self.covariance[:, -1:, -2])

    @property
    def slope(self) -> Tensor:
        """Of each band over the low-passed PAN, (N, B): cov(lms, low) / var(low)."""
        return self.covariance[:, :-2, -1] / self._positive(self.covariance[:, -1:, -1])

    @property
    def weights(self) -> Tensor:
        """Of the intensity: the sum of bands that best fits the low-passed PAN, (N, B)."""
        gram, cross = self.covariance[:, :-2, :-2].double(), self.covariance[:, :-2, -1:].double()
        level = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp_min(torch.finfo(torch.float32).tiny)
        ridge = _RIDGE * level * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
        return torch.linalg.solve(gram + ridge, cross)[..., 0].to(self.mean)

    def substitution_gain(self, weights: Tensor) -> Tensor:
        """Of the detail that replaces the intensity, (N, B): cov(I, lms) / var(I)."""
        shared = (self.covariance[:, :-2, :-2] @ weights[..., None])[..., 0]
        return shared / self._positive((weights * shared).sum(1, keepdim=True))

    @staticmethod
    def _positive(variance: Tensor) -> Tensor:
        return torch.where(variance.abs() > 0, variance, 1.0)


@dataclass(frozen=True)
class Candidates:
    """What a scene offers to choose from.

    Attributes:
        ms: (N, B, h, w).
        lms: (N, B, H, W).
        pan: (N, 1, H, W).
        low: (N, 1, H, W), PAN as a sensor with the MS resolution would see it.
        moments: of the scene.
    """

    ms: Tensor
    lms: Tensor
    pan: Tensor
    low: Tensor
    moments: SceneMoments

    @classmethod
    def of_patches(cls, ms: Tensor, lms: Tensor, pan: Tensor, sampling: Sampling) -> Candidates:
        """Of patches, each as if it were a whole scene."""
        low = low_pan(sampling, pan)
        return cls(ms, lms, pan, low, SceneMoments.of(torch.cat([lms, pan, low], 1)))

    def inside(self, halo_px: int) -> Candidates:
        """Without a margin of so many PAN px, a multiple of the ratio."""
        cells = halo_px * self.ms.shape[-1] // self.pan.shape[-1]
        lms, pan, low = (without_margin(each, halo_px) for each in (self.lms, self.pan, self.low))
        return Candidates(without_margin(self.ms, cells), lms, pan, low, self.moments)

    @cached_property
    def coarse(self) -> Tensor:
        """MS without unit, (N, B, h, w): mean 0 and deviation 1 over the scene."""
        return (self.ms - _wide(self.moments.mean[:, :-2])) / _wide(self.moments.spread[:, :-2])

    @cached_property
    def added(self) -> Tensor:
        """MTF-GLP-FS, (N, B, H, W): what the network starts from."""
        return torch.addcmul(self.lms, _wide(self.moments.gain), self.pan - self.low)

    def of_band(self, band: int) -> Tensor:
        """What a network sees of a band, (N, OWN + COMMON, H, W), without unit as `coarse`.

        `lms`, the three fusions, PAN, low-passed PAN and intensity.
        """
        return torch.cat([*self._own(band), self._common], 1)

    @property
    def of_bands(self) -> Tensor:
        """The same of all bands, (N, OWN · B + COMMON, H, W)."""
        return torch.cat([*(image for band in range(self.lms.shape[1]) for image in self._own(band)), self._common], 1)

    def completed(self, lacking: Tensor) -> Tensor:
        """The start and what it lacks, (N, B, H, W) in units of each band's spread."""
        return torch.addcmul(self.added, _wide(self.moments.spread[:, :-2]), lacking)

    def _own(self, band: int) -> list[Tensor]:
        moments, one = self.moments, slice(band, band + 1)
        own = self.lms[:, one], self.added[:, one], self._multiplied(one), self._substituted(one)
        return [(image - _wide(moments.mean[:, one])) / _wide(moments.spread[:, one]) for image in own]

    @cached_property
    def _intensity(self) -> Tensor:
        """The sum of bands that best fits the low-passed PAN, (N, 1, H, W), and has its mean."""
        weights, mean = self.moments.weights, self.moments.mean
        constant = mean[:, -2] - (weights * mean[:, :-2]).sum(1)
        return torch.einsum("nb,nbhw->nhw", weights, self.lms)[:, None] + constant[:, None, None, None]

    @cached_property
    def _common(self) -> Tensor:
        mean, spread = (_wide(each[:, -2:-1]) for each in (self.moments.mean, self.moments.spread))
        return (torch.cat([self.pan, self.low, self._intensity], 1) - mean) / spread

    def _multiplied(self, one: slice) -> Tensor:
        """MTF-GLP-HPM-R; where the prediction of a band is not positive, no detail."""
        moments = self.moments
        slope = moments.slope[:, one]
        constant = _wide(moments.mean[:, one] - slope * moments.mean[:, -2:-1])
        low = _wide(slope) * self.low + constant
        ratio = torch.where(low > 0, (_wide(slope) * self.pan + constant) / low, 1.0)
        return self.lms[:, one] * ratio.clamp(*_RATIOS)

    def _substituted(self, one: slice) -> Tensor:
        """GSA."""
        gain = self.moments.substitution_gain(self.moments.weights)[:, one]
        return torch.addcmul(self.lms[:, one], _wide(gain), self.pan - self._intensity)


def low_pan(sampling: Sampling, pan: Tensor) -> Tensor:
    """PAN through a sensor's MTF to the MS grid and back, (N, 1, H, W)."""
    return sampling.upsample(sampling.degrade(pan, (DEFAULT_MS_GAIN,)))


def _wide(per_band: Tensor) -> Tensor:
    """(N, B) beside (N, B, H, W)."""
    return per_band[:, :, None, None]
