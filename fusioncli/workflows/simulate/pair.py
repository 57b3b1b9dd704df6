"""Wald's protocol on an MS/PAN pair: both are made coarser by their ratio, and the MS becomes the truth.

Wald et al., "Fusion of satellite images of different spatial resolutions: Assessing the quality of resulting images",
PE&RS 63(6), 1997. A hyperspectral cube and the sharper image beside it are such a pair too; where both have pixels of
one size, only the cube is made coarser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from fusioncli import __version__
from fusioncli.core.grid import Grid
from fusioncli.core.rects import finer
from fusioncli.core.sensors import Sensor
from fusioncli.core.tiling import Rect
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import Images, PatchNumbers, Shapes
from fusioncli.io.scene import ScenePair
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate.protocol import EvalProtocol
from fusioncli.workflows.evaluate.wald import truth_cells, whole_cells
from fusioncli.workflows.simulate.source import array, batch, source_name

_BLOCK_PX, _BLOCK_BANDS = 384, 8  # of the truth
_PAN_REACH_CELLS = 2  # of `imresize`: two px of the coarse image
_NAMES, _CUBE_NAMES = ("gt", "ms", "lms", "pan"), ("gt", "hsi", "hsi_up", "msi")

_T = TypeVar("_T")


@dataclass(frozen=True)
class PairSource:
    """A pair that is degraded on the fly.

    Attributes:
        pair: the aligned scene.
        sensor: figures for its bands.
        protocol: filters and phases.
        value_max: DN that is mapped to 1.
        licence: of the imagery.
        by: how far the MS is degraded where both images share their pixels, and PAN stays as it is; None to degrade
            both by the pair's ratio.
        cube: the MS is a hyperspectral cube, PAN has any number of bands; only the names of the images differ.
    """

    pair: ScenePair
    sensor: Sensor
    protocol: EvalProtocol
    value_max: float
    licence: str
    by: int | None = None
    cube: bool = False

    @property
    def facts(self) -> PatchFacts:
        """Everything."""
        ratio = self._ratio
        files = (*self.pair.ms.files, *self.pair.pan.files)
        return PatchFacts(
            sensor=self.sensor.name,
            value_max=self.value_max,
            ratio=ratio,
            upsampler=self.protocol.upsampler,
            phase=float(ratio // 2) if self.protocol.literal else (ratio - 1) / 2,
            protocol=self.protocol.name,
            bands=self.sensor.bands,
            sources=tuple(source_name(file.path) for file in files),
            licence=self.licence,
            version=f"fusioncli {__version__}",
        )

    @property
    def kind(self) -> str:
        """Of the MS."""
        return str(np.result_type(*(file.dtype for file in self.pair.ms.files)))

    @property
    def ground(self) -> Grid:
        """Of the PAN that the MS covers."""
        return self.pair.output_grid

    @property
    def masked(self) -> bool:
        """Whether MS or PAN have gaps."""
        return self.pair.masked

    @property
    def cells(self) -> Rect:
        """As many as lie wholly in both images."""
        truth = truth_cells(self.pair, self.by)
        return Rect(0, 0, truth.height // self._ratio, truth.width // self._ratio)

    @property
    def margin(self) -> int:
        """Reach of the interpolation behind that of the blur."""
        blur_px = max(self._sampling.blur_reach_px(gain) for gain in self.sensor.ms_mtf)
        return -(-self._sampling.reach_px() // self._sampling.ratio) + -(-blur_px // self._sampling.ratio)

    @property
    def block_side(self) -> int:
        """Smaller for many bands."""
        shrink = min(1.0, (_BLOCK_BANDS / self.pair.bands) ** 0.5)
        return int(_BLOCK_PX * shrink) // self._ratio

    def shapes(self, side: int) -> Shapes:
        """Truth, degraded MS, the same on the grid of the truth, PAN on it."""
        bands, fine = self.pair.bands, side * self._ratio
        every = (bands, fine, fine), (bands, side, side), (bands, fine, fine), (self.pair.guide_bands, fine, fine)
        return self._named(every)

    def valid(self, rect: Rect) -> np.ndarray | None:
        """Where all MS and PAN pixels below a cell hold data."""
        window = rect.grow(self.margin)
        cells = [
            whole_cells(valid, scale).all(0)
            for (_, valid), scale in ((self._ms(window), self._ratio), (self._pan(window), self._pan_ratio))
            if valid is not None
        ]
        return np.logical_and.reduce(cells) if cells else None

    def images(self, rect: Rect, numbers: PatchNumbers) -> Images:
        """Truth, degraded MS, the same on the grid of the truth, PAN on it."""
        dtype, ratio, sampling = getattr(torch, self.protocol.dtype), self._ratio, self._sampling
        window, pan_window = rect.grow(self.margin), rect.grow(self._pan_margin)
        ms, pan = (batch(*read, dtype) for read in (self._ms(window), self._pan(pan_window)))
        core, fine = rect.slices(window), finer(rect, ratio).slices(finer(window, ratio))
        numbers.check("MS", array(ms, *fine))
        numbers.check("PAN", array(pan, *finer(rect, self._pan_ratio).slices(finer(pan_window, self._pan_ratio))))
        low = sampling.degrade(ms, self.sensor.ms_mtf)
        low_pan = pan if self.by else self.protocol.lower_pan(sampling, pan, self._pan_gain)
        pan_core = finer(rect, ratio).slices(finer(pan_window, ratio))
        every = array(ms, *fine), array(low, *core), array(sampling.upsample(low), *fine), array(low_pan, *pan_core)
        return self._named(every)

    def _named(self, every: Sequence[_T]) -> dict[str, _T]:
        return dict(zip(_CUBE_NAMES if self.cube else _NAMES, every, strict=True))

    @property
    def _ratio(self) -> int:
        """Truth pixels per cell, along either axis."""
        return self.by or self.pair.alignment.ratio

    @property
    def _pan_ratio(self) -> int:
        """PAN pixels per cell, along either axis."""
        return self._ratio * self.pair.alignment.ratio

    @property
    def _sampling(self) -> Sampling:
        return self.protocol.sampling(self._ratio, self._ratio)

    @property
    def _pan_gain(self) -> float:
        return self.sensor.pan_mtf if self.pair.guide_bands == 1 else DEFAULT_MS_GAIN

    @property
    def _pan_margin(self) -> int:
        if self.by:
            return 0
        blur_cells = -(-self._sampling.blur_reach_px(self._pan_gain) // self._pan_ratio)
        return max(_PAN_REACH_CELLS, blur_cells)

    def _ms(self, cells: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        truth = truth_cells(self.pair, self.by)
        window = finer(cells, self._ratio).shift(truth.row0, truth.col0)
        return self.pair.ms.read(self.pair.ms_window(window))

    def _pan(self, cells: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        corner = finer(truth_cells(self.pair, self.by), self.pair.alignment.ratio).shift(*self.pair.alignment.origin)
        return self.pair.pan.read(finer(cells, self._pan_ratio).shift(corner.row0, corner.col0))
