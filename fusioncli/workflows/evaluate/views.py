"""Images of one grid as the indices want them: side by side, float64, scaled, with one mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot

import numpy as np
import torch
from torch import Tensor

from fusioncli.core.grid import Grid
from fusioncli.core.rects import cells_around, finer
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.layer import Layer
from fusioncli.io.raster import describe
from fusioncli.workflows.evaluate.measure import Images, View
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.export import Block

_MISFIT_PX = 0.05


def open_layer(path: str, nodata: float | None = None) -> Layer:
    """One raster file on its own grid (DataError as `describe`)."""
    return Layer((describe(path, nodata),))


def check_grid(image: Layer, grid: Grid, bands: int) -> None:
    """An image has the size, the bands and, where both are georeferenced, the position of what it is compared with.

    Raises:
        DataError: it differs; the message says in what.
    """
    file = image.files[0]
    mine, theirs = ((g.height, g.width) for g in (file.grid, grid))
    if mine != theirs or len(file.bands) != bands:
        raise DataError(
            f"{file.path} is {len(file.bands)} x {mine[0]} x {mine[1]} (bands, rows, columns), "
            f"what it is compared with {bands} x {theirs[0]} x {theirs[1]}",
            "compare images of the same grid and bands",
        )
    if not (file.grid.georeferenced and grid.georeferenced):
        return
    into = ~grid.transform @ file.grid.transform
    misfit_px = max(hypot(x - col, y - row) for col, row in grid.corners for x, y in [into @ (col, row)])
    if misfit_px > _MISFIT_PX or (file.grid.crs and grid.crs and file.grid.crs != grid.crs):
        raise DataError(
            f"{file.path} is not on the grid that it is compared with: corners up to {misfit_px:.3g} px apart "
            f"({file.grid.crs} and {grid.crs})",
            "resample it first: gdalwarp -te … -ts … -r cubic",
        )


def tensor(samples: np.ndarray, scale: float = 1.0) -> Tensor:
    """(bands, h, w) as (1, bands, h, w) float64, scaled."""
    image = torch.from_numpy(np.ascontiguousarray(samples, np.float64))[None]
    return image if scale == 1 else image * scale


def mask(*valid: np.ndarray | None) -> Tensor | None:
    """(1, 1, h, w), True where every band of every image holds data; None when all do."""
    given = [each.all(0) for each in valid if each is not None]
    return torch.from_numpy(np.logical_and.reduce(given))[None, None] if given else None


def against_reference(reference: Block, fused: Layer, peak: Peak, scale: float) -> View:
    """Reference and fused, read by rectangles of the fused image's grid."""
    height, width = fused.shape

    def read(rect: Rect) -> Images:
        (true, true_valid), (made, made_valid) = reference(rect), fused.read(rect)
        valid = mask(true_valid, made_valid)
        peak.check(tensor(true), valid)
        return {"reference": tensor(true, scale), "fused": tensor(made, scale)}, valid

    return View(height, width, len(fused.files[0].bands), read)


@dataclass(frozen=True)
class Derived:
    """Images that are computed from windows of the scene.

    Attributes:
        observe: the images on a window, given in PAN px of the scene, multiples of the ratio.
        extent: what is measured, in px of the images' grid, counted from the scene's corner.
        bands: of the largest image.
        step_px: PAN px per px of that grid.
        ratio: PAN px per MS px.
        margin_px: PAN px that a window needs around the rectangle that is wanted.
        whole: the one window that everything is computed from, where filters see the scene's border; None for a window
            per tile.
    """

    observe: Callable[[Rect], Images]
    extent: Rect
    bands: int
    step_px: int
    ratio: int
    margin_px: int
    whole: Rect | None

    def view(self) -> View:
        """The extent, read by rectangles; computed here and now if in one window."""
        observed = self.whole and self.observe(self.whole)

        def read(rect: Rect) -> Images:
            area = rect.shift(self.extent.row0, self.extent.col0)
            window = self.whole or self._window(area)
            images, valid = observed or self.observe(window)
            cut = (..., *area.slices(cells_around(window, self.step_px)))
            return {name: image[cut] for name, image in images.items()}, None if valid is None else valid[cut]

        return View(self.extent.height, self.extent.width, self.bands * self.step_px**2, read)

    def _window(self, area: Rect) -> Rect:
        """The area with its margin, in PAN px, grown to whole MS px."""
        fine = finer(area, self.step_px).grow(self.margin_px)
        return finer(cells_around(fine, self.ratio), self.ratio)
