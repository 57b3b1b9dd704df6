"""Everything about a pansharpening job that can be decided, checked or refused before any pixel is computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np

from fusioncli import __version__
from fusioncli.core.grid import Verdict
from fusioncli.core.sensors import Sensor, find_sensor, fit_sensor, guess_sensor
from fusioncli.core.tiling import Rect, Tiling, parts
from fusioncli.core.values import OutputValues, can_hold, sample_type
from fusioncli.errors import DataError, UsageError
from fusioncli.io.files import check_writable
from fusioncli.io.parts import PartStore, job_digest
from fusioncli.io.product import Product, check_options
from fusioncli.io.scene import ScenePair
from fusioncli.models.catalogue import AUTO, CUBE_METHODS
from fusioncli.models.classical.base import Optics
from fusioncli.models.consistent import consistent
from fusioncli.models.contract import FusionModel, SceneMethod
from fusioncli.models.hyperspectral.blur import Blur
from fusioncli.models.refiner.scene import SceneRefiner
from fusioncli.models.registry import build
from fusioncli.models.trained import Trained
from fusioncli.ops.sampling import sampling_for
from fusioncli.workflows.auto import ANY_SENSOR, base_of, choose_method, elect
from fusioncli.workflows.coregister import WARN_PX, Shift, apart, open_registered
from fusioncli.workflows.memory import Budget, Resources, fit_memory
from fusioncli.workflows.optics import blur_note, by_shown_gain, measure_blur, seen_by, with_gain
from fusioncli.workflows.requests import FuseRequest, MethodRequest, MtfGain, OutputRequest
from fusioncli.workflows.spectra import read_pair_response, spectral_notes

_LIKELY_FILL = 0.005
_ROOM = 2.5  # parts, product and overviews are on disk together for a moment


@dataclass(frozen=True)
class FusePlan:
    """A job that has passed every check.

    Attributes:
        request: what was asked.
        pair: the aligned scene.
        shift: measured shift that is taken out, or None.
        sensor: figures for the bands of this file.
        model: the chosen method, not yet fitted.
        tiling: its tiles.
        budget: threads, part size, memory, device.
        values: range of the output.
        product: the file to be written.
        notes: what the user should know, in order.
        blur: how a cube sees its sharper image, where that could be measured.
    """

    request: FuseRequest
    pair: ScenePair
    shift: Shift | None
    sensor: Sensor
    model: FusionModel | SceneMethod
    tiling: Tiling
    budget: Budget
    values: OutputValues
    product: Product
    notes: tuple[str, ...]
    blur: Blur | None = None

    @cached_property
    def parts(self) -> list[Rect]:
        """Rectangles of the output, from its corner."""
        return parts(Rect(0, 0, self.product.grid.height, self.product.grid.width), self.budget.part_px)

    @cached_property
    def store(self) -> PartStore:
        """Where the parts of this very job are kept."""
        path = self.request.output.path
        inputs = [file.path for file in (*self.pair.ms.files, *self.pair.pan.files)]
        inputs += [str(self.request.method.srf)] if self.request.method.srf else []
        everything = (
            __version__,
            self.request.pair,
            self.request.method,
            self.pair.alignment,
            self.sensor,
            self.model.card,
            self.tiling,
            self.budget.device,
            self.budget.dtype,
            self.values,
        )
        digest = job_digest(inputs, [repr(item) for item in everything])
        return PartStore(path.with_name(path.name + ".parts") / digest, self.product.stored_bands, self.values.dtype)


def plan_fusion(request: FuseRequest) -> FusePlan:
    """Open, align, choose and check; writes nothing.

    Raises:
        DataError: unusable inputs or output place.
        UsageError: unknown names, contradictory options.
    """
    output = request.output
    check_writable(output.path, output.overwrite, 0)
    method = request.method
    name, why = choose_method(method.name, method.weights, request.pair.cube, method.adapter)
    pair, shift = open_registered(request.pair, method.coregister)
    sensor, blur, sensor_notes = _optics(request, pair)
    if name == AUTO:
        name, why = elect(pair, sensor, method.upsampler, lambda each: model_for(each, method, sensor, pair))
    plain, gain_note = model_for(name, method, sensor, pair), ""
    _check_sensor(plain, sensor)
    if method.mtf_gain is None:
        plain, gain_note = by_shown_gain(plain, sensor, pair)
    model = _consistent(plain, sensor, pair, method.upsampler) if method.consistent else plain
    values = _values(output, pair)
    tiling, budget = cut_scene(pair, model, values.dtype, request.resources)
    product = _product(request, pair, values, plain, sensor)
    check_options(product)
    check_writable(output.path, output.overwrite, int(product.bytes * _ROOM))
    choice = f"{why}; --method overrides" if why else ""
    of_data = *_data_notes(pair, values), *spectral_notes(request.pair, pair)
    found = tuple(filter(None, (*pair.notes, *sensor_notes, choice, gain_note, *of_data)))
    return FusePlan(request, pair, shift, sensor, model, tiling, budget, values, product, found, blur)


def cut_scene(
    pair: ScenePair, model: FusionModel | SceneMethod, output_dtype: str, resources: Resources
) -> tuple[Tiling, Budget]:
    """The tiles that a model's card asks for, and the parts and workers that the memory allows.

    Raises:
        DataError: the job does not fit the memory.
        UsageError: no such device.
    """
    held_bands = model.card.held_bands(pair.bands, pair.guide_bands)
    tiling = Tiling.of(pair.alignment.scene, pair.alignment.ratio, model.card.rule, held_bands, pair.masked)
    return tiling, fit_memory(tiling, pair.bands, output_dtype, resources, held_bands)


def choose_sensor(name: str | None, pair: ScenePair, mtf_gain: MtfGain | None = None) -> tuple[Sensor, str]:
    """The named sensor, or the likeliest one, fitted to the bands, and what was taken for granted.

    Args:
        name: of a preset, or None to guess; the sharper image of a cube says nothing of it.
        pair: the aligned scene.
        mtf_gain: instead of the sensor's.

    Raises:
        UsageError: unknown name.
        DataError: as `with_gain`.
    """
    sensor, note = _preset(name, pair)
    if mtf_gain is None:
        return sensor, note
    changed, how = with_gain(sensor, pair, mtf_gain)
    return changed, "; ".join(filter(None, (note, how)))


def _preset(name: str | None, pair: ScenePair) -> tuple[Sensor, str]:
    files = pair.ms.files if pair.cube else (*pair.ms.files, *pair.pan.files)
    paths = [file.path for file in files]
    bands = [band.name or band.colour.name for file in pair.ms.files for band in file.bands]
    if name:
        sensor = fit_sensor(find_sensor(name), paths, pair.bands, bands)
        return sensor, sensor.note
    tags = {key: value for file in reversed(files) for key, value in file.tags.items()}
    return guess_sensor(tags, paths, pair.bands, pair.alignment.mean_gsd_ratio, bands)


def _optics(request: FuseRequest, pair: ScenePair) -> tuple[Sensor, Blur | None, list[str]]:
    """The sensor, with the gain that a cube shows where no other is known; what was measured; and notes of both."""
    named = request.method.sensor
    sensor, note = choose_sensor(named, pair, request.method.mtf_gain)
    if not request.pair.cube:
        return sensor, None, [note]
    blur = measure_blur(pair)
    used = seen_by(sensor, blur, named is not None)
    notes = [note, blur_note(blur, sensor, used)]
    if blur is not None and blur.length_px > WARN_PX:
        notes.append(f"{apart(blur.length_px)}; consider --coregister")
    return used, blur, notes


def model_for(name: str, method: MethodRequest, sensor: Sensor, pair: ScenePair) -> FusionModel | SceneMethod:
    """The model of a name, with the settings of a job, for a scene that it fits.

    Raises:
        DataError: weights that are unusable or made for other images.
        UsageError: a method for other scenes.
    """
    weights = method.pan_weights or sensor.pan_weights
    if len(weights) != pair.bands:
        raise UsageError(
            f"{len(weights)} PAN weights for {pair.bands} MS bands",
            "give one number per band: --pan-weights 0.2,0.3,…",
        )
    ratio = pair.alignment.ratio
    sampling = sampling_for(method.upsampler, ratio, pair.alignment.mean_gsd_ratio)
    response = None if method.srf is None else read_pair_response(method.srf, pair)
    optics = Optics(sensor.ms_mtf, sensor.pan_mtf, tuple(weights), response)
    base = base_of(method.name, method.weights) if method.adapter else None
    model = build(name, sampling, optics, base, pair.guide_bands)
    if model.card.guide_bands not in (None, pair.guide_bands):
        raise UsageError(
            f"{model.card.name} sharpens by {model.card.guide_bands} band{'s'[: model.card.guide_bands != 1]}, "
            f"PAN has {pair.guide_bands}",
            f"use one of --method {', '.join(each.name for each in CUBE_METHODS)}",
        )
    return model


def _consistent(
    model: FusionModel | SceneMethod, sensor: Sensor, pair: ScenePair, upsampler: str
) -> FusionModel | SceneMethod:
    """The model, corrected so that its results keep the MS."""
    return consistent(
        model, sampling_for(upsampler, pair.alignment.ratio, pair.alignment.mean_gsd_ratio), sensor.ms_mtf
    )


def _values(request: OutputRequest, pair: ScenePair) -> OutputValues:
    dtype = sample_type(request.dtype or str(np.result_type(*(file.dtype for file in pair.ms.files))))
    bit_depth = request.bit_depth or pair.ms.files[0].bit_depth
    return OutputValues.of(dtype, _nodata(request, pair, dtype), bit_depth)


def _nodata(request: OutputRequest, pair: ScenePair, dtype: str) -> float | None:
    """The user's, else the MS's, else the PAN's, if it fits; else NaN for floats, or 0 if a mask must be written."""
    files = (*pair.ms.files, *pair.pan.files)
    declared = [file.nodata for file in files if file.nodata is not None and can_hold(dtype, file.nodata)]
    if declared:
        return request.nodata_or(declared[0])
    if np.dtype(dtype).kind == "f":
        return request.nodata_or(float("nan"))
    masked = pair.left_out or any(file.masked for file in files) or pair.alignment.verdict is Verdict.WARP
    return request.nodata_or(0.0 if masked else None)


