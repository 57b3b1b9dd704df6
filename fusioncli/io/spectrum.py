"""What a file says of the spectrum of its bands: wavelengths, and which bands its producer has rejected."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rasterio.io import DatasetReader

_PER_NM = {"n": 1.0, "m": 1e3, "u": 1e3, "µ": 1e3, "μ": 1e3}  # first letter of the unit; "m" of micrometres
_UNIT = r"(n(?:ano)?m|[uµμ]m|micro)"
_IN_TEXT = re.compile(rf"(\d+(?:\.\d+)?)\s*{_UNIT}", re.IGNORECASE)
_MICROMETRES_BELOW = 100.0  # without a unit: no band lies at 100 nm, none at 100 µm


def wavelengths_nm(dataset: DatasetReader) -> tuple[float | None, ...]:
    """Centre of each band, nm, in GDAL's order; None where the file does not tell.

    Looked for in this order: the band's tag `wavelength`, the list `wavelength` or `wavelengths` of the file (ENVI),
    `CENTRAL_WAVELENGTH_UM` (three decimals only), and a length with its unit in the band's name.
    """
    tags = {key.lower(): value for key, value in {**dataset.tags(ns="ENVI"), **dataset.tags()}.items()}
    unit = tags.get("wavelength_units", "")
    listed = _numbers(tags.get("wavelength") or tags.get("wavelengths"))
    listed = listed if len(listed) == dataset.count else []
    found = []
    for number in dataset.indexes:
        band = {key.lower(): value for key, value in dataset.tags(number).items()}
        micrometres = _numbers(dataset.tags(number, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM"))
        named = _IN_TEXT.search(dataset.descriptions[number - 1] or "")
        if own := _numbers(band.get("wavelength")):
            found.append(_nm(own[0], band.get("wavelength_units", unit)))
        elif listed:
            found.append(_nm(listed[number - 1], unit))
        elif micrometres:
            found.append(1e3 * micrometres[0])
        else:
            found.append(_nm(float(named[1]), named[2]) if named else None)
    return tuple(found)


def rejected(dataset: DatasetReader) -> frozenset[int]:
    """Numbers (from 1) of the bands that a bad band list (`bbl`, as in ENVI headers) marks with 0."""
    tags: Mapping[str, str] = {**dataset.tags(), **dataset.tags(ns="ENVI")}
    marks = _numbers(next((value for key, value in tags.items() if key.lower() == "bbl"), None))
    if len(marks) != dataset.count:
        return frozenset()
    return frozenset(number for number, mark in enumerate(marks, 1) if mark == 0)


def _nm(value: float, unit: str) -> float:
    if letter := unit.strip().lower()[:1]:
        return value * _PER_NM.get(letter, 1.0)
    return value * 1e3 if value < _MICROMETRES_BELOW else value


def _numbers(text: str | None) -> list[float]:
    """The numbers of a list such as "{1.5, 2}"; none if something else is in it."""
    try:
        return [float(word) for word in (text or "").strip("{} \n").replace(",", " ").split()]
    except ValueError:
        return []
