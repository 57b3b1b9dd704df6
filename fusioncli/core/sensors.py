"""What is known of each sensor, and which sensor took a scene. The figures are in `sensor_table.py`."""

from __future__ import annotations

import contextlib
import difflib
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from textwrap import shorten
from typing import NamedTuple

from fusioncli.core.sensor_table import TABLE
from fusioncli.errors import UsageError

TRUTH_GAIN = 0.3
"""At the Nyquist frequency of PAN, of the optics that a fused image is as if taken through: ordinary ones, however
smooth or sharp the MS is. A network could not tell otherwise how sharp its result ought to be."""
_TAG_KEYS = (
    "SATID",
    "SATELLITE",
    "SPACECRAFT",
    "PLATFORM",
    "MISSION",
    "SENSOR",
    "PRODUCT",
    "SCENE",
    "DESCRIPTION",
)
"""A tag is read when its name contains one of these; the first ones are the most telling."""


class Range(NamedTuple):
    """Pass band of a filter, nm; NaN where unknown."""

    low_nm: float
    high_nm: float


_UNKNOWN = Range(math.nan, math.nan)


@dataclass(frozen=True)
class Sensor:
    """One sensor, or one sensor fitted to the bands of a file.

    `bands`, `codes`, `ranges_nm`, `ms_mtf` and `pan_weights` have one entry per band, in the order of the
    file. Only a sensor with any number of bands (hyperspectral, unknown) has no `bands` and one gain and
    weight for all, until `for_bands` spreads them.

    Attributes:
        name: short name, upper case: what `--sensor` takes.
        title: name for people.
        bands: names such as "blue", "nir1".
        codes: the producer's band codes, such as "B4".
        ranges_nm: pass bands.
        pan_nm: pass band of the PAN.
        pan_weights: share of each band in the PAN, all >= 0, sum 1.
        ms_mtf: gain in (0, 1) of each band at the Nyquist frequency of the MS sampling.
        pan_mtf: gain in (0, 1) of the PAN at the Nyquist frequency of the PAN sampling.
        bit_depth: significant bits of the delivered digital numbers.
        ratio: MS pixel size over PAN pixel size.
        ms_gsd_m: MS pixel size in metres, NaN if unknown.
        aliases: other names, by which files and people call it.
        source: where the figures come from.
        note: what `select` or `for_bands` had to assume, "" if nothing.
    """

    name: str
    title: str
    bands: tuple[str, ...]
    codes: tuple[str, ...]
    ranges_nm: tuple[Range, ...]
    pan_nm: Range
    pan_weights: tuple[float, ...]
    ms_mtf: tuple[float, ...]
    pan_mtf: float
    bit_depth: int
    ratio: float
    ms_gsd_m: float
    aliases: tuple[str, ...]
    source: str
    note: str = ""

    @property
    def wavelengths_nm(self) -> tuple[float, ...]:
        """Centres of the pass bands, NaN where unknown."""
        return tuple((low + high) / 2 for low, high in self.ranges_nm)

    def select(self, bands: Sequence[int | str]) -> Sensor:
        """Keep some bands, in the order given, so that the figures match a file that holds only those.

        Args:
            bands: numbers from 1, names ("red"; "nir" also finds "nir1") or the producer's codes ("B4").

        Raises:
            UsageError: for a band that the sensor does not have.
        """
        index = [self._index(band) for band in bands]
        weights = [self.pan_weights[i] for i in index]
        covered = sum(weights) > 0
        return replace(
            self,
            bands=tuple(self.bands[i] for i in index),
            codes=tuple(self.codes[i] for i in index),
            ranges_nm=tuple(self.ranges_nm[i] for i in index),
            ms_mtf=tuple(self.ms_mtf[i] for i in index),
            pan_weights=_shares(weights if covered else [1.0] * len(index)),
            note="" if covered else f"the PAN of {self.title} covers none of these bands: equal weights",
        )

    def for_bands(self, count: int) -> Sensor:
        """Fit the sensor to a file of `count` bands that says no more; every tuple then has `count` entries.

        The bands are all of the sensor's; or blue, green, red and near infrared; or the three visible ones,
        in the sensor's own order. For any other number the mean gain and equal weights are used. `note` says
        what was taken for granted.
        """
        if count == len(self.bands):
            return self
        colours = [band for band in self.bands if band in ("blue", "green", "red", "nir", "nir1")]
        if count in (3, 4) and len(colours) == 4:
            taken = colours[:count]
            return replace(self.select(taken), note=f"the {count} bands are taken for {', '.join(taken)}")
        gain = sum(self.ms_mtf) / len(self.ms_mtf)
        note = f"{self.title} has {len(self.bands)} bands, the image {count}: mean gain and equal weights"
        names = tuple(f"band_{number}" for number in range(1, count + 1))
        return replace(
            self,
            bands=names,
            codes=names,
            ranges_nm=(_UNKNOWN,) * count,
            ms_mtf=(gain,) * count,
            pan_weights=_shares([1.0] * count),
            note=note if self.bands else "",
        )

    def _index(self, band: int | str) -> int:
        if isinstance(band, int):
            if 1 <= band <= len(self.bands):
                return band - 1
        else:
            wanted = re.sub(r"\W+", "_", band.strip().lower())
            for names in (self.bands, self.codes):
                for name in (wanted, wanted + "1"):
                    if name in (lowered := [each.lower() for each in names]):
                        return lowered.index(name)
        have = ", ".join(self.bands) or "no named bands"
        raise UsageError(f"{self.title} has no band {band!r}", f"its bands are: {have}")


