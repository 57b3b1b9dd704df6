"""The flags of `fusion simulate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from fusioncli.cli.options import (
    INPUT,
    OUTPUT,
    Coregister,
    DryRun,
    IgnoreGeoref,
    OverwriteFiles,
    PairsMs,
    PairsPan,
    SrcNodata,
    Threads,
)

_PATCHES, _SCENES = "Patches", "Scenes"


@dataclass(frozen=True)
class PlaceOptions:
    """Whether a subcommand follows."""

    context: typer.Context


@dataclass(frozen=True)
class SceneOptions:
    """Which scenes patches are cut from."""

    ms: PairsMs = field(default_factory=list)
    pan: PairsPan = field(default_factory=list)
    hsi: Annotated[
        list[str],
        Option(
            "--hsi",
            metavar="FILE|FOLDER",
            rich_help_panel=INPUT,
            help="Instead of pairs: hyperspectral raster or CAVE folder, for HSI and MSI patches; repeatable.",
        ),
    ] = field(default_factory=list)
    srf: Annotated[
        Path | None,
        Option(
            "--srf",
            metavar="FILE",
            rich_help_panel=INPUT,
            help="With --hsi: text or CSV of spectral responses, a row per MSI band, a column per HSI band.",
        ),
    ] = None
    msi: Annotated[
        list[str],
        Option(
            "--msi",
            metavar="FILE",
            rich_help_panel=INPUT,
            help="With --hsi, instead of --srf: sharper raster of the same place, once per --hsi; degraded along.",
        ),
    ] = field(default_factory=list)
    ratio: Annotated[
        int | None,
        Option(
            metavar="N",
            min=2,
            rich_help_panel=INPUT,
            help="With --hsi: truth pixels per HSI pixel; 4, or as --hsi and --msi say.",
        ),
    ] = None
    sensor: Annotated[
        str | None,
        Option(metavar="NAME", rich_help_panel=INPUT, help="Sensor preset (MTF, bit depth); guessed if not given."),
    ] = None
    src_nodata: SrcNodata = None
    ignore_georef: IgnoreGeoref = False
    coregister: Coregister = False


@dataclass(frozen=True)
class CuttingOptions:
    """How patches are made of scenes."""

    patch: Annotated[
        int, Option("--patch", metavar="PX", min=1, rich_help_panel=_PATCHES, help="Side of a patch of the truth.")
    ] = 64
    stride: Annotated[
        int | None,
        Option(
            metavar="PX",
            min=1,
            rich_help_panel=_PATCHES,
            help="From patch to patch in training areas; the patch's side.",
        ),
    ] = None
    validation_share: Annotated[
        float,
        Option(
            metavar="SHARE",
            min=0.001,
            max=0.9,
            rich_help_panel=_PATCHES,
            help="With --validation: share of the area of each scene, or of the scenes that are drawn.",
        ),
    ] = 0.1
    protocol: Annotated[
        str,
        Option(
            metavar="NAME",
            rich_help_panel=_PATCHES,
            help="centred (georeferenced), toolbox (as the literature), or uestc (with --hsi).",
        ),
    ] = "centred"


@dataclass(frozen=True)
class PatchOutputOptions:
    """Where patches go."""

    output: Annotated[
        Path, Option("-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="Training patches, HDF5.")
    ] = Path("patches.h5")
    validation: Annotated[
        Path | None,
        Option("--validation", metavar="FILE", rich_help_panel=OUTPUT, help="Validation patches, of other areas."),
    ] = None
    overwrite: OverwriteFiles = False
    dtype: Annotated[
        str | None,
        Option("-t", "--dtype", metavar="TYPE", rich_help_panel=OUTPUT, help="uint16 or float32; as the scenes are."),
    ] = None
    data_range: Annotated[
        float | None, Option(metavar="DN", rich_help_panel=OUTPUT, help="value_max, the DN that is mapped to 1.")
    ] = None
    bit_depth: Annotated[
        int | None, Option(metavar="N", min=1, max=32, rich_help_panel=OUTPUT, help="The same as 2^N - 1.")
    ] = None
    licence: Annotated[
        str, Option(metavar="TEXT", rich_help_panel=OUTPUT, help="Licence of the imagery, kept in the file.")
    ] = ""


@dataclass(frozen=True)
class WorkOptions:
    """How the work is done."""

    threads: Threads = "ALL_CPUS"
    dry_run: DryRun = False


@dataclass(frozen=True)
class DrawingOptions:
    """What is drawn."""

    scenes: Annotated[int, Option(metavar="N", min=1, rich_help_panel=_SCENES, help="How many scenes.")] = 100
    size: Annotated[int, Option(metavar="PX", min=1, rich_help_panel=_SCENES, help="Side of a scene, PAN px.")] = 512
    sensor: Annotated[
        list[str],
        Option("--sensor", metavar="NAME", rich_help_panel=_SCENES, help="Sensor preset; several are used in turn."),
    ] = field(default_factory=list)
    random_sensors: Annotated[
        bool,
        Option(
            "--random-sensors", rich_help_panel=_SCENES, help="Random bands, responses, MTF and bits for every scene."
        ),
    ] = False
    bands: Annotated[
        int, Option(metavar="N", min=1, rich_help_panel=_SCENES, help="With --random-sensors: number of bands.")
    ] = 4
    ratio: Annotated[
        int, Option(metavar="N", min=2, rich_help_panel=_SCENES, help="With --random-sensors: MS over PAN pixel size.")
    ] = 4
    seed: Annotated[int, Option(metavar="N", min=0, rich_help_panel=_SCENES, help="Equal seeds draw equal scenes.")] = 0
    misregistration: Annotated[
        float, Option(metavar="PX", min=0, max=8, rich_help_panel=_SCENES, help="Move PAN by up to so many of its px.")
    ] = 0.0


@dataclass(frozen=True)
class DemoOptions:
    """Where the sample scene goes."""

    output: Annotated[Path, Option("-o", "--output", metavar="FOLDER", help="Folder that exists.")] = Path()
    overwrite: Annotated[bool, Option("--overwrite", help="Replace existing files.")] = False
