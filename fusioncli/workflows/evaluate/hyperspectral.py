"""A hyperspectral cube and the multispectral image that would sharpen it, by Wald's protocol.

So far the only row is `exp`, the cube degraded and upsampled again: the figures that a fusion method has to beat.
"""

from __future__ import annotations

from fusioncli.core import gaps
from fusioncli.core.grid import align, in_frame_of
from fusioncli.core.rects import cells_within, finer
from fusioncli.core.sensors import find_sensor, guess_sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.workflows.evaluate.measure import Images
from fusioncli.workflows.evaluate.peak import find_peak
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import CubeEvaluation
from fusioncli.workflows.evaluate.views import Derived, mask, open_layer, tensor
from fusioncli.workflows.workers import Progress

MODE = "reduced resolution, hyperspectral"
SUITES = ("hyperspectral",)


def evaluate_cube(request: CubeEvaluation, progress: Progress) -> EvalReport:
    """Degrade the cube by its ratio to the multispectral image, and compare what comes back with the cube.

    Raises:
        DataError: unusable files, a cube smaller than one degraded pixel, no valid pixel.
        UsageError: unknown sensor, or a peak that nobody states.
    """
    hsi, msi = open_layer(request.hsi, request.nodata), open_layer(request.msi, request.nodata)
    cube, bands = hsi.files[0], len(hsi.files[0].bands)
    grid, note = in_frame_of(msi.files[0].grid, cube.grid)
    ratio = align(grid, msi.files[0].grid).ratio
    if request.sensor:
        sensor, reason = find_sensor(request.sensor).for_bands(bands), ""
    else:
        sensor, reason = guess_sensor(cube.tags, [cube.path], bands, ratio)
    peak = find_peak(request.settings.peak, cube, sensor)
    settings = request.settings.in_unit(peak)
    whole = finer(cells_within(Rect(0, 0, *hsi.shape), ratio), ratio)
    if whole.empty:
        raise DataError(f"{cube.path} is smaller than {ratio} x {ratio} px", "use a larger cube")
    settings.check_memory(bands, whole)
    sampling, gains = settings.protocol.sampling(ratio, ratio), sensor.ms_mtf

    def observe(window: Rect) -> Images:
        samples, valid = hsi.read(window)
        filled = samples if valid is None else gaps.fill_gaps(samples, valid)
        truth = tensor(filled)
        peak.check(truth, mask(valid))
        truth = truth * settings.factor
        return {"reference": truth, "fused": sampling.upsample(sampling.degrade(truth, gains))}, mask(valid)

    border_px = settings.border(with_reference=True)
    frame = settings.protocol.frame(whole.height, whole.width, border_px)
    margin_px = sampling.reach_px(*gains) * (2 if hsi.masked else 1)
    derived = Derived(observe, frame, bands, 1, ratio, margin_px, whole if sampling.literal else None)
    rows = {"exp": settings.yardstick(SUITES[0], ratio, peak, progress).measure(derived.view())}
    facts = settings.facts(MODE, ratio, border_px, peak) | {"sensor": sensor.name}
    notes = (*filter(None, [note, reason, peak.note]), *undefined_notes(rows))
    return EvalReport(facts, columns(SUITES), rows, notes)
