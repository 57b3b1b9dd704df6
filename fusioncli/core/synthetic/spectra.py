"""Reflectance spectra of surface materials, and the light that falls on them, from 400 to 2500 nm.

The spectra were written down by hand after the shapes that field spectrometers show and the public spectral
libraries publish: chlorophyll's green peak and red edge, leaf water at 970, 1450 and 1950 nm, the iron slope of
soil and tile, the flat grey of asphalt, the white plateau of roofing membranes. They are plausible, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WAVELENGTHS_NM: NDArray[np.float64] = np.arange(400.0, 2501.0, 10.0)
"""The grid on which every spectrum of this package is given; shape (211,)."""

# fmt: off
_KNOTS_NM = (
    400, 450, 480, 510, 550, 580, 600, 630, 670, 690, 700, 720,
    740, 780, 850, 920, 970, 1080, 1250, 1450, 1650, 1950, 2200, 2500,
)
_PER_MILLE = {
    "grass":     ( 25,  29,  34,  52,  97,  86,  75,  63,  52,  60, 100, 205,
                  330, 420, 450, 460, 440, 470, 420, 150, 270,  60, 150,  50),
    "crop":      ( 18,  21,  24,  41,  85,  67,  55,  44,  33,  40,  80, 212,
                  380, 480, 510, 515, 490, 520, 460, 140, 280,  50, 140,  40),
    "broadleaf": ( 14,  16,  18,  30,  59,  49,  42,  35,  28,  32,  58, 142,
                  250, 320, 345, 350, 335, 355, 320, 110, 200,  45, 100,  35),
    "conifer":   ( 13,  14,  16,  24,  41,  35,  30,  26,  22,  25,  42,  96,
                  170, 215, 235, 240, 228, 240, 210,  75, 130,  35,  65,  25),
    "straw":     ( 70,  90, 105, 130, 172, 200, 216, 238, 258, 268, 277, 298,
                  314, 336, 366, 382, 388, 410, 430, 360, 430, 250, 340, 230),
    "loam":      ( 55,  66,  74,  87, 112, 132, 145, 161, 178, 187, 192, 201,
                  210, 226, 247, 264, 273, 294, 332, 335, 380, 310, 365, 315),
    "gravel":    (120, 148, 166, 188, 224, 250, 265, 284, 303, 312, 316, 325,
                  334, 349, 370, 386, 392, 410, 442, 438, 470, 415, 445, 400),
    "asphalt":   ( 62,  71,  76,  82,  91,  97, 101, 106, 110, 112, 113, 115,
                  117, 120, 124, 128, 130, 134, 142, 147, 157, 157, 162, 152),
    "bitumen":   ( 38,  41,  43,  45,  48,  50,  51,  52,  54,  54,  55,  56,
                   57,  58,  60,  62,  63,  66,  71,  74,  80,  82,  86,  84),
    "concrete":  (160, 198, 216, 234, 258, 272, 280, 290, 299, 303, 305, 309,
                  312, 318, 326, 331, 332, 340, 354, 350, 366, 332, 352, 322),
    "red_tile":  ( 46,  55,  61,  72,  98, 143, 186, 238, 278, 290, 296, 305,
                  313, 327, 334, 331, 332, 354, 400, 421, 442, 424, 436, 408),
    "slate":     ( 66,  77,  82,  85,  88,  88,  87,  86,  85,  85,  86,  87,
                   88,  91,  95,  99, 101, 107, 118, 123, 133, 133, 138, 132),
    "membrane":  (400, 570, 606, 628, 646, 654, 657, 660, 661, 661, 661, 660,
                  658, 652, 641, 631, 622, 608, 566, 456, 430, 320, 347, 228),
    "steel":     (300, 318, 324, 330, 337, 341, 343, 345, 346, 345, 344, 342,
                  340, 338, 340, 348, 353, 372, 398, 408, 420, 420, 430, 420),
    "blue_paint":( 95, 190, 212, 165, 105,  74,  63,  57,  57,  61,  66,  80,
                  100, 138, 196, 244, 262, 300, 330, 320, 350, 330, 350, 320),
    "red_paint": ( 38,  34,  32,  33,  38,  66, 150, 310, 395, 410, 416, 422,
                  428, 438, 450, 456, 457, 464, 466, 430, 440, 392, 404, 345),
    "glass":     ( 48,  52,  51,  50,  50,  49,  48,  48,  48,  48,  48,  49,
                   49,  50,  52,  54,  55,  58,  62,  64,  68,  68,  70,  68),
    "river":     ( 24,  29,  33,  39,  49,  50,  45,  37,  28,  26,  24,  18,
                   13,  11,   8,   5,   4,   2,   1,   1,   1,   0,   0,   0),
    "pool":      (210, 310, 330, 308, 245, 160,  98,  62,  40,  34,  30,  22,
                   15,  13,   9,   6,   4,   2,   1,   1,   1,   0,   0,   0),
}
# fmt: on

MATERIALS: tuple[str, ...] = tuple(_PER_MILLE)
"""Names of the materials; their order is the order of every abundance array."""


def _on_grid(per_mille: tuple[int, ...]) -> NDArray[np.float64]:
    """Join the knots by straight lines and round the corners, which no real spectrum has."""
    joined = np.interp(WAVELENGTHS_NM, _KNOTS_NM, np.asarray(per_mille) / 1000.0)
    padded = np.pad(joined, 2, mode="edge")
    return np.convolve(padded, np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0, mode="valid")


REFLECTANCE: NDArray[np.float64] = np.stack([_on_grid(row) for row in _PER_MILLE.values()])
"""Reflectance in [0, 1] of every material on `WAVELENGTHS_NM`; shape (materials, 211)."""


@dataclass(frozen=True)
class Atmosphere:
    """A clear sky, as smooth laws of the wavelength.

    Attributes:
        haze: path reflectance at 550 nm: what the sensor sees above a black target.
        skylight: share of the sky in the light on a horizontal surface at 550 nm; all that shadows get.
    """

    haze: float = 0.024
    skylight: float = 0.17

    def path_reflectance(self) -> NDArray[np.float64]:
        """Brightness added by the air itself; steeper than aerosol, flatter than Rayleigh scattering."""
        return self.haze * (550.0 / WAVELENGTHS_NM) ** 3

    def sky_share(self) -> NDArray[np.float64]:
        """Share of diffuse light, bluer than the sun's."""
        return np.minimum(self.skylight * (550.0 / WAVELENGTHS_NM) ** 2, 0.6)

    def transmittance(self) -> NDArray[np.float64]:
        """What is left of the ground's reflectance at the sensor, outside the water vapour bands."""
        return 1.0 - 4.5 * self.haze * (550.0 / WAVELENGTHS_NM) ** 1.5