def find_sensor(name: str) -> Sensor:
    """The sensor called `name`, such as "wv3".

    Case, separators, accents and leading zeros do not matter: "WV03" and "WorldView-3" are the same.

    Raises:
        UsageError: if there is none; the hint gives the nearest names.
    """
    wanted = _plain(name).strip(" +")
    for sensor in SENSORS.values():
        if any(pattern.fullmatch(wanted) for pattern in _PATTERNS[sensor.name]):
            return sensor
    known = {_plain(alias): s.name for s in SENSORS.values() for alias in (s.name, s.title, *s.aliases)}
    near = difflib.get_close_matches(wanted, known, n=5, cutoff=0.5)
    names = list(dict.fromkeys(known[each] for each in near))[:3] or list(SENSORS)
    raise UsageError(f"no sensor is called {name!r}", f"use one of: {', '.join(names)}")


def guess_sensor(
    tags: Mapping[str, str],
    filenames: Sequence[str],
    bands: int,
    ratio: float | None,
    names: Sequence[str | None] = (),
) -> tuple[Sensor, str]:
    """The sensor that most likely took a scene, fitted to its bands, and one sentence that says why.

    Metadata tags are believed first, then file names, then folder names, then the number of bands. Failing
    all, it is the generic sensor with gains 0.3 and 0.15 and equal weights.

    Args:
        tags: metadata of the MS and PAN files, all domains merged.
        filenames: paths of the MS and PAN files; stacked single-band files tell their bands by their names.
        bands: number of MS bands.
        ratio: MS pixel size over PAN pixel size, if known.
        names: what the file calls its bands (descriptions or colours), if it does.
    """
    for evidence, text in _evidence(tags, filenames):
        if sensor := _named_in(text):
            fitted = fit_sensor(sensor, filenames, bands, names)
            reason = f"{sensor.title}, because {evidence} is {shorten(text, 60)!r}"
            return fitted, f"{reason}; {fitted.note}" if fitted.note else reason
    name, reason = _from_band_count(bands, ratio)
    return SENSORS[name].for_bands(bands), reason


