"""Images of one grid as the indices want them: side by side, float64, scaled, with one mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.layer import Layer
from fusioncli.io.raster import describe
from fusioncli.workflows.evaluate.measure import Images, View
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.export import Block


def open_layer(path: str, nodata: float | None = None) -> Layer:
    """One raster file on its own grid (DataError as `describe`)."""
    return Layer((describe(path, nodata),))


def check_comparable(a: Layer, b: Layer) -> None:
    """Two files have the same size, bands and, where both are georeferenced, position.

    Raises:
        DataError: they differ; the message says in what.
    """
    first, second = a.files[0], b.files[0]
    for what, mine, theirs in (
        ("{} x {} px", (first.grid.width, first.grid.height), (second.grid.width, second.grid.height)),
        ("{} bands", (len(first.bands),), (len(second.bands),)),
    ):
        if mine != theirs:
            raise DataError(
                f"{first.path} has {what.format(*mine)}, {second.path} {what.format(*theirs)}",
                "compare images of the same grid and bands",
            )
    if first.grid.georeferenced and second.grid.georeferenced:
        corners = zip(first.grid.corners, second.grid.corners, strict=True)
        into = ~second.grid.transform @ first.grid.transform
        misfit_px = max(float(np.hypot(*np.subtract(into @ p, q))) for p, q in corners)
        if misfit_px > 0.05 or (first.crs and second.crs and first.crs != second.crs):
            raise DataError(
                f"{first.path} ({first.grid.crs}) and {second.path} ({second.grid.crs}) are not on one grid: "
                f"corners up to {misfit_px:.3g} px apart",
                "bring one onto the grid of the other first: gdalwarp -te … -ts …",
            )


def tensor(samples: np.ndarray, scale: float = 1.0) -> Tensor:
    """(bands, h, w) as (1, bands, h, w) float64, scaled."""
    return torch.from_numpy(np.ascontiguousarray(samples, np.float64))[None].mul_(scale)


def mask(*valid: np.ndarray | None) -> Tensor | None:
    """(1, 1, h, w), True where every band of every image holds data; None when all do."""
    given = [each.all(0) for each in valid if each is not None]
    return torch.from_numpy(np.logical_and.reduce(given))[None, None] if given else None


def against_reference(reference: Block, fused: Layer, peak: Peak, scale: float) -> View:
    """Reference and fused, read by rectangles of the fused image's grid."""
    height, width = fused.shape

    def read(rect: Rect) -> Images:
        (true, true_valid), (made, made_valid) = reference(rect), fused.read(rect)
        images = {"reference": tensor(true), "fused": tensor(made, scale)}
        valid = mask(true_valid, made_valid)
        peak.check(images["reference"], valid)
        images["reference"].mul_(scale)
        return images, valid

    return View(height, width, len(fused.files[0].bands), read)


class Derived:
    """Images computed from windows of the scene, which need a margin around the rectangle that is wanted.

    Args:
        observe: the images on a window, given in PAN px of the scene, multiples of the ratio.
        extent: where the view lies, in px of its own grid, counted from the scene's corner.
        step_px: PAN px per px of that grid.
        ratio: PAN px per MS px.
        margin_px: PAN px needed around a rectangle.
    """

    def __init__(
        self, observe: Callable[[Rect], Images], extent: Rect, *, step_px: int, ratio: int, margin_px: int
    ) -> None:
        self.observe, self.extent = observe, extent
        self.step_px, self.ratio, self.margin_px = step_px, ratio, margin_px

    def view(self, bands: int, *, whole: bool) -> View:
        """A view that computes each tile from its own window, or all of them from the one window of the scene."""
        read = self._slice if whole else self._tile
        return View(self.extent.height, self.extent.width, bands, read)

    def _tile(self, rect: Rect) -> Images:
        area = rect.shift(self.extent.row0, self.extent.col0)
        window = self._window(area, self.margin_px)
        return self._cut(self.observe(window), area, window)

    def _slice(self, rect: Rect) -> Images:
        return self._cut(self._whole, rect.shift(self.extent.row0, self.extent.col0), self._window(self.extent, 0))

    @cached_property
    def _whole(self) -> Images:
        return self.observe(self._window(self.extent, 0))

    def _window(self, area: Rect, margin_px: int) -> Rect:
        """In PAN px, grown to whole MS px."""
        fine = Rect(*(edge * self.step_px for edge in (area.row0, area.col0, area.row1, area.col1))).grow(margin_px)
        down, up = (lambda edge: edge // self.ratio * self.ratio), (lambda edge: -(-edge // self.ratio) * self.ratio)
        return Rect(down(fine.row0), down(fine.col0), up(fine.row1), up(fine.col1))

    def _cut(self, images: Images, area: Rect, window: Rect) -> Images:
        covered = Rect(*(edge // self.step_px for edge in (window.row0, window.col0, window.row1, window.col1)))
        cut = (..., *area.slices(covered))
        tensors, valid = images
        return {name: image[cut] for name, image in tensors.items()}, None if valid is None else valid[cut]
