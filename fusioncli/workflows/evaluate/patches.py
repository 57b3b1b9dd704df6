"""Test patches in the layout of PanCollection: the mean and deviation over samples that papers print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from fusioncli.core.rects import cells_within
from fusioncli.core.sensors import Sensor, find_sensor, guess_sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError, UsageError
from fusioncli.io.patches import PatchFile, open_patches
from fusioncli.models.catalogue import AUTO
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import FusionModel, Window, fuse_image
from fusioncli.models.registry import build
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate import full, reduced
from fusioncli.workflows.evaluate.fused import method_names
from fusioncli.workflows.evaluate.measure import Figures, Yardstick, spread
from fusioncli.workflows.evaluate.observed import lowered, raised
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import PatchEvaluation
from fusioncli.workflows.evaluate.views import tensor
from fusioncli.workflows.workers import Progress, in_order

_Sample = tuple[PatchFile, int]
_Maker = Callable[[int, dict[str, Tensor]], Tensor]
"""The fused image of a sample, given its number and its images."""


def evaluate_patches(request: PatchEvaluation, progress: Progress) -> EvalReport:
    """Measure methods, or results of networks, on every sample.

    Raises:
        DataError: unusable files, samples of different kinds.
        UsageError: unknown names, or a peak that nobody states.
    """
    bench = _Bench.of(request, progress)
    if request.fused:
        makers = {path: bench.results(path) for path in request.fused}
    else:
        makers = {name: bench.method(name) for name in _names(request.methods)}
    rows = {name: bench.measure(make) for name, make in makers.items()}
    facts = request.settings.facts(bench.mode, bench.sampling.ratio, bench.border_px, bench.peak)
    facts |= {"sensor": bench.sensor.name, "data": request.data, "samples": len(bench.samples)}
    notes = (*filter(None, [bench.note, bench.peak.note]), *undefined_notes(rows))
    return EvalReport(facts, columns(suites_of(request)), rows, notes)


def _names(asked: Sequence[str]) -> tuple[str, ...]:
    names = method_names(asked)
    if AUTO in names:
        raise UsageError("auto compares methods on windows of a scene, patches have none", "name methods: --method gsa")
    return names


def suites_of(request: PatchEvaluation) -> Sequence[str]:
    """Against the truth where it is known, unless asked otherwise (DataError as `open_patches`)."""
    truth = all("gt" in file.keys for file in open_patches(Path(request.data), ("ms", "pan")))
    return reduced.SUITES if truth and not request.full_resolution else full.SUITES


@dataclass(frozen=True)
class _Bench:
    """All samples, and how each is fused and measured."""

    request: PatchEvaluation
    samples: Sequence[_Sample]
    sampling: Sampling
    sensor: Sensor
    note: str
    peak: Peak
    yardsticks: Sequence[Yardstick]

    @classmethod
    def of(cls, request: PatchEvaluation, progress: Progress) -> _Bench:
        files = open_patches(Path(request.data), ("ms", "pan"))
        bands, ratio = _common(files)
        if request.sensor:
            sensor = find_sensor(request.sensor).for_bands(bands)
            note = sensor.note
        else:
            sensor, note = guess_sensor({}, [str(file.path) for file in files], bands, ratio)
        peak = _peak(request, files, sensor)
        yardsticks = [request.settings.yardstick(suite, ratio, peak, progress) for suite in suites_of(request)]
        samples = [(file, number) for file in files for number in range(file.count)]
        return cls(request, samples, request.settings.protocol.sampling(ratio, ratio), sensor, note, peak, yardsticks)

    @property
    def with_reference(self) -> bool:
        return len(self.yardsticks) == 1

    @property
    def mode(self) -> str:
        return f"test patches, {reduced.MODE if self.with_reference else full.MODE}"

    @property
    def border_px(self) -> int:
        return self.request.settings.border(self.with_reference)

    def method(self, name: str) -> _Maker:
        """Fuse each sample by itself, as a scene of its own."""
        optics = Optics(self.sensor.ms_mtf, self.sensor.pan_mtf, self.sensor.pan_weights)
        model = build(name, self.sampling, optics)

        def fuse(_: int, images: dict[str, Tensor]) -> Tensor:
            ms, pan = images["ms"], images["pan"]
            if isinstance(model, FusionModel):
                return fuse_image(model, ms, pan)
            core = slice(0, pan.shape[-2]), slice(0, pan.shape[-1])
            return fuse_image(model.fit(model.observe(Window(ms, pan, None, core, self.sampling.ratio))), ms, pan)

        return fuse

    def results(self, path: str) -> _Maker:
        """Look each sample up among the results of a network."""
        found = [(file, number) for file in open_patches(Path(path), ("sr",)) for number in range(file.count)]
        if len(found) != len(self.samples):
            raise DataError(
                f"{path} holds {len(found)} results, {self.request.data} {len(self.samples)} samples",
                "give one result per sample, named in the order of the samples",
            )

        def look_up(number: int, images: dict[str, Tensor]) -> Tensor:
            file, place = found[number]
            result, expected = tensor(file.sample(place)["sr"]), (images["ms"].shape[1], *images["pan"].shape[-2:])
            if tuple(result.shape[1:]) != expected:
                raise DataError(
                    f"{file.path}: sr has shape {tuple(result.shape[1:])}, the sample {expected}",
                    "results are stored as bands, rows, columns in .h5 and as rows, columns, bands in .mat",
                )
            return result

        return look_up

    def measure(self, make: _Maker) -> Figures:
        """Mean and deviation over samples."""

        def work(number: int) -> Figures:
            file, place = self.samples[number]
            images = {name: tensor(image) for name, image in file.sample(place).items()}
            return self._figures(images, make(number, images))

        first = self.yardsticks[0]
        figures = list(in_order("measuring", range(len(self.samples)), work, first.threads, first.progress))
        deviations = spread([dict(each.values) for each in figures])
        values = {name: deviations[name][0] if name in deviations else None for name in figures[0].values}
        undefined = {name: reason for each in figures for name, reason in each.undefined.items()}
        return Figures(values, deviations, undefined)

    def _figures(self, images: dict[str, Tensor], fused: Tensor) -> Figures:
        settings, scale = self.request.settings, self.request.settings.factor
        height, width = fused.shape[-2:]
        frame = settings.protocol.frame(height, width, self.border_px)
        if self.with_reference:
            self.peak.check(images["gt"], None)
            pair = {"reference": images["gt"] * scale, "fused": fused * scale}
            return self.yardsticks[0].figures(_cut(pair, frame))
        ms, pan, image = (each * scale for each in (images["ms"], images["pan"], fused))
        on_pan, on_ms = (derive(ms, pan, image, self.sampling, self.sensor.ms_mtf) for derive in (raised, lowered))
        cells = cells_within(frame, self.sampling.ratio)
        return self.yardsticks[0].figures(_cut(on_pan, frame)) | self.yardsticks[1].figures(_cut(on_ms, cells))


def _common(files: Sequence[PatchFile]) -> tuple[int, int]:
    """Bands and ratio, which all samples share."""
    kinds = {(file.shapes["ms"][0], *_ratios(file)): file for file in files}
    if len(kinds) > 1:
        first, second = list(kinds.values())[:2]
        raise DataError(
            f"{first.path} and {second.path} differ in bands or ratio: {first.shapes}, {second.shapes}",
            "evaluate them one by one",
        )
    bands, *ratios = next(iter(kinds))
    if len(set(ratios)) > 1 or ratios[0] != int(ratios[0]):
        raise DataError(
            f"{files[0].path}: PAN is {ratios[0]:g} x {ratios[1]:g} times as large as MS", "expected one whole number"
        )
    return bands, int(ratios[0])


def _ratios(file: PatchFile) -> tuple[float, float]:
    (_, h, w), (_, height, width) = file.shapes["ms"], file.shapes["pan"]
    return height / h, width / w


def _peak(request: PatchEvaluation, files: Sequence[PatchFile], sensor: Sensor) -> Peak:
    """The user's, the files', or the sensor's, in whose digital numbers PanCollection is published."""
    if request.settings.peak:
        return request.settings.peak
    if stated := files[0].value_max:
        return Peak(stated, f"value_max of {files[0].path}")
    if sensor.name == "GENERIC":
        raise UsageError(
            f"nothing states the peak of {request.data}", "give --sensor, or the peak with --data-range or --bit-depth"
        )
    peak = Peak(2.0**sensor.bit_depth - 1, f"{sensor.bit_depth} bit of {sensor.title}")
    highest = float(np.max(files[0].sample(0)["ms"]))
    if highest <= 1:
        raise DataError(
            f"{files[0].path} holds values up to {highest:g}, not digital numbers of a peak of {peak.value:g}",
            f"state the peak and bring them to digital numbers: --data-range 1 --scale {peak.value:g}",
        )
    return peak


def _cut(images: dict[str, Tensor], frame: Rect) -> dict[str, Tensor]:
    area = (..., slice(frame.row0, frame.row1), slice(frame.col0, frame.col1))
    return {name: image[area] for name, image in images.items()}
