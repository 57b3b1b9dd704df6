"""What the indices without reference look at: a pair and its fused image, each lowered and raised by the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fusioncli.core import gaps
from fusioncli.core.rects import cells_within
from fusioncli.core.sensors import Sensor
from fusioncli.core.tiling import Rect
from fusioncli.io.layer import Layer
from fusioncli.io.scene import ScenePair
from fusioncli.ops import toolbox
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate import reproject
from fusioncli.workflows.evaluate.measure import Images, View
from fusioncli.workflows.evaluate.views import Derived, mask, tensor
from fusioncli.workflows.evaluate.wald import whole_cells

_PAN_REACH_CELLS = 3  # of `imresize`: two MS px of a stretched cubic, and the one that is wanted


@dataclass(frozen=True)
class Observed:
    """A pair and an image fused from it, on the pair's output grid.

    Attributes:
        pair: the aligned scene.
        fused: the image.
        sensor: figures for its bands.
        sampling: the protocol's operators.
        scale: factor on every value.
    """

    pair: ScenePair
    fused: Layer
    sensor: Sensor
    sampling: Sampling
    scale: float

    def on_pan_grid(self, frame: Rect) -> View:
        """Fused, PAN and the MS on the PAN grid, within a frame given in PAN px of the scene."""
        reach = self.sampling.reach_px() + _PAN_REACH_CELLS * self.sampling.ratio
        return self._derived(self._raised, frame, 1, max(reach, self._blur_reach_px)).view()

    def on_ms_grid(self, frame: Rect) -> View:
        """MS and the fused image on the MS grid, in the MS pixels that lie wholly inside the frame."""
        cells = cells_within(frame, self.sampling.ratio)
        return self._derived(self._lowered, cells, self.sampling.ratio, self._blur_reach_px).view()

    @property
    def _blur_reach_px(self) -> int:
        return self.sampling.blur_reach_px(min(self.sensor.ms_mtf))

    def _derived(self, observe: Callable[[Rect], Images], extent: Rect, step_px: int, reach_px: int) -> Derived:
        alignment = self.pair.alignment
        masked = self.pair.masked or self.fused.masked
        return Derived(
            observe,
            extent,
            self.pair.bands,
            step_px,
            alignment.ratio,
            reach_px * (2 if masked else 1),
            alignment.scene if self.sampling.literal else None,
        )

    def _raised(self, window: Rect) -> Images:
        ms, pan, fused, valid = self._read(window)
        return raised(ms, pan, fused, self.sampling, self.sensor.ms_mtf), mask(valid)

    def _lowered(self, window: Rect) -> Images:
        ms, pan, fused, valid = self._read(window)
        cells = None if valid is None else whole_cells(valid, self.sampling.ratio)
        return lowered(ms, pan, fused, self.sampling, self.sensor.ms_mtf), mask(cells)

    def _read(self, window: Rect) -> tuple[Tensor, Tensor, Tensor, np.ndarray | None]:
        """MS, PAN and fused of a window, gaps filled, and where on the PAN grid all bands of all hold data."""
        output = self.pair.alignment.output_in_scene
        samples = self.pair.read(window)
        fused, fused_valid = self.fused.read(window.shift(-output.row0, -output.col0))
        if fused_valid is not None:
            fused = gaps.fill_gaps(fused, fused_valid)
        given = [valid.all(0, keepdims=True) for valid in (samples.valid, fused_valid) if valid is not None]
        valid = np.logical_and.reduce(given) if given else None
        ms, pan, image = (tensor(x, self.scale) for x in (samples.ms, samples.pan, fused))
        return ms, pan, image, valid


def raised(ms: Tensor, pan: Tensor, fused: Tensor, sampling: Sampling, gains: Sequence[float]) -> dict[str, Tensor]:
    """Everything on the PAN grid.

    Args:
        ms: (1, C, h, w).
        pan: (1, 1, h·ratio, w·ratio).
        fused: (1, C, h·ratio, w·ratio).
        sampling: operators between the grids.
        gains: MTF gains of the bands.
    """
    return {
        "fused": fused,
        "pan": pan,
        "lms": sampling.upsample(ms),
        "pan_degraded": sampling.upsample(toolbox.imresize(pan, 1 / sampling.ratio)),
        "fused_filtered": sampling.blur(fused, gains),
    }


def lowered(ms: Tensor, pan: Tensor, fused: Tensor, sampling: Sampling, gains: Sequence[float]) -> dict[str, Tensor]:
    """MS and fused on the MS grid, arguments as in `raised`.

    The toolbox does not know the phase of the MS and searches it band by band; centred, it is known.
    """
    if not sampling.literal:
        return {"ms": ms, "fused_lowered": sampling.degrade(fused, gains)}
    phases = reproject.search_phases(ms, pan, gains[0], sampling.ratio)
    return {"ms": ms, "fused_lowered": reproject.lower_at_phases(fused, gains, sampling.ratio, phases)}
