"""The networks a recipe can name, and the settings of each."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import model_validator

from fusioncli.config.base import Conflict, Counts, Table, refuse


class Options(Table):
    """The settings of one architecture; each has its own subclass."""


class PnnOptions(Options):
    """Baseline after Masi et al., "Pansharpening by Convolutional Neural Networks", Remote Sens. 8(7), 2016.

    Attributes:
        widths: channels of the hidden layers.
        kernels_px: side of the square kernels, odd, PAN px; one more than there are widths.
        residual: add the result to the upsampled MS (as the advanced PNN of Scarpa et al., IEEE TGRS 56(9), 2018).
    """

    widths: Counts = (64, 32)
    kernels_px: Counts = (9, 5, 5)
    residual: bool = True

    @model_validator(mode="after")
    def _check(self) -> PnnOptions:
        refuse("options", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        layers = len(self.widths) + 1
        if len(self.kernels_px) != layers:
            text = f"should hold {layers} sides, one per layer: widths names {layers - 1} hidden layers"
            yield Conflict(("kernels_px",), list(self.kernels_px), text)
        if even := [side for side in self.kernels_px if side % 2 == 0]:
            yield Conflict(("kernels_px",), list(self.kernels_px), f"should be odd sides; {even[0]} has no centre")


ARCHITECTURES: dict[str, type[Options]] = {"pnn": PnnOptions}
"""Settings by the name that `model.arch` takes."""
