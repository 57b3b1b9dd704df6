"""How the cube of a pair lies on its sharper companion, and how it is blurred against it: measured, told, and used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fusioncli.core.rects import cells_within, finer
from fusioncli.core.sensors import TRUTH_GAIN, Sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.scene import ScenePair
from fusioncli.models.consistent import BackProjection
from fusioncli.models.contract import FusionModel, SceneMethod
from fusioncli.models.hyperspectral.blur import MARGIN_CELLS, Blur, View, fit_blur
from fusioncli.models.refiner.scene import SceneRefiner
from fusioncli.workflows.requests import MtfGain

_PER_SIDE = 3
_WINDOW_PX, _LEAST_CELLS, _MOST_CELLS = 288, 12, 48
_TRUSTED = 0.9  # of the guide's variance explained: with less, noise of the guide passes for blur of the cube
_ALIKE = 0.2  # of the sensor's gain: measured ones are as far off, as nobody knows how sharp PAN itself is
_SMOOTH = 0.15  # gain of an MS that was resampled on its way to the user; instruments have more
_UNKNOWN_SENSOR = "GENERIC"
UNTOLD = "too few pixels, no texture, or other ground"
"""Why shift and blur of a pair cannot be told."""


def measure_blur(pair: ScenePair) -> Blur | None:
    """Point spread and shift of a cube against its sharper image, from a few windows; None where they cannot be told.

    Raises:
        DataError: an input is damaged.
    """
    views = [_look(pair, cells) for cells in _windows(pair)]
    return fit_blur(views, pair.alignment.ratio, pair.alignment.mean_gsd_ratio)


def seen_by(sensor: Sensor, blur: Blur | None, named: bool) -> Sensor:
    """The sensor, with the gain that was measured where no other is known.

    Args:
        sensor: fitted to the bands.
        blur: what was measured.
        named: whether the user chose the sensor.
    """
    if blur is None or named or sensor.name != _UNKNOWN_SENSOR or blur.explained < _TRUSTED:
        return sensor
    return replace(sensor, ms_mtf=(_usable(blur.gain),) * len(sensor.ms_mtf))


def with_gain(sensor: Sensor, pair: ScenePair, gain: MtfGain) -> tuple[Sensor, str]:
    """The sensor with another gain, and a note of it.

    PAN gets the gain, too: made coarser alike, an MS that is the truth is as sharp as the PAN beside it, which is what
    is wanted of a fused image at full resolution.

    Raises:
        DataError: the pair does not show its gain, or an input is damaged.
    """
    used, how = (_shown_gain(pair), ", measured") if gain == "measured" else (gain, "")
    return (
        replace(sensor, ms_mtf=(used,) * len(sensor.ms_mtf), pan_mtf=used),
        f"MTF gain {used:.2f} at Nyquist{how}, instead of {_mean_gain(sensor):.2f} of {sensor.name}",
    )


def by_shown_gain(
    model: FusionModel | SceneMethod, sensor: Sensor, pair: ScenePair
) -> tuple[FusionModel | SceneMethod, str]:
    """The model, if it corrects its results by the MS, with the gain that the pair shows, and a note of it.

    Raises:
        DataError: an input is damaged.
    """
    if not isinstance(model, SceneRefiner) or (told := model.correction) is None:
        return model, ""
    shown = through_shown_gain(told, sensor, measure_blur(pair))
    model = replace(model, correction=shown)
    if shown is None or shown is told:
        return model, ""
    gain, preset = shown.gains[0], _mean_gain(sensor)
    return (
        model,
        f"corrected by MS through an MTF gain of {gain:.2f} at Nyquist, measured, not {preset:.2f} of {sensor.name}",
    )


def through_shown_gain(correction: BackProjection, sensor: Sensor, blur: Blur | None) -> BackProjection | None:
    """A correction through what was measured of a pair.

    The sensor's gain stays where the pair shows hardly another. Where it shows none, nothing is to be corrected, for
    presets are too often wrong. A gain is measured against PAN and wanted against a fused image, whose optics are
    ordinary ones.
    """
    if blur is None or blur.explained < _TRUSTED:
        return None
    shown = blur.gain * (sensor.pan_mtf / TRUTH_GAIN) ** (correction.sampling.ratio**-2)  # optics are Gaussians
    if abs(shown - _mean_gain(sensor)) <= _ALIKE * _mean_gain(sensor):
        return correction
    return None if blur.at_least else replace(correction, gains=(_usable(shown),) * len(sensor.ms_mtf))


def blur_note(blur: Blur | None, sensor: Sensor, used: Sensor) -> str:
    """What was measured, and what became of it.

    Args:
        blur: what was measured.
        sensor: as it was chosen.
        used: with the gain of the job.
    """
    if blur is None:
        return f"point spread and shift of MS against PAN cannot be told: {UNTOLD}"
    gain = _mean_gain(sensor)
    fate = f"{gain:.2f} of {sensor.name} is used" if used is sensor else f"used instead of {gain:.2f} of {sensor.name}"
    return (
        f"MS against PAN: to be moved by {blur.rows_px:+.2f} rows and {blur.cols_px:+.2f} columns of PAN px, "
        f"MTF gain at Nyquist {blur.gain:.2f} ({fate}), {blur.explained:.1%} of PAN explained"
    )


def softness_note(pair: ScenePair, sensor: Sensor) -> str:
    """What learning from a smooth MS leads to; "" where it is not, or is taken for smooth, or that cannot be told."""
    if min(sensor.ms_mtf) < _SMOOTH:
        return ""
    blur = measure_blur(pair)
    if blur is None or blur.explained < _TRUSTED or blur.gain >= _SMOOTH:
        return ""
    return (
        f"MS is smooth (MTF gain {blur.gain:.2f} at Nyquist): a network that learns from it makes its results as "
        "smooth on the PAN grid; --mtf-gain measured keeps them as sharp as PAN"
    )


def _mean_gain(sensor: Sensor) -> float:
    return sum(sensor.ms_mtf) / len(sensor.ms_mtf)


def _shown_gain(pair: ScenePair) -> float:
    """The gain that a pair shows (DataError: it shows none)."""
    blur = measure_blur(pair)
    if blur is None or blur.explained < _TRUSTED:
        why = UNTOLD if blur is None else f"only {blur.explained:.0%} of PAN are explained"
        raise DataError(f"the MTF gain of MS cannot be measured: {why}", "give a number: --mtf-gain 0.3")
    return _usable(blur.gain)


def _usable(gain: float) -> float:
    """Rounded, for the last bits may depend on the number of threads."""
    return min(max(round(gain, 2), 0.01), 0.95)


def _windows(pair: ScenePair) -> Iterator[Rect]:
    """Cells of the cube inside the output: all of a small scene, else squares spread over it."""
    cells = cells_within(pair.alignment.output_in_scene, pair.alignment.ratio)
    most = min(_MOST_CELLS, max(_LEAST_CELLS, _WINDOW_PX // pair.alignment.ratio))
    (rows, height), (cols, width) = (_spread(n, most) for n in (cells.height, cells.width))
    for row in rows:
        for col in cols:
            at = Rect(row, col, row + height, col + width)
            yield at.shift(cells.row0, cells.col0)


def _spread(cells: int, most: int) -> tuple[list[int], int]:
    """Starts and length of up to three pieces of a line; of a short one, they overlap by their margins."""
    count = min(_PER_SIDE, -(-cells // most))
    length = min(cells, most, -(-cells // max(count, 1)) + 2 * MARGIN_CELLS)
    return sorted({round(start) for start in np.linspace(0, cells - length, count)}), length


def _look(pair: ScenePair, cells: Rect) -> View:
    ratio = pair.alignment.ratio
    samples = pair.read(finer(cells, ratio))
    if samples.valid is None:
        return View(samples.ms, samples.pan)
    whole = samples.valid.all(0).reshape(cells.height, ratio, cells.width, ratio).all((1, 3))
    return View(samples.ms, samples.pan, np.asarray(whole))
