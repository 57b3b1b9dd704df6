"""A drawn landscape photographed three times: MS, PAN, and the MS that good optics would take with pixels of the PAN.

The third one is the truth of pansharpening. No real sensor takes it, so that networks are otherwise trained on scenes
made coarser by their ratio, with the truth at the scale of the MS; here it is known at full resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusioncli.core.sensors import TRUTH_GAIN, Sensor
from fusioncli.core.synthetic.imaging import Exposure, record, responses, sample
from fusioncli.core.synthetic.landscape import Landscape, landscape
from fusioncli.core.synthetic.light import Sun
from fusioncli.core.synthetic.spectra import MATERIALS, Atmosphere
from fusioncli.core.synthetic.textures import Array

OVERSAMPLING = 2
"""Landscape pixels per PAN pixel."""
_PIXEL_M, _COARSEST_M = (0.14, 0.30), 0.9
"""Sizes of a landscape pixel. Not the sensor's: landscapes of still coarser ones hold too many houses to be drawn in
seconds."""


@dataclass(frozen=True)
class Framing:
    """What is photographed.

    Attributes:
        rows: of the PAN, a multiple of the ratio.
        cols: of the PAN, a multiple of the ratio.
        ms_phase_px: how far the sample of an MS pixel lies below and to the right of the pixel's centre, PAN px.
        misregistration_px: the PAN is at most so far off the MS and the truth, along either axis; mostly much less, as
            in real scenes. A fused image lies where its MS lies, so that the truth must, too.
        coarse: half of the landscapes have pixels up to three times larger: cars are points in them.
    """

    rows: int
    cols: int
    ms_phase_px: float = 0.0
    misregistration_px: float = 0.0
    coarse: bool = False


@dataclass(frozen=True)
class Shot:
    """Digital numbers of one scene.

    Attributes:
        ms: (bands, rows / ratio, cols / ratio).
        pan: (1, rows, cols).
        truth: (bands, rows, cols), without noise.
    """

    ms: NDArray[np.uint16]
    pan: NDArray[np.uint16]
    truth: NDArray[np.uint16]


def shoot(rng: np.random.Generator, sensor: Sensor, framing: Framing) -> Shot:
    """Draw a landscape in a random light under a random sky, and photograph it.

    Args:
        rng: everything follows from it.
        sensor: with known pass bands, gains and a whole ratio.
        framing: size and registration.

    Raises:
        UsageError: a pass band is unknown.
    """
    filters, ratio = responses((*sensor.ranges_nm, sensor.pan_nm)), round(sensor.ratio)
    shape = framing.rows * OVERSAMPLING, framing.cols * OVERSAMPLING
    sun = Sun(rng.uniform(90, 270), rng.uniform(25, 70))
    scene = _repainted(rng, landscape(int(rng.integers(2**62)), shape, _pixel_m(rng, framing.coarse), sun))
    seen = scene.observe(filters, Atmosphere(rng.uniform(0.004, 0.05), rng.uniform(0.1, 0.3)))
    exposure = Exposure(rng.uniform(0.5, 1.4), rng.uniform(0.0, 0.04), rng.uniform(0.3, 2.0))
    off_px = (rng.uniform(-1, 1, 2) ** 3 * framing.misregistration_px).tolist()
    sampled = _moved(seen[:-1], [framing.ms_phase_px] * 2)
    ms = [sample(band, ratio * OVERSAMPLING, gain) for band, gain in zip(sampled, sensor.ms_mtf, strict=True)]
    truth = [sample(band, OVERSAMPLING, TRUTH_GAIN) for band in seen[:-1]]
    pan = sample(_moved(seen[-1:], off_px)[0], OVERSAMPLING, sensor.pan_mtf)[None]
    noiseless = Exposure(exposure.full_scale, 0.0, 0.0)
    return Shot(
        record(rng, np.stack(ms), sensor.bit_depth, exposure),
        record(rng, pan, sensor.bit_depth, exposure),
        record(rng, np.stack(truth), sensor.bit_depth, noiseless),
    )


def _pixel_m(rng: np.random.Generator, coarse: bool) -> float:
    if coarse and rng.random() >= 0.5:
        return float(np.exp(rng.uniform(np.log(_PIXEL_M[1]), np.log(_COARSEST_M))))
    return rng.uniform(*_PIXEL_M)


def _moved(images: Array, px: Sequence[float]) -> Array:
    """Images (bands, h, w) with their content moved up and to the left by so many PAN px."""
    return np.roll(images, [-round(axis * OVERSAMPLING) for axis in px], (1, 2))


def _repainted(rng: np.random.Generator, scene: Landscape) -> Landscape:
    """Every material a little brighter or darker and mixed with others, so that no two scenes have the same spectra."""
    count = len(MATERIALS)
    share = rng.uniform(0.0, 0.3, count)
    others = rng.dirichlet(np.full(count, 0.3), count).T
    mixing = np.diag(1 - share) + others * share
    mixing *= rng.lognormal(0.0, 0.15, count)
    abundance: Array = np.tensordot(mixing.astype(np.float32), scene.abundance, 1)
    return replace(scene, abundance=abundance)
