"""Any model made consistent: what it fuses is corrected until, degraded to the MS grid, it is the MS again.

Iterative back-projection adds `upsample(ms - degrade(fused))` again and again (Irani and Peleg, CVGIP 53(3), 1991).
Each round leaves the share `1 - k` of an error, `k` the response of `degrade(upsample(·))`, so that the rounds add up
to `upsample(ms - degrade(fused))` with 1/k applied on the MS grid. That sum is taken here at once: ten rounds at ratio
4 reach 240 PAN px and leave a thirtieth of the error, the sum reaches 60 and leaves less than a hundredth. The first
round alone takes out what is coarse and leaves most of the noise of the MS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fusioncli.core.tiling import Exact, Rule, Whole
from fusioncli.errors import UsageError
from fusioncli.models.contract import Card, FusionModel, SceneMethod, Window
from fusioncli.models.statistics import Statistics
from fusioncli.ops.resample import Taps, apply_taps
from fusioncli.ops.sampling import Sampling
from fusioncli.ops.toolbox import per_gain

_CELLS = 128  # MS px along which 1/k is computed; it has long vanished at half of that
_LEFT_OUT = 1e-3  # of the sum of the absolute taps of 1/k


@dataclass(frozen=True)
class BackProjection:
    """The correction, a linear map from the MS grid and the PAN grid to the PAN grid.

    Attributes:
        sampling: of the scene.
        gains: MTF gain of each MS band at Nyquist.
        exact: all rounds, so that the result degrades to the MS; else the first.
    """

    sampling: Sampling
    gains: tuple[float, ...]
    exact: bool = True

    @property
    def reach_px(self) -> int:
        """How far, in PAN px, a corrected pixel looks at fused ones and at the MS."""
        reach_px = self.sampling.reach_px(*self.gains)
        if not self.exact:
            return reach_px
        return reach_px + max(_inverse(self.sampling, gain).reach for gain in self.gains) * self.sampling.ratio

    def longer(self, rule: Rule) -> Rule:
        """A model's rule with the reach of its corrected results; rules without a reach stay."""
        return replace(rule, reach_px=rule.reach_px + self.reach_px) if isinstance(rule, Exact | Whole) else rule

    def correct(self, fused: Tensor, ms: Tensor) -> Tensor:
        """Fused (N, B, H, W), DN, changed in place so that it degrades to ms (N, B, h, w), DN, or nearly so."""
        error = ms - self.sampling.degrade(fused, self.gains)
        if self.exact:
            error = per_gain(error, self.gains, self._undone)
        return fused.add_(self.sampling.upsample(error))

    def _undone(self, error: Tensor, gain: float) -> Tensor:
        sizes = error.shape[-2], error.shape[-1]
        return apply_taps(error, _inverse(self.sampling, gain), sizes, "symmetric")


@dataclass(frozen=True)
class Consistent:
    """A model whose results are corrected.

    With `Blend` the tiles are corrected one by one before they fade into each other; errors of neighbours do not cancel
    where they overlap, so some remain there.
    """

    model: FusionModel
    correction: BackProjection

    @property
    def card(self) -> Card:
        """The model's, with a longer reach."""
        return _card(self.model.card, self.correction)

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and pan (N, 1, H, W), DN, to (N, B, H, W), DN."""
        return self.correction.correct(self.model.fuse(ms, pan), ms)


@dataclass(frozen=True)
class ConsistentMethod:
    """A method whose fitted model is corrected."""

    method: SceneMethod
    correction: BackProjection

    @property
    def card(self) -> Card:
        """The method's, with a longer reach."""
        return _card(self.method.card, self.correction)

    def observe(self, window: Window) -> Statistics:
        """What one window adds to the scene's statistics."""
        return self.method.observe(window)

    def fit(self, statistics: Statistics) -> FusionModel:
        """The model, corrected (DataError: the statistics are degenerate)."""
        return Consistent(self.method.fit(statistics), self.correction)


def consistent(
    model: FusionModel | SceneMethod, sampling: Sampling, gains: Sequence[float]
) -> FusionModel | SceneMethod:
    """A model or method that keeps the MS.

    Args:
        model: any.
        sampling: of the scene; MS pixels are areas in it.
        gains: MTF gain of each MS band at Nyquist.

    Raises:
        UsageError: the toolbox's sampling, whose MS pixels lie half a PAN pixel off.
    """
    if sampling.literal:
        raise UsageError(
            "--enforce-consistency takes MS pixels for areas, interp23tap places them half a PAN pixel off",
            "use --upsampler lanczos or cubic",
        )
    correction = BackProjection(sampling, tuple(gains))
    if isinstance(model, FusionModel):
        return Consistent(model, correction)
    return ConsistentMethod(model, correction)


def _card(card: Card, correction: BackProjection) -> Card:
    return replace(card, name=f"{card.name}, consistent", rule=correction.longer(card.rule))


@lru_cache(maxsize=64)
def _inverse(sampling: Sampling, gain: float) -> Taps:
    """1/k along one axis of the MS grid, cut off where its taps have vanished, of unit sum as k is."""
    impulse = torch.zeros(1, 1, _CELLS, _CELLS, dtype=torch.float64)
    impulse[0, 0, _CELLS // 2, _CELLS // 2] = 1
    along = sampling.degrade(sampling.upsample(impulse), (gain,))[0, 0].sum(0).numpy()
    response = np.fft.fft(np.fft.ifftshift(along / along.sum())).real  # k is symmetric
    taps = np.fft.fftshift(np.fft.ifft(1 / response).real)
    centre, size = _CELLS // 2, np.abs(taps)
    radius = next(r for r in range(centre) if size[centre - r : centre + r + 1].sum() >= (1 - _LEFT_OUT) * size.sum())
    kept = taps[centre - radius : centre + radius + 1]
    return Taps.of(kept / kept.sum(), -radius, 1)
