"""`fusion pansharpen`: the main job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusioncli.cli import parsing, render
from fusioncli.cli.finetune import adapt_to
from fusioncli.cli.finetune_options import AdaptOptions
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions, MethodOptions, OutputOptions, PairOptions, RunOptions
from fusioncli.errors import UsageError
from fusioncli.models.catalogue import AUTO, FAST

if TYPE_CHECKING:
    from fusioncli.io.scene import PairRequest
    from fusioncli.workflows.fuse import FuseReport
    from fusioncli.workflows.plan import FusePlan
    from fusioncli.workflows.requests import FuseRequest, OutputRequest


@takes_groups
def pansharpen(
    pair: PairOptions,
    method: MethodOptions,
    adapt: AdaptOptions,
    output: OutputOptions,
    run: RunOptions,
    common: CommonOptions,
) -> None:
    """Fuse a multispectral and a panchromatic raster into a multispectral one on the PAN grid.

    The last line of stdout is the path of the result.

    Example: fusion pansharpen --ms scene_ms.tif --pan scene_pan.tif -o fused.tif
    """
    from fusioncli.io.environment import gdal_environment
    from fusioncli.workflows.coregister import apart_note
    from fusioncli.workflows.plan import plan_fusion

    render.listen_to_gdal(common)
    with gdal_environment(run.mem_limit, common.gdal_config):
        request = fuse_request(pair, method, output, run)
        adaptation = adapt.adaptation(request)
        plan = plan_fusion(request if adaptation is None else adaptation.job)
        if adaptation is not None and not run.dry_run:
            plan = plan_fusion(adapt_to(adaptation, common))
        render.notes(plan.notes, common)
        if common.level >= 0 and not (method.fast or method.coregister) and (apart := apart_note(request.pair)):
            render.notes([apart], common)
        facts = plan_facts(plan)
        report = carry_out(plan, facts, run.dry_run, common)
        if report is None:
            return
        if adaptation is not None:
            adaptation.finish()
    render.notes(clipping_notes(plan, report), common)
    facts |= {"clipped": report.clipped, "reused_parts": report.reused}
    render.result(str(report.path), facts, common)


def carry_out(plan: FusePlan, facts: Mapping[str, Any], dry_run: bool, common: CommonOptions) -> FuseReport | None:
    """Do a planned job under a progress bar; or only print its facts, which gives None."""
    from fusioncli.workflows.fuse import run_fusion

    if dry_run:
        render.result(render.table(list(facts.items())), dict(facts), common)
        return None
    render.details([f"{name}: {value}" for name, value in facts.items()], common)
    with render.progress_bar(common) as progress:
        return run_fusion(plan, progress)


def clipping_notes(plan: FusePlan, report: FuseReport) -> list[str]:
    """A sentence if samples were clipped."""
    if not report.clipped:
        return []
    share = f"{report.clipped:.3%}" if report.clipped >= 0.00001 else "less than 0.001%"
    return [f"{share} of the samples were clipped to {plan.values.low:g} … {plan.values.high:g}"]


def pair_request(pair: PairOptions) -> PairRequest:
    """The files, as the user gave them."""
    from fusioncli.io.scene import PairRequest

    return PairRequest(
        ms=tuple(pair.ms),
        pan=pair.pan,
        nodata=parsing.number(pair.src_nodata, "--src-nodata"),
        bounds=parsing.area(pair.bounds),
        ignore_georef=pair.ignore_georef,
    )


def output_request(output: OutputOptions, path: Path, inputs: Sequence[str]) -> OutputRequest:
    """What to write at `path`, which may be none of the inputs."""
    from fusioncli.workflows.requests import OutputRequest

    return OutputRequest(
        path=parsing.output_path(path, inputs),
        overwrite=output.overwrite,
        dtype=output.dtype,
        nodata=parsing.nodata(output.nodata),
        bit_depth=output.bit_depth,
        cog=output.cog,
        options=parsing.pairs(output.co, "--co"),
    )


def fuse_request(pair: PairOptions, method: MethodOptions, output: OutputOptions, run: RunOptions) -> FuseRequest:
    """The whole job, as the user gave it."""
    from fusioncli.workflows.memory import Resources
    from fusioncli.workflows.requests import FuseRequest, MethodRequest

    named = method.method != AUTO or method.weights or method.adapter
    if method.fast and named:
        raise UsageError("--fast names a method already", "leave out --fast, or --method, --weights and --adapter")
    path = output.output or Path(f"{Path(pair.ms[0]).stem}_pansharpened.tif")
    return FuseRequest(
        pair_request(pair),
        replace(output_request(output, path, [*pair.ms, pair.pan]), resume=run.resume),
        MethodRequest(
            FAST if method.fast else method.method,
            method.sensor,
            method.upsampler,
            parsing.shares(method.pan_weights),
            method.coregister,
            method.weights,
            adapter=method.adapter,
            consistent=method.enforce_consistency,
            mtf_gain=parsing.mtf_gain(method.mtf_gain),
        ),
        Resources(parsing.threads(run.threads), run.mem_limit, run.device, parsing.part_px(run.part_size)),
    )


def plan_facts(plan: FusePlan) -> dict[str, Any]:
    """The plan in the words of `--dry-run` and `--json`."""
    alignment, grid = plan.pair.alignment, plan.product.grid
    return {
        "output": str(plan.request.output.path),
        "method": plan.model.card.name,
        "sensor": plan.sensor.name,
        "verdict": str(alignment.verdict),
        "reason": alignment.reason,
        "ratio": [round(value, 6) for value in alignment.gsd_ratio],
        "offset_px": [round(value, 4) for value in alignment.offset_px],
        "shift_px": plan.shift and plan.shift.rounded,
        "size": [len(plan.product.bands), grid.height, grid.width],
        "dtype": plan.values.dtype,
        "nodata": None if plan.values.nodata is None else str(plan.values.nodata),
        "parts": len(plan.parts),
        "part_px": plan.budget.part_px,
        "threads": plan.budget.threads,
        "memory_mb": plan.budget.memory_mb,
        "device": str(plan.budget.device),
        "output_mb": round(plan.product.bytes / 1e6, 1),
    }