def _check_sensor(model: FusionModel | SceneMethod, sensor: Sensor) -> None:
    """Refuse weights of another sensor, whose bands mean something else, where both are known."""
    if not isinstance(model, Trained) or sensor.name in ANY_SENSOR:
        return
    known = (model.identity.sensor or "").split()
    if known and not (ANY_SENSOR | {sensor.name}).intersection(known):
        raise DataError(
            f"the weights were trained for {' and '.join(known)}, the scene is of {sensor.name}",
            f"choose weights for {sensor.name}, or insist with --sensor {known[0]}",
        )


def _product(
    request: FuseRequest, pair: ScenePair, values: OutputValues, model: FusionModel | SceneMethod, sensor: Sensor
) -> Product:
    ms = pair.ms.files
    kept = {k: v for k, v in ms[0].tags.items() if not k.startswith(("STATISTICS_", "TIFFTAG_", "FUSION_"))}
    coarse, fine = ("HSI", "MSI") if request.pair.cube else ("MS", "PAN")
    provenance = {
        "FUSION_SOFTWARE": f"fusioncli {__version__}",
        "FUSION_METHOD": model.card.name,
        "FUSION_SENSOR": sensor.name,
        "FUSION_UPSAMPLER": model.card.upsampler or request.method.upsampler,
        "FUSION_GRID": f"{pair.alignment.verdict}, ratio {pair.alignment.gsd_ratio[0]:.6g}",
        f"FUSION_{coarse}": " ".join(Path(file.path).name for file in ms),
        f"FUSION_{fine}": " ".join(Path(file.path).name for file in pair.pan.files),
    }
    if model.card.upsampler:  # it came with weights
        provenance["FUSION_WEIGHTS"] = model.card.origin
    if isinstance(model, SceneRefiner) and model.correction is not None:
        provenance["FUSION_CORRECTED"] = f"by MS through an MTF gain of {fmean(model.correction.gains):.2f}"
    if request.method.mtf_gain is not None:
        provenance["FUSION_MTF_GAIN"] = f"{sensor.ms_mtf[0]:.2f}"
    if request.method.consistent:
        provenance["FUSION_METHOD"] += ", consistent"
    return Product(
        grid=pair.output_grid,
        crs=pair.output_crs,
        bands=pair.all_bands,
        dtype=values.dtype,
        nodata=values.nodata,
        tags=kept | provenance,
        cog=request.output.cog,
        options=request.output.options,
        empty=pair.left_out,
    )


def _data_notes(pair: ScenePair, values: OutputValues) -> list[str]:
    ms, pan = pair.ms.files[0], pair.pan.files[0]
    notes = []
    if ms.dtype != pan.dtype:
        notes.append(f"MS is {ms.dtype} and PAN {pan.dtype}; the product is {values.dtype}")
    for name, layer in (("MS", pair.ms), ("PAN", pair.pan)):
        if not layer.files[0].masked and (share := layer.zero_share()) > _LIKELY_FILL:
            notes.append(f"{share:.1%} of {name} is 0 and no nodata is declared; if that is fill, add --src-nodata 0")
    if ms.striped or pan.striped:
        notes.append("an input is stored in long strips; a tiled copy (gdal_translate -co TILED=YES) reads faster")
    return notes
