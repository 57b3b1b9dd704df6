"""Wald's protocol on an MS/PAN pair: both are made coarser by their ratio, and the MS becomes the truth.

Wald et al., "Fusion of satellite images of different spatial resolutions: Assessing the quality of resulting images",
PE&RS 63(6), 1997.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate.protocol import EvalProtocol
from fusioncli.workflows.evaluate.wald import truth_cells, whole_cells
from fusioncli.workflows.simulate.source import array, batch, source_name

_BLOCK_PX, _BLOCK_BANDS = 384, 8  # of the truth
_PAN_REACH_CELLS = 2  # of `imresize`: two px of the coarse image


@dataclass(frozen=True)
class PairSource:
    """A pair that is degraded on the fly.

    Attributes:
        pair: the aligned scene.
        sensor: figures for its bands.
        protocol: filters and phases.
        value_max: DN that is mapped to 1.
        licence: of the imagery.
    """

    pair: ScenePair
    sensor: Sensor
    protocol: EvalProtocol
    value_max: float
    licence: str

    @property
    def facts(self) -> PatchFacts:
        """Everything."""
        ratio = self.pair.alignment.ratio
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
        truth, ratio = truth_cells(self.pair), self.pair.alignment.ratio
        return Rect(0, 0, truth.height // ratio, truth.width // ratio)

    @property
    def margin(self) -> int:
        """Reach of the interpolation behind that of the blur."""
        blur_px = max(self._sampling.blur_reach_px(gain) for gain in self.sensor.ms_mtf)
        return -(-self._sampling.reach_px() // self._sampling.ratio) + -(-blur_px // self._sampling.ratio)

    @property
    def block_side(self) -> int:
        """Smaller for many bands."""
        shrink = min(1.0, (_BLOCK_BANDS / self.pair.bands) ** 0.5)
        return int(_BLOCK_PX * shrink) // self.pair.alignment.ratio

    def shapes(self, side: int) -> Shapes:
        """Truth, degraded MS, the same on the grid of the truth, degraded PAN."""
        bands, fine = self.pair.bands, side * self.pair.alignment.ratio
        return {
            "gt": (bands, fine, fine),
            "ms": (bands, side, side),
            "lms": (bands, fine, fine),
            "pan": (1, fine, fine),
        }

    def valid(self, rect: Rect) -> np.ndarray | None:
        """Where all MS and PAN pixels below a cell hold data."""
        window, ratio = rect.grow(self.margin), self.pair.alignment.ratio
        cells = [
            whole_cells(valid, scale).all(0)
            for (_, valid), scale in ((self._ms(window), ratio), (self._pan(window), ratio * ratio))
            if valid is not None
        ]
        return np.logical_and.reduce(cells) if cells else None

    def images(self, rect: Rect, numbers: PatchNumbers) -> Images:
        """Truth, degraded MS, the same on the grid of the truth, degraded PAN."""
        dtype, ratio, sampling = getattr(torch, self.protocol.dtype), self._sampling.ratio, self._sampling
        window, pan_window = rect.grow(self.margin), rect.grow(self._pan_margin)
        ms, pan = (batch(*read, dtype) for read in (self._ms(window), self._pan(pan_window)))
        core, fine = rect.slices(window), finer(rect, ratio).slices(finer(window, ratio))
        low = sampling.degrade(ms, self.sensor.ms_mtf)
        low_pan = self.protocol.lower_pan(sampling, pan, self.sensor.pan_mtf)
        numbers.check("MS", array(ms, *fine))
        numbers.check("PAN", array(pan, *finer(rect, ratio * ratio).slices(finer(pan_window, ratio * ratio))))
        return {
            "gt": array(ms, *fine),
            "ms": array(low, *core),
            "lms": array(sampling.upsample(low), *fine),
            "pan": array(low_pan, *finer(rect, ratio).slices(finer(pan_window, ratio))),
        }

    @property
    def _sampling(self) -> Sampling:
        return self.protocol.sampling(self.pair.alignment.ratio, self.pair.alignment.ratio)

    @property
    def _pan_margin(self) -> int:
        blur_cells = -(-self._sampling.blur_reach_px(self.sensor.pan_mtf) // self._sampling.ratio**2)
        return max(_PAN_REACH_CELLS, blur_cells)

    def _ms(self, cells: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        truth = truth_cells(self.pair)
        window = finer(cells, self.pair.alignment.ratio).shift(truth.row0, truth.col0)
        return self.pair.ms.read(self.pair.ms_window(window))

    def _pan(self, cells: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        ratio, truth = self.pair.alignment.ratio, truth_cells(self.pair)
        (top, left), corner = self.pair.alignment.origin, finer(truth, ratio)
        return self.pair.pan.read(finer(cells, ratio * ratio).shift(top + corner.row0, left + corner.col0))
