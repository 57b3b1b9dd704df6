"""What a user asks of `fusion pansharpen`, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fusioncli.io.scene import PairRequest
from fusioncli.workflows.memory import Resources


@dataclass(frozen=True)
class MethodRequest:
    """How to fuse.

    Attributes:
        name: a method of the catalogue, or "auto".
        sensor: name of a sensor preset, or None to guess.
        upsampler: "lanczos", "cubic", or "interp23tap" for the reference toolbox's own phase and borders.
        pan_weights: share of each band in the PAN, or None for the sensor's.
        coregister: measure the shift between MS and PAN and take it out.
        weights: file of the network's weights; they bring their own upsampler.
    """

    name: str = "auto"
    sensor: str | None = None
    upsampler: str = "lanczos"
    pan_weights: tuple[float, ...] | None = None
    coregister: bool = False
    weights: Path | None = None


@dataclass(frozen=True)
class OutputRequest:
    """What to write.

    Attributes:
        path: the file.
        overwrite: replace an existing file.
        dtype: sample type, or None for that of the MS.
        nodata: value of missing pixels, or None for that of the inputs.
        bit_depth: clip to so many bits, or None for the file's own declaration.
        cog: Cloud-Optimized GeoTIFF, or a plain tiled one.
        options: GDAL creation options.
        resume: keep finished parts of an interrupted run.
    """

    path: Path
    overwrite: bool = False
    dtype: str | None = None
    nodata: float | None = None
    bit_depth: int | None = None
    cog: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    resume: bool = True


@dataclass(frozen=True)
class FuseRequest:
    """One pansharpening job."""

    pair: PairRequest
    output: OutputRequest
    method: MethodRequest = field(default_factory=MethodRequest)
    resources: Resources = field(default_factory=Resources)
