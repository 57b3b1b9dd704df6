"""What every classical method starts from: the sensor's optics, the sampling, and the card they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from fusioncli.core.tiling import Exact, Untiled, Whole
from fusioncli.models.catalogue import find_method
from fusioncli.models.contract import Card
from fusioncli.ops.sampling import Sampling


@dataclass(frozen=True)
class Optics:
    """What a classical method knows of a sensor.

    Attributes:
        ms_mtf: gain of each MS band's MTF at the MS Nyquist.
        pan_mtf: gain of the PAN's MTF at the MS Nyquist.
        pan_weights: share of each MS band in the PAN's spectral response; they sum to about 1.
        response: (M, B) spectral responses of a guide's bands, where they are known.
    """

    ms_mtf: tuple[float, ...]
    pan_mtf: float
    pan_weights: tuple[float, ...]
    response: np.ndarray | None = None


@dataclass(frozen=True)
class Classical:
    """A method before it has seen a scene.

    Attributes:
        sampling: operators between the MS grid and the PAN grid.
        optics: the sensor's.
    """

    name: ClassVar[str]
    streamed: ClassVar[bool] = True
    per_band: ClassVar[bool] = False
    guide_bands: ClassVar[int | None] = 1
    sampling: Sampling
    optics: Optics

    @property
    def reach_px(self) -> int:
        """How far, in PAN px, observing and fusing look around a pixel."""
        return self.sampling.reach_px()

    @property
    def card(self) -> Card:
        """How the method may be used; in the toolbox's sampling a scene is one window."""
        rule = Untiled() if self.sampling.literal else (Whole if self.streamed else Exact)(self.reach_px)
        origin = find_method(self.name).reference
        return Card(
            self.name,
            rule,
            len(self.optics.ms_mtf),
            self.sampling.ratio,
            origin,
            per_band=self.per_band,
            guide_bands=self.guide_bands,
        )


@dataclass(frozen=True)
class LowPan:
    """PAN through the MTF of the MS bands and back on its own grid, once per distinct gain.

    Attributes:
        sampling: operators between the grids.
        gains: one per MS band.
    """

    sampling: Sampling
    gains: tuple[float, ...]

    def __call__(self, ms: Tensor, pan: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, distinct gains, H, W); the MS is not looked at."""
        return self.sampling.upsample(self.sampling.degrade(pan, tuple(dict.fromkeys(self.gains))))

    @property
    def channels(self) -> list[int]:
        """For each MS band, which channel of the result is its own."""
        distinct = list(dict.fromkeys(self.gains))
        return [distinct.index(gain) for gain in self.gains]
