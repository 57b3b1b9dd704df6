"""Refine a scene: its moments are streamed first, as for a classical method, then every window is fused with them.

What a network makes of a scene unlike those that it learned from is off in coarse traits, too, which the MS shows. One
round of back-projection puts them right; all rounds would bring back the noise of the MS, which the network took out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import Tensor

from fusioncli.core.tiling import Blend
from fusioncli.models.classical.regression import moments_of
from fusioncli.models.consistent import BackProjection
from fusioncli.models.contract import Card, Window
from fusioncli.models.refiner.candidates import Candidates, SceneMoments, low_pan
from fusioncli.models.statistics import Moments, Statistics
from fusioncli.models.trained import Trained
from fusioncli.ops.resample import without_margin
from fusioncli.ops.sampling import Sampling


class RefiningNetwork(Protocol):
    """A network that starts from classical fusions.

    Attributes:
        sampling: makes the low-passed PAN.
    """

    sampling: Sampling

    def refine(self, candidates: Candidates) -> Tensor:
        """Fuse what the moments of a whole scene have been found for, (N, B, H, W)."""
        ...


@dataclass(frozen=True)
class SceneRefiner:
    """Weights of a network that starts from classical fusions, before they have seen a scene.

    Attributes:
        trained: the network; its `value_max` means nothing here.
        correction: brings its results nearer to the MS; None to leave them, as where MS pixels are no areas (the
            toolbox's sampling).
    """

    trained: Trained
    correction: BackProjection | None = None

    @property
    def card(self) -> Card:
        """As the network's, with any number of bands if it treats them one by one."""
        card = self.trained.card
        bands = None if self.trained.identity.model().options.any_bands else card.bands
        return replace(card, bands=bands, rule=self.correction.longer(card.rule) if self.correction else card.rule)

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
    def _network(self) -> RefiningNetwork:
        return cast(RefiningNetwork, self.trained.network)


@dataclass(frozen=True)
class RefinedScene:
    """Weights and what they need to know of a scene.

    Attributes:
        refiner: the weights.
        moments: of the scene, DN.
    """

    refiner: SceneRefiner
    moments: SceneMoments

    @property
    def card(self) -> Card:
        """As before the scene was seen."""
        return self.refiner.card

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and pan (N, 1, H, W), DN, to (N, B, H, W), DN."""
        trained, correction = self.refiner.trained, self.refiner.correction
        rule = trained.card.rule
        network = cast(RefiningNetwork, trained.on(ms.device, ms.dtype))
        lms, low = trained.sampling.upsample(ms), low_pan(network.sampling, pan)
        candidates = Candidates(ms, lms, pan, low, self.moments.to(ms))
        if isinstance(rule, Blend):
            fused = candidates.added  # all that the halo gets
            without_margin(fused, rule.halo_px).copy_(network.refine(candidates.inside(rule.halo_px)))
        else:
            fused = network.refine(candidates)
        return fused if correction is None else correction.correct(fused, ms)
