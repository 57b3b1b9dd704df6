"""Squared errors per band, which RMSE, PSNR and ERGAS turn into figures."""

from __future__ import annotations

from torch import Tensor

from fusioncli.metrics.contract import State, Streamed, pixel_count
from fusioncli.metrics.cut import Cut


class SquaredErrors(Streamed):
    """Sums of (fused - reference)² per band over valid pixels."""

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State:
        """Invalid pixels were zeroed in both images, so they add nothing."""
        reference, fused = images
        errors = (fused - reference).square().sum((0, 2, 3))
        return {"count": pixel_count(reference, mask), "errors": errors}

    @staticmethod
    def mean_squares(state: State) -> Tensor:
        """(C,) mean squared error of each band, DN²."""
        return state["errors"] / state["count"]
