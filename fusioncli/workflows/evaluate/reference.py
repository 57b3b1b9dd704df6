"""Any images against any reference of the same grid."""

from __future__ import annotations

from fusioncli.errors import UsageError
from fusioncli.workflows.evaluate.peak import find_peak
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import ReferenceEvaluation
from fusioncli.workflows.evaluate.views import against_reference, check_grid, open_layer
from fusioncli.workflows.workers import Progress

SUITES = ("reduced-resolution", "hyperspectral")
_ASSUMED_RATIO = 4
MODE = "against a reference"


def evaluate_against(request: ReferenceEvaluation, progress: Progress) -> EvalReport:
    """Compare files with a reference.

    Raises:
        DataError: unusable files, different grids or band counts, no valid pixel.
        UsageError: an unknown suite, or a peak that nobody states.
    """
    if request.suite not in SUITES:
        raise UsageError(f"no suite with reference is called '{request.suite}'", f"choose one of {', '.join(SUITES)}")
    settings, ratio = request.settings, request.ratio or _ASSUMED_RATIO
    reference = open_layer(request.reference, request.nodata)
    images = {path: open_layer(path, request.nodata) for path in request.fused}
    for image in images.values():
        check_grid(image, reference.files[0].grid, len(reference.files[0].bands))
    peak = find_peak(settings.peak, reference.files[0], None)
    if request.suite == SUITES[1]:
        settings = settings.in_unit(peak)
    border_px = settings.border(with_reference=True)
    frame = settings.protocol.frame(*reference.shape, border_px)
    yardstick = settings.yardstick(request.suite, ratio, peak, progress)
    rows = {
        path: yardstick.measure(against_reference(reference.read, image, peak, settings.factor).within(frame))
        for path, image in images.items()
    }
    facts = settings.facts(MODE, ratio, border_px, peak) | {"reference": request.reference}
    assumed = f"ERGAS takes the ratio {ratio}; --ratio states another" if request.ratio is None else ""
    notes = (*filter(None, [assumed, peak.note]), *undefined_notes(rows))
    return EvalReport(facts, columns([request.suite]), rows, notes)
