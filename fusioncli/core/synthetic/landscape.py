"""A random landscape seen from above: material shares and light for every pixel, from one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusioncli.core.synthetic import countryside, ground, lines, village
from fusioncli.core.synthetic.canvas import Canvas, Frame
from fusioncli.core.synthetic.light import Sun, skylight, sunlight
from fusioncli.core.synthetic.parcels import Parcel, plan
from fusioncli.core.synthetic.site import Site
from fusioncli.core.synthetic.spectra import REFLECTANCE, Atmosphere
from fusioncli.core.synthetic.textures import Array

_FILL: dict[str, Callable[[Site], None]] = {
    "homes": village.homes,
    "works": village.works,
    "pitch": village.pitch,
    "field": countryside.field,
    "meadow": countryside.meadow,
    "wood": countryside.wood,
    "orchard": countryside.orchard,
}


@dataclass(frozen=True)
class Landscape:
    """What a sensor looks at.

    Attributes:
        abundance: shares of the materials of `spectra.MATERIALS`, shape (materials, rows, columns); their sum
            is the brightness of the place, about 1.
        sun: direct light, 1 on level ground in the sun, shape (rows, columns).
        sky: diffuse light, 1 in the open, shape (rows, columns).
        gsd_m: pixel size.
    """

    abundance: Array
    sun: Array
    sky: Array
    gsd_m: float

    def observe(self, responses: NDArray[np.float64], air: Atmosphere | None = None) -> Array:
        """Reflectance at the top of the atmosphere, seen through filters.

        Args:
            responses: one filter a row, on `spectra.WAVELENGTHS_NM`, each with sum 1.
            air: the atmosphere; a clear sky if None.

        Returns:
            Shape (filters, rows, columns).
        """
        air = air or Atmosphere()
        through = responses * air.transmittance()
        direct = (through * (1 - air.sky_share())) @ REFLECTANCE.T
        diffuse = (through * air.sky_share()) @ REFLECTANCE.T
        haze = (responses @ air.path_reflectance()).astype(np.float32)
        seen = np.tensordot(direct.astype(np.float32), self.abundance, 1) * self.sun
        seen += np.tensordot(diffuse.astype(np.float32), self.abundance, 1) * self.sky
        return seen + haze[:, None, None]


def landscape(seed: int, shape: tuple[int, int], gsd_m: float = 0.25, sun: Sun | None = None) -> Landscape:
    """Make a landscape of fields, woods, a river, roads, houses, halls and cars.

    Args:
        seed: the same seed gives the same landscape.
        shape: rows and columns; best a few hundred metres a side.
        gsd_m: pixel size; at 0.25 m cars have windows.
        sun: where it stands; a late morning if None.
    """
    plan_rng, paint_rng = np.random.default_rng(seed).spawn(2)
    reach_m = 0.75 * gsd_m * float(np.hypot(*shape))
    frame = Frame(plan_rng, bend_m=0.045 * reach_m, reach_m=0.5 * reach_m)
    layout = plan(plan_rng, reach_m)
    canvas = Canvas(shape, gsd_m, frame, paint_rng)
    ground.lawn(canvas, canvas.everywhere, np.ones(shape, np.float32), dryness=0.35)
    banks = lines.river(canvas, layout.cuts)
    _fill(canvas, [parcel for parcel in layout.parcels if parcel.use in ("field", "meadow")])
    lines.roads(canvas, layout.cuts)
    _fill(canvas, [parcel for parcel in layout.parcels if parcel.use not in ("field", "meadow")])
    lines.riverside(canvas, banks)
    lines.hedgerows(canvas, layout.cuts)
    light = sunlight(canvas.height_m, gsd_m, sun or Sun())
    return Landscape(canvas.abundance, light, skylight(canvas.height_m, gsd_m), gsd_m)


def _fill(canvas: Canvas, parcels: list[Parcel]) -> None:
    """Paint parcels according to their use; nobody builds where the river takes a tenth of the ground."""
    for parcel in parcels:
        site = Site(canvas, parcel)
        if site.is_visible:
            flooded = parcel.use in ("homes", "works", "pitch") and site.wet_share() > 0.1
            _FILL["meadow" if flooded else parcel.use](site)
