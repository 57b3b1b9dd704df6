"""The residual shift between PAN and MS: measured by phase correlation on windows spread over the scene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.scene import PairRequest, ScenePair, open_pair
from fusioncli.ops.sampling import CentredSampling

WARN_PX = 0.5
_WINDOW_MS_PX = 128
_WINDOWS_PER_SIDE = 4
_MIN_WINDOW_MS_PX = 16
_SUBPIXEL = 100
_ITERATIONS = 2


@dataclass(frozen=True)
class Shift:
    """How far the MS has to move to meet the PAN.

    Attributes:
        rows_px: downwards, PAN px.
        cols_px: to the right, PAN px.
        spread_px: half the interquartile range over the windows, PAN px.
        windows: how many windows the median is over.
    """

    rows_px: float
    cols_px: float
    spread_px: float
    windows: int

    @property
    def length_px(self) -> float:
        """Euclidean length, PAN px."""
        return float(np.hypot(self.rows_px, self.cols_px))


def open_registered(request: PairRequest, coregister: bool) -> tuple[ScenePair, Shift | None]:
    """Open a pair; with `coregister`, measure the shift and open it again with the MS moved.

    Measured twice, because correlation is drawn towards whole pixels: the second time the rest is small.

    Raises:
        DataError: as `open_pair` and `measure_shift`.
    """
    pair = open_pair(request)
    if not coregister:
        return pair, None
    shift = Shift(0.0, 0.0, 0.0, 0)
    for _ in range(_ITERATIONS):
        rest = measure_shift(pair)
        shift = replace(rest, rows_px=shift.rows_px + rest.rows_px, cols_px=shift.cols_px + rest.cols_px)
        pair = open_pair(replace(request, shift_px=(shift.rows_px, shift.cols_px)))
    return pair, shift


def measure_shift(pair: ScenePair) -> Shift:
    """Median shift between the MS intensity and the PAN degraded to the MS grid.

    The intensity is the combination of bands that fits the degraded PAN best in each window (least squares), because
    a plain mean is dominated by near infrared, which PAN may hardly see. Windows with missing pixels are skipped.

    Raises:
        DataError: no window is large enough, complete and textured.
    """
    found = [shift for window in _windows(pair) if (shift := _window_shift(pair, window)) is not None]
    if not found:
        raise DataError(
            "the shift between MS and PAN cannot be measured: no complete window with texture in both",
            "use a larger scene, or align the rasters by hand",
        )
    shifts = np.array(found)
    rows_px, cols_px = np.median(shifts, 0)
    low, high = np.percentile(shifts, (25, 75), 0)
    return Shift(float(rows_px), float(cols_px), float((high - low).max() / 2), len(found))


def _windows(pair: ScenePair) -> list[Rect]:
    """Up to 4 x 4 square windows, evenly spread, in PAN px."""
    ratio, scene = pair.alignment.ratio, pair.alignment.scene
    shape = scene.height // ratio, scene.width // ratio
    side = min(_WINDOW_MS_PX, *shape)
    if side < _MIN_WINDOW_MS_PX:
        return []
    starts = [
        sorted({round(i * (n - side) / max(_WINDOWS_PER_SIDE - 1, 1)) for i in range(_WINDOWS_PER_SIDE)}) for n in shape
    ]
    return [
        Rect(row * ratio, col * ratio, (row + side) * ratio, (col + side) * ratio)
        for row in starts[0]
        for col in starts[1]
    ]


def _window_shift(pair: ScenePair, window: Rect) -> tuple[float, float] | None:
    samples = pair.read(window)
    if samples.valid is not None and not samples.valid.all():
        return None
    alignment = pair.alignment
    sampling = CentredSampling(alignment.ratio, alignment.mean_gsd_ratio)
    pan = sampling.shrink(torch.from_numpy(samples.pan)[None])[0, 0].numpy()
    bands = samples.ms.reshape(len(samples.ms), -1).astype(np.float64)
    design = np.vstack([bands, np.ones(bands.shape[1])]).T
    weights = np.linalg.lstsq(design, pan.ravel().astype(np.float64), rcond=None)[0]
    intensity = (design @ weights).reshape(pan.shape)
    if pan.std() < 1e-6 * abs(pan.mean()) or intensity.std() < 1e-6 * abs(intensity.mean()):
        return None
    taper = np.hanning(pan.shape[0])[:, None] * np.hanning(pan.shape[1])[None, :]
    reference, moving = ((x - x.mean()) * taper for x in (pan, intensity))
    from skimage.registration import phase_cross_correlation  # half a second to import, rarely needed

    plain: Any = None  # plain correlation: whitening would weigh noise and aliasing as much as content
    shift, _, _ = phase_cross_correlation(reference, moving, upsample_factor=_SUBPIXEL, normalization=plain)
    if np.abs(shift).max() > min(pan.shape) / 4:
        return None
    return float(shift[0] * alignment.ratio), float(shift[1] * alignment.ratio)
