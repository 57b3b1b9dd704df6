"""SAM: how far the spectra turn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusioncli.metrics.contract import State, Streamed
from fusioncli.metrics.cut import Cut


@dataclass(eq=False)
class Sam(Streamed):
    """Spectral angle mapper: mean angle between the spectra of reference and fused, in degrees.

    Kruse et al. 1993; acos(<a, b> / sqrt(<a, a> <b, b>)) averaged over pixels, arguments beyond ±1 clipped.
    Pixels where either spectrum is all zero have no angle and are left out, as in the reference toolbox.
    Masked: valid pixels only.

    torchmetrics' `SpectralAngleMapper` is the same in radians, except that one zero spectrum makes it NaN.
    """

    name = "SAM"
    higher_is_better = False
    ideal = 0.0
    units = "degrees"
    value_range = (0.0, 180.0)
    counted = "valid pixel with two non-zero spectra"

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State:
        """Sum of angles; invalid pixels were zeroed, so they have no angle."""
        reference, fused = images
        products, squares, fused_squares = reference.new_zeros(3, *reference.shape[-2:])
        for a, b in zip(reference[0], fused[0], strict=True):
            products.addcmul_(a, b)
            squares.addcmul_(a, a)
            fused_squares.addcmul_(b, b)
        lengths = squares.mul_(fused_squares)
        counts = lengths > 0
        angles = products.div_(lengths.sqrt()).clamp_(-1.0, 1.0).acos_()
        return {"count": counts.sum().double(), "sum": torch.where(counts, angles, 0.0).sum()}

    def value(self, state: State) -> float:
        """Mean angle in degrees."""
        return torch.rad2deg(state["sum"] / state["count"]).item()


def sam(reference: Tensor, fused: Tensor, *, mask: Tensor | None = None) -> float:
    """`Sam` of one image (1, C, H, W), degrees."""
    return Sam().update(reference, fused, mask=mask).compute()
