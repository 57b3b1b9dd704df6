"""`fusion finetune`: from a network and scenes to an adapter of a few MB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fusioncli.cli import parsing, render
from fusioncli.cli.finetune_options import AdapterOptions, FinetuneScenes, LearnOptions, LearnRun
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions
from fusioncli.cli.simulate import deal_pairs
from fusioncli.cli.train import training_display

if TYPE_CHECKING:
    from fusioncli.workflows.adaptation import Adaptation
    from fusioncli.workflows.finetune import FinetuneReport
    from fusioncli.workflows.finetune_request import FinetuneRequest
    from fusioncli.workflows.requests import FuseRequest

_CACHE_MB = 1400


@takes_groups
def finetune(
    scenes: FinetuneScenes, learn: LearnOptions, output: AdapterOptions, run: LearnRun, common: CommonOptions
) -> None:
    """Fit a trained network to your own scenes; the adapter holds what changed and needs the network's file beside it.

    The last line of stdout is the path of the adapter.

    Example: fusion finetune --ms scene_ms.tif --pan scene_pan.tif --base pnn.safetensors -o scene.safetensors
    """
    from fusioncli.io.environment import gdal_environment
    from fusioncli.workflows.finetune import finetune as start
    from fusioncli.workflows.finetune_request import FinetuneRequest

    render.listen_to_gdal(common)
    request = FinetuneRequest(
        deal_pairs(scenes.ms, scenes.pan, scenes.src_nodata, scenes.ignore_georef),
        scenes.base,
        output.output,
        output.output.with_name(output.output.name + ".run"),
        output.overwrite,
        learn.effort,
        scenes.sensor,
        scenes.coregister,
        run.device,
        parsing.threads(run.threads),
        mtf_gain=parsing.mtf_gain(scenes.mtf_gain),
    )
    with gdal_environment(_CACHE_MB, common.gdal_config), training_display(common) as listener:
        report = start(request, listener)
    request.clear()
    _show(report, common)
    render.result(str(report.path), _facts(request, report), common)


def adapt_to(adaptation: Adaptation, common: CommonOptions) -> FuseRequest:
    """Learn from the scene of a job; returns the job with what was learned."""
    with training_display(common) as listener:
        report = adaptation.learn(listener)
    _show(report, common)
    return adaptation.job_after(report)


def _show(report: FinetuneReport, common: CommonOptions) -> None:
    pairs = ", ".join(f"{name} {report.before[name]:.4f} -> {report.after[name]:.4f}" for name in ("ERGAS", "SAM"))
    trained, validated = report.patches
    render.notes([*report.notes, f"validation: {pairs} ({validated} patches; {trained} trained)"], common)


def _facts(request: FinetuneRequest, report: FinetuneReport) -> dict[str, Any]:
    return {
        "output": str(report.path),
        "sha256": report.sha256,
        "base": str(request.base),
        "steps": report.steps,
        "patches": dict(zip(("training", "validation"), report.patches, strict=True)),
        "before": dict(report.before),
        "after": dict(report.after),
        "improved": report.improved,
    }
