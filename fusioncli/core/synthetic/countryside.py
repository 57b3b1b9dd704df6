"""Parcels without houses: fields, meadows, woods, orchards."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fusioncli.core.synthetic import ground
from fusioncli.core.synthetic.parcels import Parcel
from fusioncli.core.synthetic.site import Site
from fusioncli.core.synthetic.textures import scattered_points


def field(site: Site) -> None:
    """One to three strips of crops, each with its headlands, where the tractor turns."""
    rng, parcel = site.rng, site.parcel
    along_v = parcel.size_m[1] > parcel.size_m[0]
    (low, high), (first, last) = (parcel.u_m, parcel.v_m) if along_v else (parcel.v_m, parcel.u_m)
    count = int(rng.integers(1, 4)) if high - low > 55 else 1
    edges = np.linspace(low, high, count + 1) + np.pad(rng.uniform(-6, 6, count - 1), 1)
    for crop, (start, stop) in zip(rng.permutation(ground.CROPS), pairwise(edges), strict=False):
        turn, side = rng.uniform(5, 9), (start + 0.6, stop - 0.6)
        for piece, rows_along_v in (
            ((first, last), along_v),
            ((first, first + turn), not along_v),
            ((last - turn, last), not along_v),
        ):
            strip = Parcel(side, piece) if along_v else Parcel(piece, side)
            ground.crop(site.canvas, site.area, site.dry(strip), str(crop), rows_along_v)


def meadow(site: Site) -> None:
    """Grass for hay, with a tree here and there."""
    parcel = site.parcel
    ground.crop(site.canvas, site.area, site.dry(parcel), "meadow", parcel.size_m[1] > parcel.size_m[0])
    for u, v in scattered_points(site.rng, *parcel.shrunk(6).corners_m, spacing=17):
        if site.rng.random() < 0.25:
            site.tree((u, v), site.rng.uniform(1.2, 4.2))


def wood(site: Site) -> None:
    """Crown beside crown, sometimes all conifers."""
    ground.undergrowth(site.canvas, site.area, site.dry(site.parcel))
    conifers = 1.0 if site.rng.random() < 0.3 else 0.08
    for u, v in scattered_points(site.rng, *site.parcel.shrunk(2).corners_m, spacing=5.6):
        site.tree((u, v), site.rng.uniform(2.2, 4.4), conifer=bool(site.rng.random() < conifers))


def orchard(site: Site) -> None:
    """Small trees in straight rows on grass."""
    rng, inner = site.rng, site.parcel.shrunk(4)
    ground.lawn(site.canvas, site.area, site.dry(site.parcel), dryness=0.25)
    for u in np.arange(*inner.u_m, 6.5):
        for v in np.arange(*inner.v_m, 5.0):
            if rng.random() < 0.94:
                site.tree((u + rng.normal(0, 0.2), v + rng.normal(0, 0.2)), rng.uniform(1.5, 2.1))
