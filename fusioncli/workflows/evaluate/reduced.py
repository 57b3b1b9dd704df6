"""Reduced resolution: every method on the degraded pair against the true MS, in one table."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fusioncli.io.layer import Layer
from fusioncli.workflows.evaluate.fused import Fuser, method_names
from fusioncli.workflows.evaluate.measure import Figures
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import PairEvaluation
from fusioncli.workflows.evaluate.scene_job import SceneJob
from fusioncli.workflows.evaluate.views import against_reference
from fusioncli.workflows.evaluate.wald import Wald, truth, truth_cells
from fusioncli.workflows.workers import Progress

MODE = "reduced resolution"
SUITES = ("reduced-resolution",)


def evaluate_reduced(request: PairEvaluation, progress: Progress) -> EvalReport:
    """Wald's protocol: degrade both by their ratio, fuse, compare with the true MS.

    Raises:
        DataError: unusable files, a scene too small, no valid pixel.
        UsageError: unknown names, or a peak that nobody states.
    """
    methods = method_names(request.methods)
    job, settings = SceneJob.open(request), request.settings
    cells = truth_cells(job.pair)
    settings.check_memory(0, job.pair.alignment.scene)
    border_px = settings.border(with_reference=True)
    frame = settings.protocol.frame(cells.height, cells.width, border_px)
    yardstick = job.yardstick(SUITES[0], progress)
    reference = truth(job.pair, cells)
    with TemporaryDirectory(prefix="fusion-eval-") as folder:
        degraded = Wald(job.pair, cells, job.sensor, settings.protocol).degrade_into(Path(folder), progress)
        told = request.mtf_gain is not None
        fuser = Fuser(degraded, job.sensor, settings.protocol, settings.resources, Path(folder), progress, told)

        def look(fused: Layer) -> Figures:
            return yardstick.measure(against_reference(reference, fused, job.peak, settings.factor).within(frame))

        rows, reasons = fuser.measure(methods, look)
    notes = (*job.notes, *reasons, *undefined_notes(rows))
    return EvalReport(job.facts(MODE, border_px), columns(SUITES), rows, notes)