def _evidence(tags: Mapping[str, str], filenames: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What may name the sensor, the most telling first, each with where it was found."""
    for key in _TAG_KEYS:
        yield from ((f"the tag {tag}", value) for tag, value in tags.items() if key in tag.upper())
    yield from (("the file name", PurePath(path).name) for path in filenames)
    yield from (("the folder name", part) for path in filenames for part in PurePath(path).parts[-2:-4:-1])


def _named_in(text: str) -> Sensor | None:
    """The sensor named in a text: the one with the longest match, so that "Pléiades Neo" is not Pléiades."""
    length = {
        name: max((len(m.group()) for p in patterns if (m := p.search(_plain(text)))), default=0)
        for name, patterns in _PATTERNS.items()
        if name != "GENERIC"
    }
    best = max(length, key=length.__getitem__)
    return SENSORS[best] if length[best] else None


def fit_sensor(sensor: Sensor, filenames: Sequence[str], bands: int, names: Sequence[str | None]) -> Sensor:
    """Choose the bands by their names, else by the codes that end single-band file names, else by their number."""
    endings = [re.split(r"[_\-.]", PurePath(name).stem)[-1].upper() for name in filenames]
    codes = [code for code in endings if code in sensor.codes]
    for known in ([name for name in names if name], codes):
        if len(known) == bands:
            with contextlib.suppress(UsageError):
                return sensor.select(known)
    return sensor.for_bands(bands)


def _from_band_count(bands: int, ratio: float | None) -> tuple[str, str]:
    if bands == 8:
        return "WV3", (
            "8 bands and nothing that names the sensor: WorldView-2 or WorldView-3; "
            "the gains of WorldView-3 are used (--sensor WV2 for the other)"
        )
    if bands == 7 and ratio is not None and round(ratio) == 2:
        return "LANDSAT8", "7 bands at ratio 2 and nothing that names the sensor: Landsat 8 or 9"
    if bands > 30 and ratio is not None and round(ratio) == 6:
        return "PRISMA", f"{bands} bands at ratio 6 and nothing that names the sensor: taken for PRISMA"
    return "GENERIC", (
        f"{bands} bands and nothing that names the sensor: gains 0.3 (MS) and 0.15 (PAN) and equal weights "
        "are used (--sensor NAME for better ones)"
    )


def _shares(weights: Sequence[float]) -> tuple[float, ...]:
    return tuple(weight / sum(weights) for weight in weights)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().upper()


def _pattern(alias: str) -> re.Pattern[str]:
    """Match an alias as a word of its own, whatever separates its letters from its digits."""
    runs = re.findall(r"[A-Z]+|[1-9]\d*", _plain(alias))
    body = r"[\W_]*0*".join(runs)
    return re.compile(rf"(?<![A-Z0-9]){body}(?!{'[0-9]' if runs[-1].isdigit() else '[A-Z]'})")


def _read_block(block: str) -> list[Sensor]:
    lines = block.splitlines()
    rows: dict[str, list[str]] = {}
    for key, text in (line.split(None, 1) for line in lines if "|" not in line):
        rows.setdefault(key, []).extend(text.split())
    *bands, _pan = rows["band"]
    named = bands != ["*"]
    *ranges, pan_nm = (_range(cell) for cell in rows["nm"])
    *ms_mtf, pan_mtf = (float(cell) for cell in rows["mtf"])
    numbers = [f"B{number}" for number in range(1, len(bands) + 1)]
    heads = [[cell.strip() for cell in line.split("|")] for line in lines if "|" in line]
    return [
        Sensor(
            name=name,
            title=title,
            bands=tuple(bands) if named else (),
            codes=tuple(rows.get("code", numbers)) if named else (),
            ranges_nm=tuple(ranges) if named else (),
            pan_nm=pan_nm,
            pan_weights=_shares([float(cell) for cell in rows["weight"]]),
            ms_mtf=tuple(ms_mtf),
            pan_mtf=pan_mtf,
            bit_depth=int(bit_depth),
            ratio=float(ratio),
            ms_gsd_m=float(ms_gsd_m),
            aliases=tuple(alias.strip() for alias in aliases.split(",")),
            source=" ".join(rows["source"]),
        )
        for name, title, bit_depth, ratio, ms_gsd_m, aliases in heads
    ]


def _range(cell: str) -> Range:
    low, _, high = cell.partition("-")
    return Range(float(low), float(high)) if low else _UNKNOWN


SENSORS: dict[str, Sensor] = {
    sensor.name: sensor for block in TABLE.strip().split("\n\n") for sensor in _read_block(block)
}
"""Every sensor by its short name."""

_PATTERNS = {
    sensor.name: [_pattern(alias) for alias in (sensor.name, sensor.title, *sensor.aliases)]
    for sensor in SENSORS.values()
}
