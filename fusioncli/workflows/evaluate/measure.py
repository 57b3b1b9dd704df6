"""Stream images through a suite of indices, tile by tile, on a few threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isinf
from statistics import fmean, stdev

from torch import Tensor

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.metrics.contract import Metric
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.q2n import Q2n
from fusioncli.metrics.suites import Suite, SuiteSettings, suite
from fusioncli.workflows.workers import Progress, in_order

Images = tuple[dict[str, Tensor], Tensor | None]
"""Images (1, C, h, w) by the name that the indices know them by, and where all of them hold data (None: everywhere)."""

_TILE_PX = 512
_TILE_SAMPLES = 4  # tiles get smaller beyond so many samples per pixel
_LEAST_PEAK = 255.0


@dataclass(frozen=True)
class View:
    """Images on one grid, read by rectangles that lie inside it.

    Attributes:
        height: rows.
        width: columns.
        samples_per_px: bands of the largest image that a pixel is computed from, times its size in px of that image.
        read: the images on a rectangle.
    """

    height: int
    width: int
    samples_per_px: int
    read: Callable[[Rect], Images]

    def within(self, frame: Rect) -> View:
        """The part inside a frame."""
        return View(
            frame.height, frame.width, self.samples_per_px, lambda rect: self.read(rect.shift(frame.row0, frame.col0))
        )


@dataclass(frozen=True)
class Figures:
    """What was measured of one image.

    Attributes:
        values: every index by name; None where it is undefined.
        spread: mean and standard deviation of each index over tiles or samples, where these were asked for.
        undefined: why an index has no value.
        masked: share of the pixels that were left out because some image holds no data there.
    """

    values: Mapping[str, float | None]
    spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    undefined: Mapping[str, str] = field(default_factory=dict)
    masked: float = 0.0

    def __or__(self, other: Figures) -> Figures:
        """Indices of two suites of the same image in one row."""
        return Figures(
            {**self.values, **other.values},
            {**self.spread, **other.spread},
            {**self.undefined, **other.undefined},
            max(self.masked, other.masked),
        )


@dataclass(frozen=True)
class Yardstick:
    """A suite, what it has to be told, and how it is applied.

    Attributes:
        suite: its name.
        settings: ratio and peak.
        threads: workers.
        tile_px: report mean and deviation over tiles of this side as well; None for the whole image only.
        progress: told about every finished tile.
    """

    suite: str
    settings: SuiteSettings
    threads: int
    tile_px: int | None
    progress: Progress

    def fresh(self) -> Suite:
        """The suite, with nothing counted."""
        return suite(self.suite, self.settings)

    def coarser(self, ratio: int) -> Yardstick:
        """The same for a grid whose pixels are `ratio` times larger: tiles of the same area."""
        return replace(self, tile_px=self.tile_px and max(1, self.tile_px // ratio))

    def measure(self, view: View) -> Figures:
        """Every index of the images of a view.

        Raises:
            DataError: no pixel holds data in all images, or a valid pixel is not finite.
        """
        total = self.fresh()
        side_px = self.tile_px or max(1, int(_TILE_PX * min(1.0, (_TILE_SAMPLES / view.samples_per_px) ** 0.5)))
        cuts = list(Cut.whole(view.height, view.width).pieces(side_px, total.align_px, total.halo_px))
        masked, tiles = 0, []

        def work(cut: Cut) -> tuple[Suite, int]:
            images, mask = view.read(cut.read)
            mask = None if mask is None or mask.all() else mask
            missing = 0 if mask is None else int((~mask[..., *cut.core.slices(cut.read)]).sum())
            return self.fresh().update(images, mask, cut), missing

        for tile, missing in in_order("measuring", cuts, work, self.threads, self.progress):
            if self.tile_px:
                tiles.append(self.values(tile)[0])
            total.merge(tile)
            masked += missing
        if masked == view.height * view.width:
            raise DataError(
                "no pixel holds data in all images that are compared", "check nodata values and masks: fusion info FILE"
            )
        values, undefined = self.values(total)
        return Figures(values, spread(tiles), undefined, masked / (view.height * view.width))

    def figures(self, images: Mapping[str, Tensor]) -> Figures:
        """Every index of images that are small enough to be held, and that hold data everywhere."""
        values, undefined = self.values(self.fresh().update(images))
        return Figures(values, undefined=undefined)

    def values(self, counted: Suite) -> tuple[dict[str, float | None], dict[str, str]]:
        """Index by index, so that one that is undefined does not take the others with it."""
        values: dict[str, float | None] = {}
        undefined = {}
        for metric in counted.metrics:
            values[metric.name] = None
            if self.settings.data_range < _LEAST_PEAK and _rounds(metric):
                undefined[metric.name] = (
                    f"{metric.name} rounds to integers, which destroys images of peak {self.settings.data_range:g}; "
                    "bring them to digital numbers with --scale"
                )
                continue
            try:
                values[metric.name] = metric.compute()
            except DataError as error:
                undefined[metric.name] = error.message
        return values, undefined


def spread(rows: list[dict[str, float | None]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation (n - 1) of each index over the rows where it is defined."""
    names = rows[0] if rows else ()
    columns = {name: [value for row in rows if (value := row[name]) is not None] for name in names}
    return {name: (fmean(values), _deviation(values)) for name, values in columns.items() if values}


def _deviation(values: list[float]) -> float:
    if any(map(isinf, values)):  # the PSNR of a perfect tile
        return float("inf")
    return stdev(values) if len(values) > 1 else 0.0


def _rounds(metric: Metric) -> bool:
    return any(isinstance(leaf, Q2n) for leaf in metric.leaves())
