"""The residual shift between PAN and MS: measured by phase correlation on windows spread over the scene.

That of a cube is measured with its point spread instead: an intensity regressed on a hundred bands follows PAN wherever
it lies, so that phase correlation finds no shift at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.scene import PairRequest, ScenePair, open_pair
from fusioncli.ops.sampling import CentredSampling
from fusioncli.workflows.optics import UNTOLD, measure_blur

WARN_PX = 0.5
_CLEARLY_APART_PX = 1.0
_WINDOW_MS_PX = 128
_WINDOWS_PER_SIDE = 4
_MIN_WINDOW_MS_PX = 16
_SUBPIXEL = 200
_LOOKS = 4
_SETTLED_PX = 0.6  # more than half, or a shift between two whole PAN px could go to and fro
_BLUR_MS_PX = 1.0  # standard deviation of the Gaussian that leaves only what both images show in the same place


@dataclass(frozen=True)
class Shift:
    """How far the MS has to move to meet the PAN.

    Attributes:
        rows_px: downwards, PAN px.
        cols_px: to the right, PAN px.
        spread_px: half the interquartile range over the windows, PAN px; of a cube, the standard error.
        windows: how many windows the median is over; of a cube, 1.
    """

    rows_px: float
    cols_px: float
    spread_px: float
    windows: int

    @property
    def length_px(self) -> float:
        """Euclidean length, PAN px."""
        return float(np.hypot(self.rows_px, self.cols_px))

    @property
    def rounded(self) -> list[float]:
        """Rows and columns as they are shown."""
        return [round(self.rows_px, 3), round(self.cols_px, 3)]


def open_registered(request: PairRequest, coregister: bool) -> tuple[ScenePair, Shift | None]:
    """Open a pair; with `coregister`, find the shift and open the pair with the MS moved.

    Raises:
        DataError: as `open_pair` and `measure_shift`.
    """
    if not coregister:
        return open_pair(request), None
    shift = find_shift(request)
    return open_pair(replace(request, shift_px=(shift.rows_px, shift.cols_px))), shift


def apart_note(request: PairRequest) -> str | None:
    """Advice where the contents of MS and PAN clearly lie apart; None where they do not, or where nobody can tell."""
    try:
        shift = find_shift(request, hasty=True)
    except (DataError, ValueError):
        return None
    if shift.length_px <= _CLEARLY_APART_PX:
        return None
    return f"{apart(shift.length_px, _CLEARLY_APART_PX)}; consider --coregister"


def apart(length_px: float, limit_px: float = WARN_PX) -> str:
    """That a shift is longer than it should be."""
    return f"MS and PAN contents are {length_px:.2f} PAN px apart, more than {limit_px:g}"


def find_shift(request: PairRequest, hasty: bool = False) -> Shift:
    """The shift of a pair as it lies, measured again with the MS moved by whole PAN px until a fraction of one is left.

    A large shift is measured badly, since the windows show different ground. Between the looks the MS moves by whole
    PAN px because that takes no resampling: interpolated samples would be measured in part for what they are.

    Args:
        request: the pair.
        hasty: whether the inner quarter of the windows is enough.

    Raises:
        DataError: as `open_pair` and `measure_shift`, or every look finds a shift, as between unlike pictures.
    """
    rows_px, cols_px, rest = 0, 0, Shift(0.0, 0.0, 0.0, 0)
    for _ in range(_LOOKS):
        rows_px, cols_px = rows_px + round(rest.rows_px), cols_px + round(rest.cols_px)
        pair = open_pair(replace(request, shift_px=(float(rows_px), float(cols_px))))
        rest = _cube_shift(pair) if request.cube else measure_shift(pair, hasty)
        if max(abs(rest.rows_px), abs(rest.cols_px)) < _SETTLED_PX:
            break
    else:
        raise DataError(
            f"the shift between MS and PAN cannot be measured: after {_LOOKS} looks they are still "
            f"{rest.length_px:.1f} PAN px apart",
            "check that both show the same scene, or align the rasters by hand",
        )
    return replace(rest, rows_px=rows_px + rest.rows_px, cols_px=cols_px + rest.cols_px)


def _cube_shift(pair: ScenePair) -> Shift:
    """Where the cells of a cube see its sharper image."""
    blur = measure_blur(pair)
    if blur is None:
        raise DataError(
            f"the shift between MS and PAN cannot be measured: {UNTOLD}",
            "use a larger scene, or align the rasters by hand",
        )
    return Shift(blur.rows_px, blur.cols_px, blur.error_px, 1)


def measure_shift(pair: ScenePair, hasty: bool = False) -> Shift:
    """Median shift between the MS intensity and the PAN degraded to the MS grid.

    The intensity is the combination of bands that fits the degraded PAN best in each window (least squares), because
    a plain mean is dominated by near infrared, which PAN may hardly see. Windows with missing pixels are skipped.

    Both are blurred first. Near the Nyquist frequency the MS holds aliases, which do not move with the content, and
    cubic convolution does not move a wave as far as it should (one of 4 px by 0.27 px instead of 0.31 px): fine detail
    is apart although everything is in its place, and would draw the result by up to 0.2 PAN px at ratio 4.

    Args:
        pair: the aligned scene.
        hasty: whether the inner quarter of the windows is enough.

    Raises:
        DataError: no window is large enough, complete and textured.
    """
    found = [shift for window in _windows(pair, hasty) if (shift := _window_shift(pair, window)) is not None]
    if not found:
        raise DataError(
            "the shift between MS and PAN cannot be measured: no complete window with texture in both",
            "use a larger scene, or align the rasters by hand",
        )
    shifts = np.array(found)
    rows_px, cols_px = np.median(shifts, 0)
    low, high = np.percentile(shifts, (25, 75), 0)
    return Shift(float(rows_px), float(cols_px), float((high - low).max() / 2), len(found))


def _windows(pair: ScenePair, hasty: bool) -> list[Rect]:
    """Up to 4 x 4 square windows, evenly spread, or the 2 x 2 in their middle, in PAN px."""
    ratio, scene = pair.alignment.ratio, pair.alignment.scene
    shape = scene.height // ratio, scene.width // ratio
    side = min(_WINDOW_MS_PX, *shape)
    if side < _MIN_WINDOW_MS_PX:
        return []
    places = np.linspace(0, 1, _WINDOWS_PER_SIDE)[1:-1] if hasty else np.linspace(0, 1, _WINDOWS_PER_SIDE)
    starts = [sorted({round(place * (n - side)) for place in places}) for n in shape]
    return [
        Rect(row * ratio, col * ratio, (row + side) * ratio, (col + side) * ratio)
        for row in starts[0]
        for col in starts[1]
    ]


def _window_shift(pair: ScenePair, window: Rect) -> tuple[float, float] | None:
    from scipy.ndimage import gaussian_filter  # half a second to import with the next, rarely needed
    from skimage.registration import phase_cross_correlation

    samples = pair.read(window)
    if samples.valid is not None and not samples.valid.all():
        return None
    alignment = pair.alignment
    sampling = CentredSampling(alignment.ratio, alignment.mean_gsd_ratio)
    small_pan = sampling.shrink(torch.from_numpy(samples.pan)[None])[0, :1].numpy()
    images = np.concatenate([small_pan, samples.ms]).astype(np.float64)
    blurred = gaussian_filter(images, (0, _BLUR_MS_PX, _BLUR_MS_PX))
    pan, bands = blurred[0], blurred[1:]
    design = np.concatenate([bands, np.ones((1, *pan.shape))]).reshape(-1, pan.size).T
    weights = np.linalg.lstsq(design, pan.ravel(), rcond=None)[0]
    intensity = (design @ weights).reshape(pan.shape)
    if pan.std() < 1e-6 * abs(pan.mean()) or intensity.std() < 1e-6 * abs(intensity.mean()):
        return None
    taper = np.hanning(pan.shape[0])[:, None] * np.hanning(pan.shape[1])[None, :]
    reference, moving = ((x - x.mean()) * taper for x in (pan, intensity))
    plain: Any = None  # plain correlation: whitening would weigh noise and aliasing as much as content
    shift, _, _ = phase_cross_correlation(reference, moving, upsample_factor=_SUBPIXEL, normalization=plain)
    if np.abs(shift).max() > min(pan.shape) / 4:
        return None
    return float(shift[0] * alignment.ratio), float(shift[1] * alignment.ratio)
