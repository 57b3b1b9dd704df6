"""Sensors that do not exist but could: random pass bands, optics and bit depths, to train networks for any sensor."""

from __future__ import annotations

import numpy as np

from fusioncli.core.sensors import Range, Sensor

NAME = "RANDOM"
_REACH_NM = {8: 1000.0, 16: 1300.0}  # up to so many bands; more reach into the short-wave infrared
_BIT_DEPTHS = (10, 11, 12, 14)
_PUBLISHED_GAIN, _ANY_GAIN = (0.20, 0.42), (0.04, 0.70)
_DETECTOR_GAIN = 2 / np.pi  # of a square one, without optics: none is sharper
_PUBLISHED_PAN_GAIN, _ANY_PAN_GAIN = (0.10, 0.20), (0.09, 0.55)


def random_sensor(rng: np.random.Generator, bands: int, ratio: int) -> Sensor:
    """A plausible sensor.

    Bands are 15 to 140 nm wide, ordered by wavelength and rarely overlap; the PAN covers the visible and some or all of
    the near infrared, as real ones do. Half of the MS, and of the PANs, have a gain at Nyquist such as is published for
    instruments; the others one such as products have: smooth if they were resampled on their way to the user, sharp if
    their MTF was compensated.

    Args:
        rng: source of randomness.
        bands: number of MS bands.
        ratio: PAN pixels per MS pixel.
    """
    edges = _edges(rng, bands)
    gain = rng.uniform(*(_PUBLISHED_GAIN if rng.random() < 0.5 else _ANY_GAIN))
    pan_gain = rng.uniform(*(_PUBLISHED_PAN_GAIN if rng.random() < 0.5 else _ANY_PAN_GAIN))
    gains = np.clip(gain * rng.lognormal(0, 0.07, bands), 0.03, _DETECTOR_GAIN)
    return Sensor(
        name=NAME,
        title="random sensor",
        bands=tuple(f"band_{number}" for number in range(1, bands + 1)),
        codes=tuple(f"B{number}" for number in range(1, bands + 1)),
        ranges_nm=tuple(Range(float(low), float(high)) for low, high in edges),
        pan_nm=Range(float(rng.uniform(430, 530)), float(rng.uniform(680, 900))),
        pan_weights=(1 / bands,) * bands,
        ms_mtf=tuple(map(float, gains)),
        pan_mtf=float(pan_gain),
        bit_depth=int(rng.choice(_BIT_DEPTHS)),
        ratio=ratio,
        ms_gsd_m=float("nan"),
        aliases=(),
        source="drawn at random",
    )


def _edges(rng: np.random.Generator, bands: int) -> np.ndarray:
    """Low and high end of each pass band: one band somewhere in each of equal steps of the spectrum."""
    reach_nm = next((high for count, high in _REACH_NM.items() if bands <= count), 2400.0)
    steps = np.linspace(420.0, reach_nm, bands + 1)
    step = steps[1] - steps[0]
    centres = steps[:-1] + step * rng.uniform(0.2, 0.8, bands)
    widths = np.clip(step * rng.uniform(0.35, 1.1, bands), 15, 140)
    return np.stack([centres - widths / 2, centres + widths / 2], 1).clip(401, 2499)
