"""`fusion hsi-fuse`: a hyperspectral cube, sharpened by an image of any number of bands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from fusioncli.cli import parsing, render
from fusioncli.cli.finetune_options import SceneNetworkOptions
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import (
    INPUT,
    METHOD,
    CommonOptions,
    IgnoreGeoref,
    OutputOptions,
    RunOptions,
    SensorName,
    SrcNodata,
)
from fusioncli.cli.pansharpen import carry_out, clipping_notes, output_request, plan_facts
from fusioncli.cli.train import training_display
from fusioncli.cli.vocabulary import cube_words, in_cube_words
from fusioncli.models.catalogue import AUTO, CUBE_METHODS

if TYPE_CHECKING:
    from fusioncli.workflows.requests import FuseRequest
    from fusioncli.workflows.scene_network import SceneNetwork


@dataclass(frozen=True)
class CubePairOptions:
    """Which files are fused."""

    hsi: Annotated[
        list[str],
        Option(
            "--hsi", metavar="FILE", rich_help_panel=INPUT, help="Hyperspectral raster; repeat to stack band files."
        ),
    ]
    msi: Annotated[
        list[str],
        Option("--msi", metavar="FILE", rich_help_panel=INPUT, help="Sharper raster; repeat to stack band files."),
    ]
    src_nodata: SrcNodata = None
    bounds: Annotated[
        str | None,
        Option(metavar="X0,Y0,X1,Y1", rich_help_panel=INPUT, help="Area of interest, in the CRS of the MSI."),
    ] = None
    ignore_georef: IgnoreGeoref = False


@dataclass(frozen=True)
class CubeMethodOptions:
    """How they are fused."""

    method: Annotated[
        str,
        Option(
            metavar="NAME",
            rich_help_panel=METHOD,
            autocompletion=lambda: [AUTO, *(method.name for method in CUBE_METHODS)],
            help=f"{AUTO}, {', '.join(m.name for m in CUBE_METHODS)}; with one MSI band every pansharpening method; "
            "or a file of weights.",
        ),
    ] = AUTO
    sensor: SensorName = None
    upsampler: Annotated[str, Option(metavar="NAME", rich_help_panel=METHOD, help="lanczos or cubic.")] = "lanczos"
    srf: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            rich_help_panel=METHOD,
            help="Text or CSV of spectral responses, a row per MSI band, a column per HSI band; else regressed.",
        ),
    ] = None
    weights: Annotated[
        Path | None,
        Option("--weights", metavar="FILE", rich_help_panel=METHOD, help="Trained network (infn) to fuse with."),
    ] = None


@takes_groups
def hsi_fuse(
    pair: CubePairOptions,
    method: CubeMethodOptions,
    learn: SceneNetworkOptions,
    output: OutputOptions,
    run: RunOptions,
    common: CommonOptions,
) -> None:
    """Fuse a hyperspectral raster and a sharper one of one or more bands into a hyperspectral one on the sharper grid.

    The last line of stdout is the path of the result.

    Example: fusion hsi-fuse --hsi scene_hsi.tif --msi scene_msi.tif -o fused.tif
    """
    from fusioncli.io.environment import gdal_environment
    from fusioncli.workflows.consistency import check_consistency
    from fusioncli.workflows.plan import plan_fusion

    render.listen_to_gdal(common)
    with cube_words(), gdal_environment(run.mem_limit, common.gdal_config):
        request = _request(pair, method, output, run)
        network = learn.network(request)
        plan = plan_fusion(request)
        if network is not None and not run.dry_run:
            plan = plan_fusion(_learned(network, common))
        render.notes([in_cube_words(note) for note in plan.notes], common)
        facts = plan_facts(plan)
        facts["reason"] = in_cube_words(facts["reason"])
        report = carry_out(plan, facts, run.dry_run, common)
        if report is None:
            return
        if network is not None:
            network.finish()
        render.notes(clipping_notes(plan, report), common)
        consistency = check_consistency(plan)
    render.notes([consistency.text] if consistency else [], common)
    facts |= {
        "clipped": report.clipped,
        "reused_parts": report.reused,
        "consistency": consistency and vars(consistency),
    }
    render.result(str(report.path), facts, common)


def _learned(network: SceneNetwork, common: CommonOptions) -> FuseRequest:
    """Learn from the scene of a job; returns the job with the better one of network and method."""
    with training_display(common) as listener:
        report = network.learn(listener)
    found = [f"ERGAS {score.ergas:.4g}, SAM {score.sam:.4g}" for score in (report.classical, report.network)]
    trained, validated = report.patches
    notes = [
        *map(in_cube_words, report.notes),
        f"on ground that was held out of the training: {report.classical.method} {found[0]} -> network {found[1]} "
        f"({validated} patches; {trained} trained)",
    ]
    if not report.improved:
        notes.append(f"the network is no better, so the scene is fused with {report.classical.method}")
    render.notes(notes, common)
    return network.job_after(report)


def _request(pair: CubePairOptions, method: CubeMethodOptions, output: OutputOptions, run: RunOptions) -> FuseRequest:
    """The whole job, as the user gave it."""
    from fusioncli.io.scene import PairRequest
    from fusioncli.workflows.memory import Resources
    from fusioncli.workflows.requests import FuseRequest, MethodRequest

    path = output.output or Path(f"{Path(pair.hsi[0]).stem}_fused.tif")
    inputs = [*pair.hsi, *pair.msi, *([str(method.srf)] if method.srf else [])]
    files = PairRequest(
        tuple(pair.hsi),
        tuple(pair.msi),
        parsing.number(pair.src_nodata, "--src-nodata"),
        parsing.area(pair.bounds),
        pair.ignore_georef,
        cube=True,
    )
    return FuseRequest(
        files,
        replace(output_request(output, path, inputs), resume=run.resume),
        MethodRequest(method.method, method.sensor, method.upsampler, weights=method.weights, srf=method.srf),
        Resources(parsing.threads(run.threads), run.mem_limit, run.device, parsing.part_px(run.part_size)),
    )
