"""What a sensor records of a landscape: filters, blur, sampling, noise, digital numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import erf

from fusioncli.core.sensors import Range, Sensor
from fusioncli.core.synthetic.landscape import Landscape
from fusioncli.core.synthetic.spectra import WAVELENGTHS_NM
from fusioncli.core.synthetic.textures import Array
from fusioncli.errors import UsageError


@dataclass(frozen=True)
class Exposure:
    """From reflectance to digital numbers.

    Attributes:
        full_scale: reflectance that gives the largest number.
        shot_noise: variance per digital number, of the photons.
        read_noise_dn: standard deviation, of the electronics.
    """

    full_scale: float = 0.80
    shot_noise: float = 0.02
    read_noise_dn: float = 1.0


def responses(ranges_nm: tuple[Range, ...], edge_nm: float = 8.0) -> NDArray[np.float64]:
    """Spectral responses: pass bands with soft edges, each with sum 1 on `WAVELENGTHS_NM`; shape (bands, 211).

    Args:
        ranges_nm: pass bands, within 400-2500 nm.
        edge_nm: softness of the edges.

    Raises:
        UsageError: for a pass band that is unknown or outside the spectra.
    """
    for low, high in ranges_nm:
        if not WAVELENGTHS_NM[0] <= low < high <= WAVELENGTHS_NM[-1]:
            raise UsageError(
                f"the pass band {low:g}-{high:g} nm is not within the spectra, 400-2500 nm",
                "choose a sensor whose pass bands are known",
            )
    low, high = (np.array(side)[:, None] for side in zip(*ranges_nm, strict=True))
    curves = erf((WAVELENGTHS_NM - low) / edge_nm) - erf((WAVELENGTHS_NM - high) / edge_nm)
    return curves / curves.sum(axis=1, keepdims=True)


def sample(scene: Array, factor: int, gain: float) -> Array:
    """Blur a finely sampled image and sample it with detectors `factor` times as large.

    The detector averages over its own square, so pixel (i, j) covers rows i * factor to (i + 1) * factor and is
    centred there. A Gaussian, the optics, makes the whole response `gain` at the Nyquist frequency of the
    detectors. A gain above that of the detector alone, about 0.64, cannot be reached and gives no blur. Beyond
    its edges the scene is taken to be mirrored.

    Args:
        scene: shape (rows, columns), multiples of `factor`.
        factor: detector size in pixels of the scene.
        gain: in (0, 1).

    Raises:
        UsageError: if the sides are no multiples of `factor`.
    """
    if any(size % factor for size in scene.shape):
        raise UsageError(f"a scene of {scene.shape} pixels does not divide by {factor}", "choose another shape")
    detector = 1 / (factor * np.sin(np.pi / (2 * factor)))
    optics = min(gain / detector, 1.0)
    transfer = [optics ** ((factor * np.arange(size) / size) ** 2) for size in scene.shape]
    spectrum = np.asarray(fft.dctn(scene, type=2)) * np.multiply.outer(*transfer).astype(np.float32)
    blurred = np.asarray(fft.idctn(spectrum, type=2))
    rows, columns = (size // factor for size in scene.shape)
    return blurred.reshape(rows, factor, columns, factor).mean(axis=(1, 3), dtype=np.float64).astype(np.float32)


def photograph(
    scene: Landscape, sensor: Sensor, oversampling: int, seed: int, exposure: Exposure | None = None
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Take the MS and the PAN image of a landscape, on grids that share their corner.

    MS pixel (i, j) covers PAN rows ratio * i to ratio * (i + 1): the pair is co-registered exactly.

    Args:
        scene: the landscape; its sides must be multiples of an MS pixel.
        sensor: with known pass bands, gains and a whole ratio.
        oversampling: landscape pixels per PAN pixel.
        seed: of the noise.
        exposure: brightness and noise; ordinary ones if None.

    Returns:
        MS (bands, rows, columns) and PAN (rows, columns), digital numbers of `sensor.bit_depth` bits.
    """
    rng, light, ratio = np.random.default_rng(seed), exposure or Exposure(), round(sensor.ratio)
    seen = scene.observe(responses((*sensor.ranges_nm, sensor.pan_nm)))
    pan = sample(seen[-1], oversampling, sensor.pan_mtf)
    ms = [sample(band, ratio * oversampling, g) for band, g in zip(seen, sensor.ms_mtf, strict=False)]
    return record(rng, np.stack(ms), sensor.bit_depth, light), record(rng, pan, sensor.bit_depth, light)


def record(rng: np.random.Generator, reflectance: Array, bit_depth: int, light: Exposure) -> NDArray[np.uint16]:
    """Digital numbers of an image, with the noise of photons and electronics, clipped to the bit depth."""
    top = 2**bit_depth - 1
    dn = np.maximum(reflectance, 0) * (top / light.full_scale)
    noise = rng.standard_normal(dn.shape) * np.sqrt(light.shot_noise * dn + light.read_noise_dn**2)
    return np.clip(np.rint(dn + noise), 0, top).astype(np.uint16)
