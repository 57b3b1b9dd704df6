"""How the land is divided: parcels between roads, tracks and hedges, and what each is used for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

_USES_OUTSIDE = {"field": 0.66, "wood": 0.16, "orchard": 0.10, "meadow": 0.08}


@dataclass(frozen=True)
class Parcel:
    """A rectangle of ground coordinates and its use.

    Attributes:
        u_m: low and high bound.
        v_m: low and high bound.
        use: "homes", "works", "pitch", "field", "wood", "orchard" or "meadow".
    """

    u_m: tuple[float, float]
    v_m: tuple[float, float]
    use: str = "field"

    @property
    def size_m(self) -> tuple[float, float]:
        """Length along u and along v."""
        return self.u_m[1] - self.u_m[0], self.v_m[1] - self.v_m[0]

    @property
    def centre_m(self) -> tuple[float, float]:
        """Middle point."""
        return sum(self.u_m) / 2, sum(self.v_m) / 2

    @property
    def corners_m(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lowest and highest (u, v)."""
        return (self.u_m[0], self.v_m[0]), (self.u_m[1], self.v_m[1])

    def halves(self, share: float, gap_m: float) -> tuple[Parcel, Parcel]:
        """Cut across the longer side at a share of it, with a gap."""
        across_u = self.size_m[0] > self.size_m[1]
        low, high = self.u_m if across_u else self.v_m
        at = low + share * (high - low)
        pieces = ((low, at - gap_m / 2), (at + gap_m / 2, high))
        first, second = (replace(self, **{"u_m" if across_u else "v_m": piece}) for piece in pieces)
        return first, second

    def shrunk(self, margin_m: float) -> Parcel:
        """The same without a margin all round."""
        (u0, u1), (v0, v1) = self.u_m, self.v_m
        return replace(self, u_m=(u0 + margin_m, u1 - margin_m), v_m=(v0 + margin_m, v1 - margin_m))


@dataclass(frozen=True)
class Cut:
    """A line that divides two parcels.

    Attributes:
        kind: "road", "street", "track" or "hedge".
        along_u: whether it runs along u; then it lies at v = `at_m`.
        at_m: where it lies.
        span_m: from where to where it runs.
    """

    kind: str
    along_u: bool
    at_m: float
    span_m: tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """Parcels and the lines between them, roads first."""

    parcels: tuple[Parcel, ...]
    cuts: tuple[Cut, ...]


_FIRST_CUTS = ("road", "street", "street", "track")

_MARGIN_M = {"road": 8.0, "street": 6.0, "track": 4.0, "hedge": 1.5}
"""Half the width that a line keeps free of buildings and crops."""


_JOIN_M = 6.0
"""A line is drawn this much longer than its parcel, to meet the line it starts from."""


def plan(rng: np.random.Generator, reach_m: float, parcel_m: float = 74.0) -> Plan:
    """Divide the square |u|, |v| < `reach_m` into parcels and give each a use.

    Around one point, the village, there are houses, works and a football pitch; farther out fields, woods,
    orchards and meadows.

    Args:
        rng: source of randomness.
        reach_m: half the side of the square.
        parcel_m: a parcel is not cut again if its sides are shorter than this.
    """
    cuts: list[Cut] = []
    parcels = _divide(rng, Parcel((-reach_m, reach_m), (-reach_m, reach_m)), parcel_m, cuts, 0)
    village = rng.uniform(-0.35, 0.35, 2) * reach_m
    by_distance = sorted(parcels, key=lambda p: float(np.hypot(*(np.subtract(p.centre_m, village)))))
    inner = min(max(4, round(0.28 * len(parcels))), len(parcels))
    first = list(rng.permutation(["homes", "homes", "works", "pitch"]))
    uses = [*first, *rng.choice(["homes", "homes", "works"], len(parcels))][:inner]
    uses += list(rng.choice(list(_USES_OUTSIDE), len(parcels) - inner, p=list(_USES_OUTSIDE.values())))
    order = {"road": 0, "street": 1, "track": 2, "hedge": 3}
    return Plan(
        tuple(Parcel(p.u_m, p.v_m, use) for p, use in zip(by_distance, uses, strict=True)),
        tuple(sorted(cuts, key=lambda cut: order[cut.kind])),
    )


def _divide(rng: np.random.Generator, parcel: Parcel, parcel_m: float, cuts: list[Cut], depth: int) -> list[Parcel]:
    """Halve a parcel across its longer side until it is small enough; the first cuts are roads."""
    if max(parcel.size_m) < parcel_m * rng.uniform(0.95, 1.35):
        return [parcel]
    across_u = parcel.size_m[0] > parcel.size_m[1]
    low, high = parcel.u_m if across_u else parcel.v_m
    start, stop = parcel.v_m if across_u else parcel.u_m
    share = rng.uniform(0.38, 0.62)
    kind = _FIRST_CUTS[depth] if depth < len(_FIRST_CUTS) else str(rng.choice(["track", "hedge", "hedge"]))
    cuts.append(Cut(kind, not across_u, low + share * (high - low), (start - _JOIN_M, stop + _JOIN_M)))
    halves = parcel.halves(share, 2 * _MARGIN_M[kind])
    return [leaf for half in halves for leaf in _divide(rng, half, parcel_m, cuts, depth + 1)]
