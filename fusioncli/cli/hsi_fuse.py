"""`fusion hsi-fuse`: a hyperspectral cube, sharpened by an image of any number of bands."""

from __future__ import annotations

from collections.abc import Iterator
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
    MemLimit,
    OutputOptions,
    RunOptions,
    SensorName,
    SrcNodata,
)
from fusioncli.cli.pansharpen import carry_out, clipping_notes, output_request, plan_facts
from fusioncli.cli.train import training_display
from fusioncli.cli.vocabulary import cube_words, in_cube_words
from fusioncli.models.catalogue import AUTO, CUBE_METHODS, FAST_FOR_CUBES

if TYPE_CHECKING:
    from fusioncli.workflows.requests import FuseRequest
    from fusioncli.workflows.scene_network import SceneNetwork, SceneNetworkReport


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
    coregister: Annotated[
        bool, Option("--coregister", rich_help_panel=INPUT, help="Measure the HSI-MSI shift and take it out.")
    ] = False


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
            metavar="FILE|SENSOR",
            rich_help_panel=METHOD,
            help="Spectral responses of the MSI: text or CSV, a row per MSI band, a column per HSI band; or "
            "the sensor, if its pass bands are known. Regressed by default.",
        ),
    ] = None
    weights: Annotated[
        Path | None,
        Option("--weights", metavar="FILE", rich_help_panel=METHOD, help="Trained network (infn) to fuse with."),
    ] = None


@dataclass(frozen=True)
class CubeRunOptions(RunOptions):
    """How the work is done; windows of hundreds of bands are large."""

    mem_limit: MemLimit = 3000


@takes_groups
def hsi_fuse(
    pair: CubePairOptions,
    method: CubeMethodOptions,
    learn: SceneNetworkOptions,
    output: OutputOptions,
    run: CubeRunOptions,
    common: CommonOptions,
) -> None:
    """Fuse a hyperspectral raster and a sharper one of one or more bands into a hyperspectral one on the sharper grid.

    The last line of stdout is the path of the result.

    Example: fusion hsi-fuse --hsi scene_hsi.tif --msi scene_msi.tif -o fused.tif
    """
    from fusioncli.io.environment import gdal_environment
    from fusioncli.workflows.consistency import check_consistency
    from fusioncli.workflows.coregister import find_shift
    from fusioncli.workflows.plan import plan_fusion

    render.listen_to_gdal(common)
    with cube_words(), gdal_environment(run.mem_limit, common.gdal_config):
        request = _request(pair, method, output, run)
        shift = find_shift(request.pair) if pair.coregister else None
        if shift is not None:  # here, for whatever opens the pair: a network learns from it as it is fused
            request = replace(request, pair=replace(request.pair, shift_px=(shift.rows_px, shift.cols_px)))
        network = learn.network(request)
        plan = plan_fusion(request)
        if network is not None and not run.dry_run:
            plan = plan_fusion(_learned(network, common))
        render.notes([in_cube_words(note) for note in plan.notes], common)
        facts = plan_facts(plan)
        facts["reason"] = in_cube_words(facts["reason"])
        facts |= {"shift_px": shift and shift.rounded, "blur": plan.blur and vars(plan.blur)}
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
    render.notes([*map(in_cube_words, report.notes), *_verdict(report)], common)
    return network.job_after(report)


def _verdict(report: SceneNetworkReport) -> Iterator[str]:
    """What the network is worth."""
    trained, validated = report.patches
    if report.scores is None:
        yield (
            f"the scene has no room to hold ground out of the training ({trained} patches): nothing says how much "
            f"better the network is than {FAST_FOR_CUBES}, which it starts from, and half of what it learned is used"
        )
        return
    before, after = (f"ERGAS {score.ergas:.4g}, SAM {score.sam:.4g}" for score in report.scores)
    classical = report.scores[0].method
    yield (
        f"on ground that was held out of the training: {classical} {before} -> network {after} "
        f"({validated} patches; {trained} trained)"
    )
    if not report.improved:
        yield f"the network is no better, so the scene is fused with {classical}"


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
