"""Refine a scene: its moments are streamed first, as for a classical method, then every window is fused with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from fusioncli.models.classical.regression import moments_of
from fusioncli.models.contract import Card, Window
from fusioncli.models.refiner.candidates import Candidates, SceneMoments, low_pan
from fusioncli.models.refiner.network import Refiner
from fusioncli.models.statistics import Moments, Statistics
from fusioncli.models.trained import Trained


@dataclass(frozen=True)
class SceneRefiner:
    """Weights of a refiner, before they have seen a scene.

    Attributes:
        trained: the network; its `value_max` and number of bands mean nothing here.
    """

    trained: Trained

    @property
    def card(self) -> Card:
        """How it may be used: with any number of bands."""
        return replace(self.trained.card, bands=None)

    def observe(self, window: Window) -> Statistics:
        """Moments of the bands, the PAN and the low-passed PAN, on the PAN grid."""
        low = low_pan(self._network.sampling, window.pan)
        layers = self.trained.sampling.upsample(window.ms), window.pan, low
        return {"full": Moments.of(window.counted(*layers))}

    def fit(self, statistics: Statistics) -> RefinedScene:
        """The network with the moments of a scene.

        Raises:
            DataError: no valid pixel, or a constant PAN.
        """
        full = moments_of(statistics, "full", pan=-2)
        return RefinedScene(self, SceneMoments(*(torch.from_numpy(x)[None] for x in (full.mean, full.covariance))))

    @property
    def _network(self) -> Refiner:
        return cast(Refiner, self.trained.network)


@dataclass(frozen=True)
class RefinedScene:
    """Weights of a refiner and what they need to know of a scene.

    Attributes:
        refiner: the weights.
        moments: of the scene, DN.
    """

    refiner: SceneRefiner
    moments: SceneMoments

    @property
    def card(self) -> Card:
        """As the refiner's."""
        return self.refiner.card

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and pan (N, 1, H, W), DN, to (N, B, H, W), DN."""
        trained = self.refiner.trained
        network = cast(Refiner, trained.on(ms.device, ms.dtype))
        lms, low = trained.sampling.upsample(ms), low_pan(network.sampling, pan)
        moments = SceneMoments(self.moments.mean.to(ms), self.moments.covariance.to(ms))
        return network.refine(Candidates(lms, pan, low, moments))
