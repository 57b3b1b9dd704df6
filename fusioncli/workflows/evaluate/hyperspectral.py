"""A hyperspectral cube and the image that sharpens it, by Wald's protocol: every method in one table.

Two situations. Where the pixels of the cube are larger, both images are degraded by their ratio, as a pansharpening
pair is. Where both share their pixels (a simulated scene, or two sensors of one resolution), only the cube is degraded,
by a ratio that the user names, and the cube itself is the truth at the resolution of the image beside it.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fusioncli.errors import UsageError
from fusioncli.io.layer import Layer
from fusioncli.io.scene import PairRequest, ScenePair, open_pair
from fusioncli.models.catalogue import CUBE_METHODS, FAST_FOR_CUBES, find_method
from fusioncli.workflows.evaluate.fused import Fuser, method_names
from fusioncli.workflows.evaluate.measure import Figures
from fusioncli.workflows.evaluate.peak import find_peak
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import CubeEvaluation
from fusioncli.workflows.evaluate.views import against_reference
from fusioncli.workflows.evaluate.wald import Wald, truth, truth_cells
from fusioncli.workflows.plan import choose_sensor
from fusioncli.workflows.workers import Progress

MODE = "reduced resolution, hyperspectral"
SUITES = ("hyperspectral",)


def evaluate_cube(request: CubeEvaluation, progress: Progress) -> EvalReport:
    """Degrade, fuse with every method, and compare with the cube.

    Raises:
        DataError: unusable files, a cube smaller than one degraded pixel, no valid pixel.
        UsageError: unknown names, a peak that nobody states, or no ratio where the files do not tell one.
    """
    methods = method_names(request.methods, (find_method("exp"), *CUBE_METHODS), auto=FAST_FOR_CUBES)
    pair = open_pair(PairRequest((request.hsi,), (request.msi,), request.nodata, cube=True))
    by = _ratio_to_name(request, pair)
    ratio = by or pair.alignment.ratio
    sensor, reason = choose_sensor(request.sensor, pair)
    peak = find_peak(request.settings.peak, pair.ms.files[0], sensor)
    settings = request.settings.in_unit(peak)
    cells = truth_cells(pair, by)
    settings.check_memory(pair.bands, cells)
    border_px = settings.border(with_reference=True)
    frame = settings.protocol.frame(cells.height, cells.width, border_px)
    yardstick = settings.yardstick(SUITES[0], ratio, peak, progress)
    with TemporaryDirectory(prefix="fusion-eval-") as folder:
        degraded = Wald(pair, cells, sensor, settings.protocol, by).degrade_into(Path(folder), progress)
        fuser = Fuser(degraded, sensor, settings.protocol, settings.resources, Path(folder), progress)

        def look(fused: Layer) -> Figures:
            return yardstick.measure(against_reference(truth(pair, cells), fused, peak, settings.factor).within(frame))

        rows, _ = fuser.measure(methods, look)
    facts = settings.facts(MODE, ratio, border_px, peak) | {"sensor": sensor.name}
    notes = (*filter(None, [*pair.notes, reason, peak.note]), *undefined_notes(rows))
    return EvalReport(facts, columns(SUITES), rows, notes)


def _ratio_to_name(request: CubeEvaluation, pair: ScenePair) -> int | None:
    """How far to degrade a cube alone; None where the pair has a ratio of its own."""
    if pair.alignment.ratio > 1:
        return None
    if request.ratio is None or request.ratio < 2:
        raise UsageError(
            "MS and PAN have pixels of one size, so that they do not say how far to degrade MS",
            "name the ratio: --ratio 4",
        )
    return request.ratio
