"""From the text of an option to its value, with the option's name in the error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from fusioncli.errors import UsageError

MIN_PART_PX = 256
"""Smallest `--part-size`: that of tiles, and what a tight `--mem-limit` comes down to on its own."""


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """KEY=VALUE texts as a dict; keys in upper case, values untouched.

    Raises:
        UsageError: a text without "=".
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            example = "GDAL_NUM_THREADS=2" if option == "--config" else "COMPRESS=ZSTD"
            raise UsageError(f"{option} takes KEY=VALUE, got '{text}'", f"for example {option} {example}")
        found[key.upper()] = value
    return found


def output_path(path: Path, inputs: Sequence[str]) -> Path:
    """A path of a GeoTIFF to write, which must not be a file that is read.

    Raises:
        UsageError: it is one of the inputs, or its name promises another format.
    """
    if path.suffix.lower() not in ("", ".tif", ".tiff"):
        raise UsageError(f"the result is a GeoTIFF, {path} is named otherwise", f"for example -o {path.stem}.tif")
    if path.exists() and any(Path(name).exists() and path.samefile(name) for name in inputs):
        raise UsageError(f"{path} is an input, and is not overwritten", "choose another name with -o")
    return path


def number(text: str | None, option: str) -> float | None:
    """One number; "nan" is one.

    Raises:
        UsageError: not a number.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option} takes a number, got '{text}'", f"for example {option} 0") from error


def nodata(text: str | None) -> float | Literal["none"] | None:
    """The value of `--nodata`, or "none", as GDAL spells it, for a result that declares no such value.

    Raises:
        UsageError: neither.
    """
    if text is not None and text.strip().lower() == "none":
        return "none"
    return number(text, "--nodata")


def mtf_gain(text: str | None) -> float | Literal["measured"] | None:
    """The value of `--mtf-gain`.

    Raises:
        UsageError: neither "measured" nor a number between 0 and 1.
    """
    if text is None:
        return None
    if text.strip().lower() == "measured":
        return "measured"
    with suppress(ValueError):
        if 0 < (gain := float(text)) < 1:
            return gain
    raise UsageError(
        f"--mtf-gain takes a number between 0 and 1, or 'measured', got '{text}'", "for example --mtf-gain measured"
    )


def peak_dn(data_range: float | None, bit_depth: int | None) -> float | None:
    """The largest DN, stated by `--data-range` or `--bit-depth`.

    Raises:
        UsageError: both are given.
    """
    if data_range is not None and bit_depth is not None:
        raise UsageError("--data-range and --bit-depth both state the peak", "give one of them")
    return data_range if bit_depth is None else 2.0**bit_depth - 1


def area(text: str | None) -> tuple[float, float, float, float] | None:
    """The corners of `--bounds`, separated by commas or spaces.

    Raises:
        UsageError: not four finite numbers, or an area without extent.
    """
    if text is None:
        return None
    values = _finite(text)
    if len(values) != 4 or values[0] == values[2] or values[1] == values[3]:
        raise UsageError(
            f"--bounds takes two opposite corners, got '{text}'", "give X0,Y0,X1,Y1 in the CRS of PAN: fusion info PAN"
        )
    return values[0], values[1], values[2], values[3]


def shares(text: str | None) -> tuple[float, ...] | None:
    """The weights of `--pan-weights`, scaled to sum 1.

    Raises:
        UsageError: not numbers, one below 0, or all 0.
    """
    if text is None:
        return None
    values = _finite(text)
    if not values or min(values) < 0 or sum(values) == 0:
        raise UsageError(
            f"--pan-weights takes one number of at least 0 per band, got '{text}'",
            "for example --pan-weights 0.2,0.3,0.4,0.1",
        )
    return tuple(value / sum(values) for value in values)


def _finite(text: str) -> tuple[float, ...]:
    """Numbers separated by commas or spaces; none at all if one of them is not a finite number."""
    try:
        values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        return ()
    return values if all(map(math.isfinite, values)) else ()


def part_px(side_px: int | None) -> int | None:
    """The side of `--part-size`, or None.

    Raises:
        UsageError: too small.
    """
    if side_px is not None and side_px < MIN_PART_PX:
        raise UsageError(
            f"parts of {side_px} px are too small: every part computes whole tiles of at least {MIN_PART_PX} px",
            f"pass --part-size {MIN_PART_PX} or more",
        )
    return side_px


def threads(text: str) -> int | None:
    """A number of workers, or None for "ALL_CPUS".

    Raises:
        UsageError: neither.
    """
    if text.upper() == "ALL_CPUS":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise UsageError(f"--threads takes a number or ALL_CPUS, got '{text}'", "for example --threads 2")
    return int(text)
