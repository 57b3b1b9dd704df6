"""Full resolution: indices without reference, and the fused image brought back to the MS grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fusioncli.core.tiling import Rect
from fusioncli.io.layer import Layer
from fusioncli.workflows.evaluate.fused import Fuser, method_names
from fusioncli.workflows.evaluate.measure import Figures, Yardstick
from fusioncli.workflows.evaluate.observed import Observed
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import PairEvaluation
from fusioncli.workflows.evaluate.scene_job import SceneJob
from fusioncli.workflows.evaluate.views import check_grid, open_layer
from fusioncli.workflows.workers import Progress

MODE = "full resolution"
SUITES = ("full-resolution", "reprojection")


def evaluate_full(request: PairEvaluation, progress: Progress) -> EvalReport:
    """Measure fused images of a pair without reference: given files, or methods applied on the spot.

    Raises:
        DataError: unusable files, a fused image that is not on the grid of the pair, no valid pixel.
        UsageError: unknown names, or a peak that nobody states.
    """
    methods = () if request.fused else method_names(request.methods)
    job, settings = SceneJob.open(request), request.settings
    border_px = settings.border(with_reference=False)
    settings.check_memory(job.pair.bands, job.pair.alignment.scene)
    bench = _Bench.of(job, border_px, progress)
    images = {path: open_layer(path, request.pair.nodata) for path in request.fused}
    for image in images.values():
        check_grid(image, job.pair.output_grid, job.pair.bands)
    given = {path: bench.measure(image) for path, image in images.items()}
    with TemporaryDirectory(prefix="fusion-eval-") as folder:
        told = request.mtf_gain is not None
        fuser = Fuser(job.pair, job.sensor, settings.protocol, settings.resources, Path(folder), progress, told)
        made, reasons = fuser.measure(methods, bench.measure)
    rows = given | made
    notes = (*job.notes, *reasons, *undefined_notes(rows))
    return EvalReport(job.facts(MODE, border_px), columns(SUITES), rows, notes)


@dataclass(frozen=True)
class _Bench:
    """A pair with both suites, ready to measure any image fused from it."""

    job: SceneJob
    frame: Rect
    on_pan: Yardstick
    on_ms: Yardstick

    @classmethod
    def of(cls, job: SceneJob, border_px: int, progress: Progress) -> _Bench:
        output = job.pair.alignment.output_in_scene
        frame = job.request.settings.protocol.frame(output.height, output.width, border_px)
        return cls(
            job,
            frame.shift(output.row0, output.col0),
            job.yardstick(SUITES[0], progress),
            job.yardstick(SUITES[1], progress).coarser(job.ratio),
        )

    def measure(self, image: Layer) -> Figures:
        observed = Observed(self.job.pair, image, self.job.sensor, self.job.sampling, self.job.request.settings.factor)
        return self.on_pan.measure(observed.on_pan_grid(self.frame)) | self.on_ms.measure(
            observed.on_ms_grid(self.frame)
        )
