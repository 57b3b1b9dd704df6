"""What the engine and a fusion model promise each other.

The sharper image is called `pan` after its commonest kind; it is a guide of M >= 1 bands. Methods of pansharpening take
one, those for hyperspectral cubes any number.

A model never sees files, masks of nodata or scene borders: it gets windows whose invalid pixels have been
filled and whose outside has been mirrored, on a PAN grid that is an exact multiple of the MS grid. Values are
digital numbers as float; the model returns digital numbers, and the engine rounds, clips and masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from fusioncli.core.tiling import Blend, Rule
from fusioncli.models.statistics import Statistics
from fusioncli.ops.resample import pad, without_margin


@dataclass(frozen=True)
class Card:
    """How a model may be used.

    Attributes:
        name: what `--method` takes.
        rule: how a scene may be cut: `Exact`, `Blend`, `Whole` or `Untiled` (see `fusioncli.core.tiling`).
        bands: number of MS bands the model was made for, or None for any.
        ratio: PAN pixels per MS pixel the model was made for, or None for any.
        origin: digest of the weights, or the publication of a classical method; written into the output's
            tags.
        per_band: a pixel of a band depends on no other band of that pixel's surroundings: where one band is missing,
            the others can still be trusted.
        width: bands of the image that a classical method fuses in as much memory; 0 for no inner layers.
        guide_bands: number of bands of the guide the model was made for, or None for any; 1 is PAN.
        upsampler: what makes its `lms`, if that came with its weights; "" for the one that the job names.
    """

    name: str
    rule: Rule
    bands: int | None = None
    ratio: int | None = None
    origin: str = ""
    per_band: bool = False
    width: int = 0
    guide_bands: int | None = 1
    upsampler: str = ""

    def held_bands(self, bands: int, guide_bands: int = 1) -> int:
        """How many bands to reckon with when memory is planned."""
        return max(bands + guide_bands - 1, self.width)


@dataclass(frozen=True)
class Window:
    """A piece of the scene with a margin around the pixels that count.

    Attributes:
        ms: (1, B, h, w), DN.
        pan: the guide, (1, M, H, W), DN, H = h·ratio and W = w·ratio.
        valid: (1, 1, H, W) bool, where every band and PAN hold data; None when all do. The margin and pixels
            outside the scene are False in it only if `core` does not already leave them out.
        core: rows and columns, in PAN px and multiples of the ratio, that this window is answerable for.
        ratio: PAN pixels per MS pixel.
    """

    ms: Tensor
    pan: Tensor
    valid: Tensor | None
    core: tuple[slice, slice]
    ratio: int

    def counted(self, *layers: Tensor) -> Tensor:
        """Stack (1, c, H, W) layers of the PAN grid as (channels, pixels): valid pixels of the core only."""
        return self._count(layers, self.core, self.valid)

    def counted_ms(self, *layers: Tensor) -> Tensor:
        """Stack (1, c, h, w) layers of the MS grid as (channels, pixels): wholly valid core pixels only."""
        core = tuple(slice(axis.start // self.ratio, axis.stop // self.ratio) for axis in self.core)
        valid = None
        if self.valid is not None:
            n, c, height, width = self.valid.shape
            cells = self.valid.view(n, c, height // self.ratio, self.ratio, width // self.ratio, self.ratio)
            valid = cells.all(-1).all(-2)
        return self._count(layers, (core[0], core[1]), valid)

    @staticmethod
    def _count(layers: tuple[Tensor, ...], core: tuple[slice, slice], valid: Tensor | None) -> Tensor:
        stack = torch.cat([layer[0, :, core[0], core[1]] for layer in layers]).flatten(1)
        return stack if valid is None else stack[:, valid[0, 0, core[0], core[1]].flatten()]


@runtime_checkable
class FusionModel(Protocol):
    """A model that is ready to fuse."""

    @property
    def card(self) -> Card:
        """How it may be used."""
        ...

    def fuse(self, ms: Tensor, pan: Tensor) -> Tensor:
        """Fuse N windows: ms (N, B, h, w) and guide (N, M, H, W), DN, to (N, B, H, W), DN.

        Windows of a rule with a halo have it on all sides; what comes out there is of no use.
        """
        ...


def fuse_image(model: FusionModel, ms: Tensor, pan: Tensor) -> Tensor:
    """Fuse N whole images, which have nothing around them; shapes as of `FusionModel.fuse`."""
    rule = model.card.rule
    if not isinstance(rule, Blend) or rule.halo_px == 0:
        return model.fuse(ms, pan)
    halo_px, cells = rule.halo_px, rule.halo_px * ms.shape[-1] // pan.shape[-1]
    ms, pan = (pad(image, (px, px), (px, px), "symmetric") for image, px in ((ms, cells), (pan, halo_px)))
    return without_margin(model.fuse(ms, pan), halo_px)


@runtime_checkable
class SceneMethod(Protocol):
    """A method whose coefficients depend on the whole scene: observed window by window, then fitted once.

    `isinstance(model, SceneMethod)` tells the two apart.
    """

    @property
    def card(self) -> Card:
        """How it, and the model fitted by it, may be used."""
        ...

    def observe(self, window: Window) -> Statistics:
        """What one window adds to the scene's statistics."""
        ...

    def fit(self, statistics: Statistics) -> FusionModel:
        """The model with the coefficients that the merged statistics of all windows give.

        Raises:
            DataError: the statistics are degenerate (no valid pixel, a constant PAN).
        """
        ...
