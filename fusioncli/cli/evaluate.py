"""`fusion eval`: honest figures of fused images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fusioncli.cli import parsing, render, tables
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import (
    CommonOptions,
    EvalMethodOptions,
    EvalModeOptions,
    EvalOptions,
    EvalPairOptions,
    EvalRunOptions,
    ReportOptions,
)
from fusioncli.cli.pansharpen import pair_request
from fusioncli.errors import UsageError

if TYPE_CHECKING:
    from fusioncli.workflows.evaluate.report import EvalReport
    from fusioncli.workflows.evaluate.request import EvalSettings
    from fusioncli.workflows.workers import Progress

_ASSUMED_RATIO = 4


@takes_groups
def evaluate(
    mode: EvalModeOptions,
    pair: EvalPairOptions,
    method: EvalMethodOptions,
    options: EvalOptions,
    report: ReportOptions,
    run: EvalRunOptions,
    common: CommonOptions,
) -> None:
    """Print quality figures: of methods by Wald's protocol, without reference, or of files against a reference.

    The table marks the best of each column and names protocol, phase, kernel, border and peak.

    Example: fusion eval --reduced-res --ms scene_ms.tif --pan scene_pan.tif --method gsa --method mtf-glp-fs
    """
