"""What a user asks of `fusion pansharpen`, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fusioncli.io.scene import PairRequest
from fusioncli.workflows.memory import Resources

MtfGain = float | Literal["measured"]
"""MTF gain of the MS at its Nyquist frequency, against the PAN: a number, or what the pair itself shows."""


@dataclass(frozen=True)
class MethodRequest:
    """How to fuse.

    Attributes:
        name: a method of the catalogue, or "auto".
        sensor: name of a sensor preset, or None to guess.
        upsampler: "lanczos", "cubic", or "interp23tap" for the reference toolbox's own phase and borders.
        pan_weights: share of each band in the PAN, or None for the sensor's.
        coregister: measure the shift between MS and PAN and take it out.
        weights: file of the network's weights; they bring their own upsampler. With an adapter, its base.
        srf: table of the spectral responses of a cube's sharper image, or None to regress them.
        adapter: file of what training changed in the weights.
        consistent: correct the result until, degraded, it is the MS.
        mtf_gain: instead of the sensor's.
    """

    name: str = "auto"
    sensor: str | None = None
    upsampler: str = "lanczos"
    pan_weights: tuple[float, ...] | None = None
    coregister: bool = False
    weights: Path | None = None
    srf: Path | None = None
    adapter: Path | None = None
    consistent: bool = False
    mtf_gain: MtfGain | None = None


@dataclass(frozen=True)
class OutputRequest:
    """What to write.

    Attributes:
        path: the file.
        overwrite: replace an existing file.
        dtype: sample type, or None for that of the MS.
        nodata: value of missing pixels; "none" to declare no such value, or None for that of the inputs.
        bit_depth: clip to so many bits, or None for the file's own declaration.
        cog: Cloud-Optimized GeoTIFF, or a plain tiled one.
        options: GDAL creation options.
        resume: keep finished parts of an interrupted run.
    """

    path: Path
    overwrite: bool = False
    dtype: str | None = None
    nodata: float | Literal["none"] | None = None
    bit_depth: int | None = None
    cog: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    resume: bool = True

    def nodata_or(self, inherited: float | None) -> float | None:
        """The value to declare, where the inputs would have the result declare `inherited`."""
        if self.nodata == "none":
            return None
        return inherited if self.nodata is None else self.nodata


@dataclass(frozen=True)
class FuseRequest:
    """One pansharpening job."""

    pair: PairRequest
    output: OutputRequest
    method: MethodRequest = field(default_factory=MethodRequest)
    resources: Resources = field(default_factory=Resources)
