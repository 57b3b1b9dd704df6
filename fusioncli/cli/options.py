"""The registry of shared flags. Names follow `rio` and `gdal`; every verb that has a flag takes it from here.

A flag of several groups is declared once, as an annotated type. Flags of one verb alone are beside it:
`evaluate_options.py`, `simulate_options.py`, `finetune_options.py`, `hsi_fuse.py`.

| group | flags | verbs |
|---|---|---|
| PairOptions | --ms --pan --src-nodata --bounds --ignore-georef | pansharpen, align |
| MethodOptions | --method --sensor --mtf-gain --upsampler --pan-weights --coregister --weights … | pansharpen |
| OutputOptions | -o --overwrite --dtype --nodata --bit-depth --cog --co | pansharpen, hsi-fuse, align |
| RunOptions | --threads --mem-limit --device --part-size --no-resume --dry-run | pansharpen, hsi-fuse |
| CommonOptions | --config --json -v -q --debug | all |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from typer import Option

from fusioncli.cli import parsing
from fusioncli.models.catalogue import AUTO, FAST, METHODS, NETWORKS

INPUT, METHOD, OUTPUT, RUN, _COMMON = "Input", "Method", "Output", "Run", "Messages"

Ms = Annotated[
    list[str],
    Option("--ms", metavar="FILE", rich_help_panel=INPUT, help="Multispectral raster; repeat to stack band files."),
]
Pan = Annotated[str, Option("--pan", metavar="FILE", rich_help_panel=INPUT, help="Panchromatic raster, one band.")]
SrcNodata = Annotated[
    str | None,
    Option(metavar="NUMBER", rich_help_panel=INPUT, help="Value of missing pixels, instead of what files declare."),
]
IgnoreGeoref = Annotated[
    bool, Option("--ignore-georef", rich_help_panel=INPUT, help="Align both rasters by their first pixel's corner.")
]
SensorName = Annotated[
    str | None,
    Option(metavar="NAME", rich_help_panel=METHOD, help="Sensor preset (MTF, PAN weights); guessed if not given."),
]
MtfGainText = Annotated[
    str | None,
    Option(
        "--mtf-gain",
        metavar="G|measured",
        rich_help_panel=METHOD,
        help="MTF gain of MS at Nyquist, a number or measured on the pair, instead of the sensor's.",
    ),
]
OverwriteFiles = Annotated[bool, Option("--overwrite", rich_help_panel=OUTPUT, help="Replace existing files.")]
PairsMs = Annotated[
    list[str],
    Option(
        "--ms",
        metavar="FILE",
        rich_help_panel=INPUT,
        help="Multispectral raster; repeat for more pairs, in the order of --pan. Band files are stacked.",
    ),
]
PairsPan = Annotated[
    list[str],
    Option("--pan", metavar="FILE", rich_help_panel=INPUT, help="Panchromatic raster; repeat for more pairs."),
]
Coregister = Annotated[
    bool, Option("--coregister", rich_help_panel=INPUT, help="Measure the MS-PAN shift and take it out.")
]
Threads = Annotated[str, Option("-j", "--threads", metavar="N|ALL_CPUS", rich_help_panel=RUN, help="Parallel workers.")]
MemLimit = Annotated[int, Option(metavar="MB", min=64, rich_help_panel=RUN, help="Memory to stay within.")]
Device = Annotated[str, Option("--device", metavar="NAME", rich_help_panel=RUN, help="auto, cpu, cuda or cuda:N.")]
DryRun = Annotated[bool, Option("--dry-run", rich_help_panel=RUN, help="Print the plan, write nothing.")]


@dataclass(frozen=True)
class PairOptions:
    """Which files are fused."""

    ms: Ms
    pan: Pan
    src_nodata: SrcNodata = None
    bounds: Annotated[
        str | None,
        Option(metavar="X0,Y0,X1,Y1", rich_help_panel=INPUT, help="Area of interest, in the CRS of PAN."),
    ] = None
    ignore_georef: IgnoreGeoref = False


@dataclass(frozen=True)
class MethodOptions:
    """How they are fused."""

    method: Annotated[
        str,
        Option(
            metavar="NAME",
            rich_help_panel=METHOD,
            autocompletion=lambda: [AUTO, *(method.name for method in (*METHODS, *NETWORKS))],
            help=f"{AUTO}, {', '.join(m.name for m in METHODS)}; with --weights {', '.join(m.name for m in NETWORKS)}.",
        ),
    ] = AUTO
    sensor: SensorName = None
    mtf_gain: MtfGainText = None
    upsampler: Annotated[
        str,
        Option(metavar="NAME", rich_help_panel=METHOD, help="lanczos, cubic, or interp23tap (reference toolbox)."),
    ] = "lanczos"
    pan_weights: Annotated[
        str | None,
        Option(metavar="W,W,…", rich_help_panel=METHOD, help="Share of each band in PAN, for brovey."),
    ] = None
    coregister: Annotated[
        bool,
        Option("--coregister", rich_help_panel=METHOD, help="Measure the MS-PAN shift and take it out."),
    ] = False
    weights: Annotated[
        Path | None,
        Option("--weights", metavar="FILE", rich_help_panel=METHOD, help="Trained network to fuse with."),
    ] = None
    adapter: Annotated[
        Path | None,
        Option("--adapter", metavar="FILE", rich_help_panel=METHOD, help="What fusion finetune made of a network."),
    ] = None
    fast: Annotated[
        bool, Option("--fast", rich_help_panel=METHOD, help=f"No comparison, no network: --method {FAST}.")
    ] = False
    enforce_consistency: Annotated[
        bool,
        Option("--enforce-consistency", rich_help_panel=METHOD, help="Make the result, degraded, equal to the MS."),
    ] = False


@dataclass(frozen=True)
class OutputOptions:
    """Where the result goes."""

    output: Annotated[
        Path | None,
        Option("-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="Result, a GeoTIFF."),
    ] = None
    overwrite: Annotated[bool, Option("--overwrite", rich_help_panel=OUTPUT, help="Replace an existing file.")] = False
    dtype: Annotated[
        str | None,
        Option(
            "-t",
            "--dtype",
            metavar="TYPE",
            rich_help_panel=OUTPUT,
            help="Sample type; that of the MS by default.",
        ),
    ] = None
    nodata: Annotated[
        str | None,
        Option(
            metavar="NUMBER|none",
            rich_help_panel=OUTPUT,
            help="Value of missing pixels in the result; with none it declares no such value, and they are 0.",
        ),
    ] = None
    bit_depth: Annotated[
        int | None, Option(metavar="N", min=1, max=32, rich_help_panel=OUTPUT, help="Clip to 0 … 2^N - 1.")
    ] = None
    cog: Annotated[
        bool,
        Option("--cog/--no-cog", rich_help_panel=OUTPUT, help="Cloud-Optimized GeoTIFF, or a plain tiled one."),
    ] = True
    co: Annotated[
        list[str],
        Option("--co", metavar="KEY=VALUE", rich_help_panel=OUTPUT, help="GDAL creation option; repeatable."),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class RunOptions:
    """How the work is done."""

    threads: Threads = "ALL_CPUS"
    mem_limit: MemLimit = 1400
    device: Device = "auto"
    part_size: Annotated[
        int | None,
        Option(
            metavar="PX",
            rich_help_panel=RUN,
            help=f"Side of a part, at least {parsing.MIN_PART_PX}; the result does not depend on it.",
        ),
    ] = None
    resume: Annotated[
        bool,
        Option("--resume/--no-resume", rich_help_panel=RUN, help="Reuse finished parts of an interrupted run."),
    ] = True
    dry_run: DryRun = False


@dataclass(frozen=True)
class CommonOptions:
    """What is said on the way."""

    config: Annotated[
        list[str],
        Option(
            "--config",
            metavar="KEY=VALUE",
            rich_help_panel=_COMMON,
            help="GDAL configuration option; repeatable.",
        ),
    ] = field(default_factory=list)
    json: Annotated[bool, Option("--json", rich_help_panel=_COMMON, help="Result as JSON on stdout.")] = False
    verbose: Annotated[
        int,
        Option(
            "-v",
            "--verbose",
            count=True,
            rich_help_panel=_COMMON,
            help="Say more; twice for GDAL's messages.",
        ),
    ] = 0
    quiet: Annotated[int, Option("-q", "--quiet", count=True, rich_help_panel=_COMMON, help="No notes, no bar.")] = 0
    debug: Annotated[bool, Option("--debug", rich_help_panel=_COMMON, help="Traceback on errors.")] = False

    @property
    def level(self) -> int:
        """-v counted up, -q counted down."""
        return self.verbose - self.quiet

    @property
    def gdal_config(self) -> dict[str, str]:
        """Configuration options by key."""
        return parsing.pairs(self.config, "--config")
