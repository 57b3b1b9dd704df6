"""The peak value that PSNR and SSIM need: stated by the user or the file, never guessed from the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fusioncli.core.sensors import Sensor
from fusioncli.errors import DataError, UsageError
from fusioncli.io.raster import Raster

STATED = "stated"


@dataclass(frozen=True)
class Peak:
    """A peak, in DN of the files.

    Attributes:
        value: the largest value that a reference may hold.
        source: who says so.
    """

    value: float
    source: str

    @property
    def note(self) -> str:
        """A sentence, unless the user stated it."""
        return "" if self.source == STATED else f"PSNR and SSIM take the peak {self.value:g} ({self.source})"

    def check(self, reference: Tensor, valid: Tensor | None) -> None:
        """Refuse a reference that exceeds it (DataError); what is fused may."""
        values = reference if valid is None else reference.where(valid, 0.0)
        highest = float(values.max())
        if highest > self.value:
            raise DataError(
                f"the reference holds {highest:g}, more than the peak {self.value:g} ({self.source})",
                "give the true peak with --data-range or --bit-depth",
            )


def find_peak(declared: Peak | None, raster: Raster, sensor: Sensor | None) -> Peak:
    """The user's peak, else the file's bit depth, else the sensor's, else the largest value of an integer type.

    Raises:
        UsageError: float samples, whose peak nobody states.
    """
    if declared:
        return declared
    if raster.bit_depth:
        return Peak(2.0**raster.bit_depth - 1, f"NBITS of {raster.path}")
    kind = np.dtype(raster.dtype)
    if kind.kind == "f":
        raise UsageError(
            f"{raster.path} holds {raster.dtype} samples, whose peak is not stated",
            "give it with --data-range: 1 for reflectance, 2047 for 11-bit digital numbers",
        )
    if sensor and sensor.name != "GENERIC" and 2.0**sensor.bit_depth - 1 < np.iinfo(kind).max:
        return Peak(2.0**sensor.bit_depth - 1, f"{sensor.bit_depth} bit of {sensor.title}")
    return Peak(float(np.iinfo(kind).max), f"assumed: the largest {kind}")
