"""From float results to digital numbers of the output file: round, clip, never wrap, never land on nodata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusioncli.errors import UsageError


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
            UsageError: the type is not real, or it cannot hold the nodata value or the bit depth.
        """
        kind = np.dtype(dtype)
        if kind.kind not in "uif":
            raise UsageError(f"dtype {dtype} is not a real number type", "use uint8, uint16, int16, uint32 or float32")
        info = np.iinfo(kind) if kind.kind in "ui" else np.finfo(kind)
        low, high = float(info.min), float(info.max)
        if nodata is not None and not _holds(kind, nodata):
            raise UsageError(f"nodata {nodata:g} cannot be stored as {dtype}", "choose another --nodata or --dtype")
        if bit_depth is not None:
            if kind.kind in "ui" and 2.0**bit_depth - 1 > high:
                raise UsageError(
                    f"{bit_depth} bit do not fit {dtype} (at most {high:g})",
                    "lower --bit-depth or widen --dtype",
                )
            low, high = 0.0, 2.0**bit_depth - 1
        return OutputValues(dtype, nodata, low, high)

    @property
    def integral(self) -> bool:
        """Whether values are whole numbers."""
        return np.dtype(self.dtype).kind in "ui"

    @property
    def fill(self) -> float:
        """What a pixel without data holds."""
        return 0.0 if self.nodata is None else self.nodata


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
    undefined = np.isnan(fused_dn) if not values.integral or not np.isfinite(fused_dn.sum()) else None
    clipped = _clip(fused_dn, valid, values)
    if values.integral:
        np.rint(fused_dn, out=fused_dn)
    if undefined is not None and undefined.any():
        fused_dn[undefined] = values.fill
    samples = fused_dn.astype(values.dtype)
    if values.nodata is not None:
        if not np.isnan(values.nodata):
            _avoid(samples, values)
        gaps = undefined if valid is None else ~np.broadcast_to(valid, samples.shape)
        if valid is not None and undefined is not None:
            gaps = gaps | undefined
        if gaps is not None:
            samples[gaps] = values.nodata
    return samples, clipped


def _clip(fused_dn: np.ndarray, valid: np.ndarray | None, values: OutputValues) -> int:
    """Clip in place and count: half a digital number beyond the range still rounds into it."""
    slack = 0.5 if values.integral else 0.0
    low, high = fused_dn.min(initial=np.inf), fused_dn.max(initial=-np.inf)
    if low >= values.low and high <= values.high:
        return 0
    outside = (fused_dn < values.low - slack) | (fused_dn > values.high + slack)
    if valid is not None:
        outside &= valid
    np.clip(fused_dn, values.low, values.high, out=fused_dn)
    return int(np.count_nonzero(outside))


def _avoid(samples: np.ndarray, values: OutputValues) -> None:
    """Move samples that equal nodata one step into the range."""
    hit = samples == values.nodata
    if not hit.any():
        return
    nodata = np.array(values.nodata, samples.dtype)
    if values.integral:
        samples[hit] = nodata + 1 if values.nodata < values.high else nodata - 1
    else:
        samples[hit] = np.nextafter(nodata, np.array(np.inf, samples.dtype))


def _holds(kind: np.dtype, value: float) -> bool:
    if kind.kind == "f":
        return True
    info = np.iinfo(kind)
    return np.isfinite(value) and float(value).is_integer() and info.min <= value <= info.max
