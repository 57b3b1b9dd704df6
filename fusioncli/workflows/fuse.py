"""Pansharpen one pair as planned: observe, fuse part by part, assemble."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fusioncli.errors import DataError
from fusioncli.io.parts import remove_stale
from fusioncli.io.product import assemble
from fusioncli.models.contract import FusionModel
from fusioncli.workflows.engine import Engine
from fusioncli.workflows.plan import FusePlan
from fusioncli.workflows.workers import Progress


@dataclass(frozen=True)
class FuseReport:
    """What came out.

    Attributes:
        path: the file.
        clipped: share of the samples that were clipped to the range of the output.
        reused: parts taken over from an interrupted run.
    """

    path: Path
    clipped: float
    reused: int


def run_fusion(plan: FusePlan, progress: Progress) -> FuseReport:
    """Do the planned job; finished parts survive an interruption and are reused by the same job.

    Raises:
        DataError: damaged input, a full disk, or no valid pixel at all; nothing is left behind then.
    """
    try:
        return _run(plan, progress)
    except DataError:
        plan.store.clear()
        raise


def fitted(plan: FusePlan, progress: Progress) -> FusionModel:
    """The planned model, ready to fuse (DataError: the whole scene's statistics are degenerate)."""
    return plan.model if isinstance(plan.model, FusionModel) else _engine(plan, progress).observe(plan.model)


def _engine(plan: FusePlan, progress: Progress) -> Engine:
    budget = plan.budget
    return Engine(plan.pair, plan.tiling, budget.threads, budget.device, budget.dtype, progress)


def _run(plan: FusePlan, progress: Progress) -> FuseReport:
    store, output = plan.store, plan.request.output
    remove_stale(store.folder.parent, keep=store.folder.name)
    if not output.resume:
        store.clear()
    reused = sum(store.holds(part) for part in plan.parts)
    if reused < len(plan.parts):
        _engine(plan, progress).fuse(fitted(plan, progress), plan.parts, store, plan.values)
    if not any(store.has_pixels(part) for part in plan.parts):
        raise DataError("no pixel holds data in both MS and PAN", "check nodata values and masks (`fusion info FILE`)")
    clipped = sum(store.clipped(part) for part in plan.parts)
    progress("writing", 0, 1)
    assemble(plan.product, store, plan.parts, output.path)
    progress("writing", 1, 1)
    store.clear()
    samples = plan.product.grid.height * plan.product.grid.width * len(plan.product.bands)
    return FuseReport(output.path, clipped / samples, reused)
