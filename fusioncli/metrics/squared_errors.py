"""Squared errors per band, which RMSE, PSNR and ERGAS turn into figures."""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from fusioncli.metrics.contract import State, Streamed, band_by_band, pixel_count
from fusioncli.metrics.cut import Cut


class SquaredErrors(Streamed):
    """Sums of (fused - reference)² and of the reference, per band over valid pixels.

    The indices of a suite that are made of them share one computation.
    """

    @property
    def partial_key(self) -> Hashable:
        """The same for all of these."""
        return SquaredErrors, self.inputs

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State:
        """Invalid pixels were zeroed in both images, so they add nothing."""
        errors = [(fused - reference).square_().sum() for reference, fused in band_by_band(images)]
        reference = images[0]
        return {
            "count": pixel_count(reference, mask),
            "errors": torch.stack(errors),
            "reference": reference.sum((0, 2, 3)),
        }

    @staticmethod
    def mean_squares(state: State) -> Tensor:
        """(C,) mean squared error of each band, DN²."""
        return state["errors"] / state["count"]
