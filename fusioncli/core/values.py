"""From float results to digital numbers of the output file: round, clip, never wrap, never land on nodata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusioncli.errors import UsageError

SAMPLE_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
_NODATA_STEP = 8 * float(np.finfo(np.float32).eps)  # GDAL takes floats within half of it, relative, for nodata


@dataclass(frozen=True)
class OutputValues:
    """The numbers an output band may hold.

    Attributes:
        dtype: numpy name of the sample type.
        nodata: value of pixels without data, or None when every pixel has data.
        low: smallest value written.
        high: largest value written.
    """

    dtype: str
    nodata: float | None
    low: float
    high: float

    @staticmethod
    def of(dtype: str, nodata: float | None, bit_depth: int | None = None) -> OutputValues:
        """Range of a sample type, narrowed to 0 … 2^bit_depth - 1 when the sensor's bit depth is given.

        Raises:
            UsageError: the type cannot be written, or cannot hold the nodata value or the bit depth.
        """
        kind = np.dtype(sample_type(dtype))
        info = np.iinfo(kind) if kind.kind in "ui" else np.finfo(kind)
        low, high = float(info.min), float(info.max)
        if nodata is not None and not can_hold(dtype, nodata):
            raise UsageError(f"nodata {nodata:g} cannot be stored as {dtype}", "choose another --nodata or --dtype")
        if bit_depth is not None:
            if kind.kind in "ui" and 2.0**bit_depth - 1 > high:
                raise UsageError(
                    f"{bit_depth} bit do not fit {dtype} (at most {high:g})",
                    "lower --bit-depth or widen --dtype",
                )
            low, high = 0.0, 2.0**bit_depth - 1
        return OutputValues(kind.name, nodata, low, high)

    @property
    def integral(self) -> bool:
        """Whether values are whole numbers."""
        return np.dtype(self.dtype).kind in "ui"

    @property
    def fill(self) -> float:
        """What a pixel without data holds."""
        return 0.0 if self.nodata is None else self.nodata


def sample_type(name: str) -> str:
    """Check the name of a sample type; returns it in lower case.

    Raises:
        UsageError: a GeoTIFF of ours cannot hold it.
    """
    if name.lower() not in SAMPLE_TYPES:
        raise UsageError(f"dtype {name} cannot be written", f"choose one of --dtype {', '.join(SAMPLE_TYPES)}")
    return name.lower()


def quantise(fused_dn: np.ndarray, valid: np.ndarray | None, values: OutputValues) -> tuple[np.ndarray, int]:
    """Turn float digital numbers into output samples; `fused_dn` is used as scratch space.

    Args:
        fused_dn: (bands, h, w) float.
        valid: bool, broadcastable to fused_dn, or None when all pixels hold data.
        values: target type and range.

    Returns:
        The samples, (bands, h, w), and how many valid samples were clipped. Halves round to even; a valid sample that
        would equal nodata moves to the nearest other value.
    """
    undefined = _undefined(fused_dn)
    clipped = _clip(fused_dn, valid, values)
    if values.integral:
        np.rint(fused_dn, out=fused_dn)
    if undefined is not None:
        fused_dn[undefined] = values.fill
    samples = fused_dn.astype(values.dtype)
    if values.nodata is not None and not np.isnan(values.nodata):
        _avoid(samples, values)
    gaps = undefined if valid is None else ~np.broadcast_to(valid, samples.shape)
    if valid is not None and undefined is not None:
        gaps = gaps | undefined
    if gaps is not None:
        samples[gaps] = values.fill
    return samples, clipped


def _undefined(fused_dn: np.ndarray) -> np.ndarray | None:
    """Where results are not numbers, or None if they all are, which their sum tells quickly."""
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(fused_dn.sum()):
            return None
    return np.isnan(fused_dn)


def _clip(fused_dn: np.ndarray, valid: np.ndarray | None, values: OutputValues) -> int:
    """Clip in place and count: half a digital number beyond the range still rounds into it."""
    slack = 0.5 if values.integral else 0.0
    lowest, highest = _limits(values, fused_dn.dtype)
    if fused_dn.min(initial=np.inf) >= lowest and fused_dn.max(initial=-np.inf) <= highest:
        return 0
    outside = (fused_dn < lowest - slack) | (fused_dn > highest + slack)
    if valid is not None:
        outside &= valid
    np.clip(fused_dn, lowest, highest, out=fused_dn)
    return int(np.count_nonzero(outside))


def _limits(values: OutputValues, kind: np.dtype) -> tuple[np.floating, np.floating]:
    """The range as floats of a type, never wider: 2³² - 1 rounds up in float32, and would then wrap to 0."""
    largest = float(np.finfo(kind).max)
    lowest, highest = kind.type(max(values.low, -largest)), kind.type(min(values.high, largest))
    return lowest, np.nextafter(highest, lowest) if float(highest) > values.high else highest


def _avoid(samples: np.ndarray, values: OutputValues) -> None:
    """Move samples that equal nodata one step into the range; floats that GDAL cannot tell from it, too."""
    nodata = samples.dtype.type(values.nodata)
    if values.integral:
        samples[samples == nodata] = nodata + 1 if nodata < values.high else nodata - 1
    elif np.isfinite(nodata):
        step = max(_NODATA_STEP * abs(nodata), np.finfo(samples.dtype).tiny)
        with np.errstate(over="ignore"):
            below, above = nodata - step, nodata + step
        samples[(samples > below) & (samples < above)] = below if nodata > 0 else above


def can_hold(dtype: str, value: float) -> bool:
    """Whether a sample type can store a value."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return not np.isfinite(value) or abs(value) <= float(np.finfo(kind).max)
    info = np.iinfo(kind)
    return np.isfinite(value) and float(value).is_integer() and info.min <= value <= info.max
