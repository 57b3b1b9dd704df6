"""CC: correlation between reference and fused."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusioncli.errors import DataError
from fusioncli.metrics.contract import State, Streamed, band_by_band, pixel_count
from fusioncli.metrics.cut import Cut

_ROUND_OFF = 1e-13


@dataclass(eq=False)
class Cc(Streamed):
    """Correlation coefficient: mean over bands of Pearson's correlation over the whole image.

    Moments are centred piece by piece and joined by the update of Chan, Golub and LeVeque (1979), so nothing
    cancels however large the scene. A band that is constant in either image has no correlation and is an
    error.
    Masked: valid pixels only. Equals torchmetrics' `PearsonCorrCoef` taken band by band and averaged.
    """

    name = "CC"
    higher_is_better = True
    ideal = 1.0
    value_range = (-1.0, 1.0)

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State | None:
        """Means (2, C) and centred moments of one piece."""
        count = pixel_count(images[0], mask)
        if count == 0:
            return None
        bands = [_moments(torch.cat(pair)[:, 0], mask, count) for pair in band_by_band(images)]
        return {"count": count} | {name: torch.stack([band[name] for band in bands], -1) for name in bands[0]}

    def combine(self, a: State, b: State) -> State:
        """Moments of the union of two pieces."""
        count = a["count"] + b["count"]
        step = b["mean"] - a["mean"]
        weight = a["count"] * b["count"] / count
        return {
            "count": count,
            "mean": a["mean"] + step * (b["count"] / count),
            "squares": a["squares"] + b["squares"] + weight * step.square(),
            "products": a["products"] + b["products"] + weight * step.prod(0),
        }

    def value(self, state: State) -> float:
        """Mean over bands."""
        noise = state["count"] * (_ROUND_OFF * state["mean"]).square()
        constant = (state["squares"] <= noise).any(0)
        if constant.any():
            band = int(torch.nonzero(constant)[0]) + 1
            raise DataError(f"CC is undefined: band {band} is constant", "leave that band out")
        return (state["products"] / state["squares"].prod(0).sqrt()).mean().item()


def _moments(band: Tensor, mask: Tensor | None, count: Tensor) -> State:
    """Means and centred moments of one band of both images, (2, h, w)."""
    mean = band.sum((1, 2)) / count
    deviations = band.sub_(mean[:, None, None])
    if mask is not None:
        deviations = torch.where(mask[0], deviations, 0.0)
    products = (deviations[0] * deviations[1]).sum()
    return {"mean": mean, "products": products, "squares": deviations.square_().sum((1, 2))}


def cc(reference: Tensor, fused: Tensor, *, mask: Tensor | None = None) -> float:
    """`Cc` of one image (1, C, H, W)."""
    return Cc().update(reference, fused, mask=mask).compute()
