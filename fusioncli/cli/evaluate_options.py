"""The flags of `fusion eval`.

| group | flags |
|---|---|
| EvalInputOptions | the pair's, --reduced-res --full-res --reference --fused --data --hsi --msi |
| EvalMethodOptions | --method --sensor --mtf-gain |
| EvalOptions | --protocol --suite --border --ratio --data-range --bit-depth --scale --tiles --fail-under |
| ReportOptions, EvalRunOptions | -o --csv --overwrite; --threads --mem-limit |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from typer import Option

from fusioncli.cli.options import (
    INPUT,
    METHOD,
    OUTPUT,
    MemLimit,
    Ms,
    MtfGainText,
    OverwriteFiles,
    PairOptions,
    Pan,
    SensorName,
    Threads,
)
from fusioncli.models.catalogue import AUTO, METHODS

_EVAL = "Evaluation"


@dataclass(frozen=True)
class EvalInputOptions(PairOptions):
    """What is compared with what; not every evaluation needs a pair."""

    ms: Ms = field(default_factory=list)
    pan: Pan = ""
    reduced_res: Annotated[
        bool,
        Option("--reduced-res", rich_help_panel=INPUT, help="Wald's protocol: degrade MS and PAN, fuse, compare."),
    ] = False
    full_res: Annotated[
        bool, Option("--full-res", rich_help_panel=INPUT, help="Without reference, at the resolution of PAN.")
    ] = False
    reference: Annotated[
        str | None, Option(metavar="FILE", rich_help_panel=INPUT, help="The truth that --fused is compared with.")
    ] = None
    fused: Annotated[
        list[str],
        Option("--fused", metavar="FILE", rich_help_panel=INPUT, help="A fused image; repeat to compare several."),
    ] = field(default_factory=list)
    data: Annotated[
        str | None,
        Option(metavar="PATH", rich_help_panel=INPUT, help="Test patches: an .h5 or .mat file, or a folder of them."),
    ] = None
    hsi: Annotated[
        str | None,
        Option(metavar="FILE", rich_help_panel=INPUT, help="Hyperspectral cube, measured by Wald's protocol."),
    ] = None
    msi: Annotated[
        str | None, Option(metavar="FILE", rich_help_panel=INPUT, help="The sharper image that goes with --hsi.")
    ] = None


@dataclass(frozen=True)
class EvalMethodOptions:
    """Which methods are evaluated, for which sensor."""

    method: Annotated[
        list[str],
        Option(
            "--method",
            metavar="NAME",
            rich_help_panel=METHOD,
            autocompletion=lambda: [AUTO, *(method.name for method in METHODS)],
            help="Fusion method, file of weights, or auto; repeatable. All classical ones by default.",
        ),
    ] = field(default_factory=list)
    sensor: SensorName = None
    mtf_gain: MtfGainText = None


@dataclass(frozen=True)
class EvalOptions:
    """How figures are made and judged."""

    protocol: Annotated[
        str | None,
        Option(
            metavar="NAME",
            rich_help_panel=_EVAL,
            help="centred (georeferenced scenes; default), or toolbox (as the literature; default of --data).",
        ),
    ] = None
    suite: Annotated[
        str,
        Option(
            metavar="NAME",
            rich_help_panel=_EVAL,
            help="Indices for --reference: reduced-resolution or hyperspectral (peak 1, as papers on CAVE).",
        ),
    ] = "reduced-resolution"
    border: Annotated[
        int | None,
        Option(
            metavar="PX",
            min=0,
            rich_help_panel=_EVAL,
            help="Frame to cut before comparing; against a reference 21 in the toolbox protocol, else 0.",
        ),
    ] = None
    ratio: Annotated[
        int | None,
        Option(
            metavar="N",
            min=1,
            rich_help_panel=_EVAL,
            help="MS over PAN pixel size, for ERGAS of --reference; degrades an HSI whose pixels are the MSI's.",
        ),
    ] = None
    data_range: Annotated[
        float | None, Option(metavar="DN", rich_help_panel=_EVAL, help="Peak value of the data, for PSNR and SSIM.")
    ] = None
    bit_depth: Annotated[
        int | None, Option(metavar="N", min=1, max=32, rich_help_panel=_EVAL, help="The same as 2^N - 1.")
    ] = None
    scale: Annotated[
        float | None,
        Option(
            metavar="FACTOR", rich_help_panel=_EVAL, help="Multiply values before measuring; 10000 for reflectance."
        ),
    ] = None
    tiles: Annotated[
        int | None,
        Option(metavar="PX", min=1, rich_help_panel=_EVAL, help="Mean and deviation over tiles of this side as well."),
    ] = None
    fail_under: Annotated[
        list[str],
        Option(
            "--fail-under",
            metavar="INDEX=VALUE",
            rich_help_panel=_EVAL,
            help="Leave with exit code 5 if any image is worse; repeatable.",
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class ReportOptions:
    """Where figures go besides stdout."""

    output: Annotated[
        Path | None,
        Option("-o", "--output", metavar="FILE", rich_help_panel=OUTPUT, help="Report: .md, .json or .csv."),
    ] = None
    csv: Annotated[Path | None, Option("--csv", metavar="FILE", rich_help_panel=OUTPUT, help="The table as CSV.")] = (
        None
    )
    overwrite: OverwriteFiles = False


@dataclass(frozen=True)
class EvalRunOptions:
    """What an evaluation may use."""

    threads: Threads = "ALL_CPUS"
    mem_limit: MemLimit = 900
