"""SCC: agreement of spatial detail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import pad

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.metrics.contract import State, Streamed, band_by_band, pixel_count
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.windows import touches_invalid


@dataclass(eq=False)
class Scc(Streamed):
    """Spatial correlation coefficient of the reference toolbox: cosine between Sobel gradient magnitudes.

    Without the outermost pixels of the scene, each band's sqrt(gx² + gy²) is taken with zeros beyond the
    border; then Σ A B / sqrt(ΣA² ΣB²) over all pixels and bands together, not centred. The border makes it
    depend on the offset:
    adding a constant to one image changes it, and a flat image does not score 0.
    Masked: pixels whose 3 x 3 neighbourhood holds an invalid pixel are dropped.

    Not torchmetrics' `SpatialCorrelationCoefficient`, which correlates Laplacians in 8 x 8 windows, nor
    Zhou's of 1998, a centred correlation of Laplacians over the whole image.
    """

    name = "SCC"
    higher_is_better = True
    ideal = 1.0
    value_range = (0.0, 1.0)
    counted = "valid pixel inside the outermost ones"

    @property
    def halo_px(self) -> int:
        """Reach of the Sobel operator."""
        return 1

    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State | None:
        """Products and squares of the core's gradients; those of the halo are wrong and not counted."""
        inner = Rect(1, 1, cut.scene.row1 - 1, cut.scene.col1 - 1)
        read, core = cut.read.intersect(inner), cut.core.intersect(inner)
        if core.empty:
            return None
        within, counted = (..., *read.slices(cut.read)), (..., *core.slices(read))
        valid = None
        if mask is not None:
            valid = ~touches_invalid(pad(mask[within], (1, 1, 1, 1), value=True), 3)[counted]
        bands = band_by_band(tuple(image[within] for image in images))
        energies = ([_energy(band)[counted] for band in pair] for pair in bands)
        return reduce(self.combine, (_moments(pair, valid) for pair in energies))

    def value(self, state: State) -> float:
        """The cosine; undefined where an image has no gradient at all."""
        if not state["squares"].all():
            raise DataError("SCC is undefined: an image is zero in every counted pixel", "check the nodata mask")
        return (state["products"] / state["squares"].sqrt().prod()).item()


def scc(reference: Tensor, fused: Tensor, *, mask: Tensor | None = None) -> float:
    """`Scc` of one image (1, C, H, W)."""
    return Scc().update(reference, fused, mask=mask).compute()


def _moments(energies: list[Tensor], valid: Tensor | None) -> State:
    """Products and squares of two gradients from their squared magnitudes, with one root for both."""
    a, b = energies if valid is None else (torch.where(valid, energy, 0.0) for energy in energies)
    squares = torch.stack([a.sum(), b.sum()])
    return {"count": pixel_count(a, valid), "products": (a * b).sqrt_().sum(), "squares": squares}


def _energy(x: Tensor) -> Tensor:
    """Squared magnitude of the Sobel gradient, zeros outside, shaped like x."""
    x = pad(x, (1, 1, 1, 1))
    smooth = torch.add(x[..., :-2, :], x[..., 1:-1, :], alpha=2).add_(x[..., 2:, :])
    energy = (smooth[..., 2:] - smooth[..., :-2]).square_()
    smooth = torch.add(x[..., :-2], x[..., 1:-1], alpha=2).add_(x[..., 2:])
    gradient = smooth[..., 2:, :] - smooth[..., :-2, :]
    return energy.addcmul_(gradient, gradient)
