"""Any images against any reference of the same grid."""

from __future__ import annotations

from fusioncli.workflows.evaluate.peak import find_peak
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import ReferenceEvaluation
from fusioncli.workflows.evaluate.views import against_reference, check_grid, open_layer
from fusioncli.workflows.workers import Progress

MODE = "against a reference"


def evaluate_against(request: ReferenceEvaluation, progress: Progress) -> EvalReport:
    """Compare files with a reference.

    Raises:
        DataError: unusable files, different grids or band counts, no valid pixel.
        UsageError: a peak that nobody states.
    """
    settings = request.settings
    reference = open_layer(request.reference, request.nodata)
    images = {path: open_layer(path, request.nodata) for path in request.fused}
    for image in images.values():
        check_grid(image, reference.files[0].grid, len(reference.files[0].bands))
    peak = find_peak(settings.peak, reference.files[0], None)
    border_px = settings.border(with_reference=True)
    frame = settings.protocol.frame(*reference.shape, border_px)
    yardstick = settings.yardstick(request.suite, request.ratio, peak, progress)
    rows = {
        path: yardstick.measure(against_reference(reference.read, image, peak, settings.scale).within(frame))
        for path, image in images.items()
    }
    facts = settings.facts(MODE, request.ratio, border_px, peak) | {"reference": request.reference}
    notes = (*filter(None, [peak.note]), *undefined_notes(rows))
    return EvalReport(facts, columns([request.suite]), rows, notes)
