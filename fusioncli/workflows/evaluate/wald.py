"""Wald's protocol: a pair made coarser by its own ratio, so that its MS becomes the truth to fuse towards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from fusioncli.core import gaps
from fusioncli.core.rects import cells_within, finer
from fusioncli.core.sensors import Sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.layer import Layer
from fusioncli.io.product import Product
from fusioncli.io.scene import PairRequest, ScenePair, open_pair
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate.protocol import EvalProtocol
from fusioncli.workflows.evaluate.views import tensor
from fusioncli.workflows.export import UNCOMPRESSED, Block, export
from fusioncli.workflows.workers import Progress

_BLOCK_PX = 128
_Samples = tuple[np.ndarray, np.ndarray | None]
_Look = Callable[[Rect, int], _Samples]


def truth_cells(pair: ScenePair, by: int | None = None) -> Rect:
    """MS pixels of the scene that lie wholly inside the output, a multiple of the ratio of them along either axis.

    Args:
        pair: the aligned scene.
        by: how far to degrade; None for its own ratio.

    Raises:
        DataError: the scene is smaller than ratio x ratio MS pixels.
    """
    by, output = by or pair.alignment.ratio, pair.alignment.output_in_scene
    cells = cells_within(output, pair.alignment.ratio)
    height, width = (size // by * by for size in (cells.height, cells.width))
    if min(height, width) <= 0:
        raise DataError(
            f"the pair shares {output.height} x {output.width} PAN px, too little to be degraded by {by} once more",
            "use a larger scene",
        )
    return Rect(cells.row0, cells.col0, cells.row0 + height, cells.col0 + width)


def truth(pair: ScenePair, cells: Rect) -> Block:
    """The MS of the scene, counted from the corner of `cells`."""
    return lambda rect: pair.ms.read(pair.ms_window(rect.shift(cells.row0, cells.col0)))


@dataclass(frozen=True)
class Wald:
    """A pair and how it is degraded.

    Attributes:
        pair: the aligned scene.
        cells: its MS pixels that are the truth, from `truth_cells`.
        sensor: figures for its bands.
        protocol: the filters and phases.
        by: how far the MS is degraded, where both images share their pixels and the sharper one stays as it is; None
            to degrade both by the pair's ratio.
    """

    pair: ScenePair
    cells: Rect
    sensor: Sensor
    protocol: EvalProtocol
    by: int | None = None

    def degrade_into(self, folder: Path, progress: Progress) -> ScenePair:
        """Write MS and PAN, degraded by the ratio, as float files, and open them as a pair.

        Raises:
            DataError: the disk is full, or an input is damaged.
        """
        pair, by = self.pair, self.by or self.pair.alignment.ratio
        sampling = self.protocol.sampling(by, by)
        gains, one_band = self.sensor.ms_mtf, pair.guide_bands == 1
        pan_gain = self.sensor.pan_mtf if one_band else DEFAULT_MS_GAIN
        corner = finer(self.cells, pair.alignment.ratio).shift(*pair.alignment.origin)

        def read_pan(rect: Rect) -> _Samples:
            return pair.pan.read(rect.shift(corner.row0, corner.col0))

        ms = _Lowered(truth(pair, self.cells), lambda x: sampling.degrade(x, gains), sampling, min(gains))
        pan = _Lowered(read_pan, lambda x: self.protocol.lower_pan(sampling, x, pan_gain), sampling, pan_gain)
        sharp = pan if self.by is None else lambda rect, _: read_pan(rect)
        paths = [self._write(folder / "ms.tif", ms, pair.ms, by, progress)]
        paths += [self._write(folder / "pan.tif", sharp, pair.pan, 1, progress)]
        return open_pair(PairRequest((paths[0],), paths[1], cube=not one_band))

    def _write(self, path: Path, lowered: _Look, layer: Layer, ratio: int, progress: Progress) -> str:
        """A degraded layer on the MS grid (ratio 1) or one that is coarser still."""
        cells = self.cells
        grid = self.pair.ms_grid.window(cells).coarser(ratio, cells.height // ratio, cells.width // ratio)
        bands = tuple(band for file in layer.files for band in file.bands)
        nodata = float("nan") if layer.masked else None
        product = Product(grid, self.pair.output_crs, bands, self.protocol.dtype, nodata, {}, False, UNCOMPRESSED)
        whole = Rect(0, 0, grid.height, grid.width)
        if self.protocol.literal:
            export(product, path, max(grid.height, grid.width), lambda _: lowered(whole, 0), progress)
        else:
            export(product, path, _BLOCK_PX, lambda rect: lowered(rect, 2 if layer.masked else 1), progress)
        return str(path)


@dataclass(frozen=True)
class _Lowered:
    """A layer seen through a filter that leaves one pixel of ratio x ratio."""

    read: Block
    degrade: Callable[[Tensor], Tensor]
    sampling: Sampling
    gain: float

    def __call__(self, rect: Rect, margins: int) -> _Samples:
        """The rectangle, counted in px of the result, computed with so many times the reach of the filter around it.

        A pixel is valid where the whole area under it is; gaps are filled before the filter sees them.
        """
        ratio = self.sampling.ratio
        margin = -(-margins * self.sampling.blur_reach_px(self.gain) // ratio)
        window = rect.grow(margin)
        samples, valid = self.read(finer(window, ratio))
        if valid is not None:
            samples = gaps.fill_gaps(samples, valid)
        core = (..., *rect.slices(window))
        low = self.degrade(tensor(samples))[0].numpy()[core]
        return low, None if valid is None else whole_cells(valid, ratio)[core]


def whole_cells(valid: np.ndarray, ratio: int) -> np.ndarray:
    """MS pixels whose whole area is valid: (bands, h·ratio, w·ratio) to (bands, h, w)."""
    bands, height, width = valid.shape
    return np.asarray(valid.reshape(bands, height // ratio, ratio, width // ratio, ratio).all((2, 4)))
