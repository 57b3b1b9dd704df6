"""`fusion eval`: honest figures of fused images."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fusioncli.cli import parsing, render, tables
from fusioncli.cli.evaluate_options import (
    EvalInputOptions,
    EvalMethodOptions,
    EvalOptions,
    EvalRunOptions,
    ReportOptions,
)
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions
from fusioncli.cli.pansharpen import pair_request
from fusioncli.cli.vocabulary import cube_words, in_cube_words
from fusioncli.errors import UsageError

if TYPE_CHECKING:
    from fusioncli.workflows.evaluate.gate import Limit
    from fusioncli.workflows.evaluate.report import EvalReport
    from fusioncli.workflows.evaluate.request import CubeEvaluation, EvalSettings
    from fusioncli.workflows.workers import Progress

    Job = tuple[Sequence[str], Callable[[Progress], EvalReport]]

_FORMATS = (".md", ".json", ".csv")


@takes_groups
def evaluate(
    inputs: EvalInputOptions,
    method: EvalMethodOptions,
    options: EvalOptions,
    report: ReportOptions,
    run: EvalRunOptions,
    common: CommonOptions,
) -> None:
    """Print quality figures: of methods by Wald's protocol, without reference, or of files against a reference.

    The best of each column is marked; the caption names protocol, phase, kernel, border and peak.

    Example: fusion eval --reduced-res --ms scene_ms.tif --pan scene_pan.tif --method gsa --method mtf-glp-fs
    """
    from fusioncli.io.environment import gdal_environment
    from fusioncli.workflows.evaluate.gate import check_limits, find_limits
    from fusioncli.workflows.evaluate.report import columns

    render.listen_to_gdal(common)
    suites, work = _job(inputs, method, options, run)
    limits = find_limits(_limits(options.fail_under), columns(suites))
    _check_outputs(report)
    with gdal_environment(run.mem_limit, common.gdal_config), render.progress_bar(common) as progress:
        result = work(progress)
    render.notes(result.notes, common)
    for path, kind in _outputs(report).items():
        _write(path, result, kind)
    if common.json:
        render.result("", result.as_json(), common)
    else:
        tables.print_table(result, *_outputs(report))
    check_limits(limits, result)


def settings(options: EvalOptions, run: EvalRunOptions, protocol: str) -> EvalSettings:
    """How images are measured, as the user gave it; `protocol` is the default of the mode."""
    from fusioncli.workflows.evaluate.peak import STATED, Peak
    from fusioncli.workflows.evaluate.protocol import find_protocol
    from fusioncli.workflows.evaluate.request import EvalSettings
    from fusioncli.workflows.memory import Resources

    peak = parsing.peak_dn(options.data_range, options.bit_depth)
    return EvalSettings(
        find_protocol(options.protocol or protocol),
        options.border,
        None if peak is None else Peak(peak, STATED),
        options.scale,
        options.tiles,
        Resources(parsing.threads(run.threads), run.mem_limit),
    )


def _job(inputs: EvalInputOptions, method: EvalMethodOptions, options: EvalOptions, run: EvalRunOptions) -> Job:
    """The suites that will be computed, and the work."""
    modes = {
        "--reduced-res": (inputs.reduced_res and not inputs.data, _pair_job),
        "--full-res": (inputs.full_res and not inputs.data, _pair_job),
        "--reference": (inputs.reference, _reference_job),
        "--data": (inputs.data, _patch_job),
        "--hsi": (inputs.hsi, _cube_job),
    }
    chosen = [name for name, (given, _) in modes.items() if given]
    if len(chosen) != 1:
        got = " and ".join(chosen) or "none of them"
        raise UsageError(f"eval takes one of {', '.join(modes)}, got {got}", "try: fusion eval --help")
    if method.mtf_gain is not None and modes[chosen[0]][1] is not _pair_job:
        raise UsageError("--mtf-gain goes with --reduced-res and --full-res", "leave out --mtf-gain")
    how = settings(options, run, "toolbox" if inputs.data else "centred")
    return modes[chosen[0]][1](inputs, method, options, how)


def _pair_job(inputs: EvalInputOptions, method: EvalMethodOptions, _: EvalOptions, how: EvalSettings) -> Job:
    from fusioncli.workflows.evaluate import full, reduced
    from fusioncli.workflows.evaluate.request import PairEvaluation

    if not (inputs.ms and inputs.pan):
        raise UsageError("--reduced-res and --full-res need a pair", "add --ms FILE --pan FILE")
    if inputs.reduced_res and inputs.fused:
        raise UsageError(
            "--reduced-res fuses the degraded pair itself", "use --method, or measure --fused files with --full-res"
        )
    request = PairEvaluation(
        pair_request(inputs),
        method.sensor,
        tuple(method.method),
        tuple(inputs.fused),
        how,
        parsing.mtf_gain(method.mtf_gain),
    )
    if inputs.reduced_res:
        return reduced.SUITES, lambda progress: reduced.evaluate_reduced(request, progress)
    return full.SUITES, lambda progress: full.evaluate_full(request, progress)


def _reference_job(inputs: EvalInputOptions, _: EvalMethodOptions, options: EvalOptions, how: EvalSettings) -> Job:
    from fusioncli.workflows.evaluate.reference import evaluate_against
    from fusioncli.workflows.evaluate.request import ReferenceEvaluation

    if not (inputs.reference and inputs.fused):
        raise UsageError("--reference needs images to compare", "add --fused FILE")
    request = ReferenceEvaluation(
        inputs.reference,
        tuple(inputs.fused),
        options.ratio,
        options.suite,
        parsing.number(inputs.src_nodata, "--src-nodata"),
        how,
    )
    return [options.suite], lambda progress: evaluate_against(request, progress)


def _patch_job(inputs: EvalInputOptions, method: EvalMethodOptions, _: EvalOptions, how: EvalSettings) -> Job:
    from fusioncli.workflows.evaluate.patches import evaluate_patches, suites_of
    from fusioncli.workflows.evaluate.request import PatchEvaluation

    assert inputs.data is not None
    request = PatchEvaluation(
        inputs.data, inputs.full_res, method.sensor, tuple(method.method), tuple(inputs.fused), how
    )
    return suites_of(request), lambda progress: evaluate_patches(request, progress)


def _cube_job(inputs: EvalInputOptions, method: EvalMethodOptions, options: EvalOptions, how: EvalSettings) -> Job:
    from fusioncli.workflows.evaluate import hyperspectral
    from fusioncli.workflows.evaluate.request import CubeEvaluation

    if not (inputs.hsi and inputs.msi):
        raise UsageError("--hsi needs the sharper image, whose pixels say how far to degrade", "add --msi FILE")
    nodata = parsing.number(inputs.src_nodata, "--src-nodata")
    request = CubeEvaluation(inputs.hsi, inputs.msi, method.sensor, nodata, tuple(method.method), options.ratio, how)
    return hyperspectral.SUITES, lambda progress: _in_cube_words(hyperspectral.evaluate_cube, request, progress)


def _in_cube_words(
    work: Callable[[CubeEvaluation, Progress], EvalReport], request: CubeEvaluation, progress: Progress
) -> EvalReport:
    """The report, or the error, of a pair of HSI and MSI."""
    with cube_words():
        report = work(request, progress)
    return replace(report, notes=tuple(map(in_cube_words, report.notes)))


def _limits(texts: Sequence[str]) -> list[Limit]:
    from fusioncli.workflows.evaluate.gate import Limit

    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"--fail-under takes INDEX=VALUE, got '{text}'", "for example --fail-under ERGAS=3")
        number = parsing.number(value, "--fail-under")
        assert number is not None
        found.append(Limit(name, number))
    return found


def _outputs(report: ReportOptions) -> dict[Path, str]:
    """Files to write, each with its format."""
    files = {} if report.csv is None else {report.csv: ".csv"}
    return files if report.output is None else files | {report.output: report.output.suffix.lower()}


def _check_outputs(report: ReportOptions) -> None:
    """Refuse before any work what could not be written after it."""
    from fusioncli.io.files import check_writable

    if report.output is not None and report.output.suffix.lower() not in _FORMATS:
        raise UsageError(
            f"a report is written as {', '.join(_FORMATS)}, not as '{report.output.suffix}'", "for example -o report.md"
        )
    for path in _outputs(report):
        check_writable(path, report.overwrite, 0)


def _write(path: Path, result: EvalReport, kind: str) -> None:
    from fusioncli.io.files import whole_file

    texts = {
        ".md": result.as_markdown,
        ".json": lambda: json.dumps(result.as_json(), indent=1, default=str, allow_nan=False) + "\n",
        ".csv": result.as_csv,
    }
    with whole_file(path) as temporary:
        temporary.write_text(texts[kind](), encoding="utf-8")
