"""Fused images to measure, made on the spot by the methods of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fusioncli.core.sensors import Sensor
from fusioncli.core.values import OutputValues
from fusioncli.io.layer import Layer
from fusioncli.io.product import Product
from fusioncli.io.scene import PairRequest, ScenePair
from fusioncli.models.catalogue import AUTO, METHODS, Method, find_method
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import FusionModel, SceneMethod
from fusioncli.models.registry import build
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.auto import elect
from fusioncli.workflows.evaluate.measure import Figures
from fusioncli.workflows.evaluate.protocol import EvalProtocol
from fusioncli.workflows.evaluate.views import open_layer
from fusioncli.workflows.export import UNCOMPRESSED
from fusioncli.workflows.fuse import run_fusion
from fusioncli.workflows.memory import Resources
from fusioncli.workflows.optics import by_shown_gain
from fusioncli.workflows.plan import FusePlan, cut_scene
from fusioncli.workflows.requests import FuseRequest, MethodRequest, OutputRequest
from fusioncli.workflows.selfcheck import compare
from fusioncli.workflows.workers import Progress


def method_names(asked: Sequence[str], catalogue: Sequence[Method] = METHODS, auto: str = AUTO) -> tuple[str, ...]:
    """Names as the catalogue spells them, each once; all of it when none is asked for.

    Args:
        asked: by the user.
        catalogue: what is taken when nothing is asked for.
        auto: stands for "auto".

    Raises:
        UsageError: unknown name.
    """
    names = (auto if name.lower() == AUTO else find_method(name).name for name in asked)
    return tuple(dict.fromkeys(names)) or tuple(method.name for method in catalogue)


@dataclass(frozen=True)
class Fuser:
    """A pair and how it is fused, whatever the method.

    Attributes:
        pair: the aligned scene.
        sensor: figures for its bands.
        protocol: decides the sampling and the type of the samples.
        resources: threads, memory, device.
        folder: where the fused images are kept while they are measured.
        progress: told about every finished step.
        gain_told: whether the user told the sensor's gains, so that no others are looked for.
    """

    pair: ScenePair
    sensor: Sensor
    protocol: EvalProtocol
    resources: Resources
    folder: Path
    progress: Progress
    gain_told: bool = False

    @property
    def sampling(self) -> Sampling:
        """Operators between the grids of the pair."""
        alignment = self.pair.alignment
        return self.protocol.sampling(alignment.ratio, alignment.mean_gsd_ratio)

    def measure(self, methods: Sequence[str], look: Callable[[Layer], Figures]) -> tuple[dict[str, Figures], list[str]]:
        """Figures of what each method makes of the pair, and what "auto" took if it is among them.

        Raises:
            DataError: as `fused`.
        """
        rows, reasons = {}, []
        for name in methods:
            method = name
            if name == AUTO:
                method, why = elect(self.pair, self.sensor, self.protocol.upsampler, self._model, compare)
                reasons.append(f"auto: {why}")
            with self.fused(method) as image:
                rows[name] = look(image)
        return rows, reasons

    @contextmanager
    def fused(self, method: str) -> Iterator[Layer]:
        """The image of one method, in float and neither clipped nor rounded; its file is gone afterwards.

        Raises:
            DataError: as `run_fusion`, or the scene does not fit the memory.
        """
        path = self.folder / f"{Path(method).stem}.tif"  # a method may be a file of weights
        try:
            run_fusion(self._plan(method, path), self.progress)
            yield open_layer(str(path))
        finally:
            path.unlink(missing_ok=True)

    def _plan(self, method: str, path: Path) -> FusePlan:
        pair, dtype, model = self.pair, self.protocol.dtype, self._model(method)
        if not self.gain_told:
            model, _ = by_shown_gain(model, self.sensor, pair)
        tiling, budget = cut_scene(pair, model, dtype, self.resources)
        values = OutputValues.of(dtype, float("nan") if pair.masked else None)
        bands = tuple(band for file in pair.ms.files for band in file.bands)
        return FusePlan(
            FuseRequest(
                PairRequest(tuple(file.path for file in pair.ms.files), pair.pan.files[0].path),
                OutputRequest(path, overwrite=True, dtype=dtype, cog=False, options=UNCOMPRESSED),
                MethodRequest(method, self.sensor.name, self.protocol.upsampler),
                self.resources,
            ),
            pair,
            None,
            self.sensor,
            model,
            tiling,
            budget,
            values,
            Product(pair.output_grid, pair.output_crs, bands, dtype, values.nodata, {}, False, UNCOMPRESSED),
            (),
        )

    def _model(self, method: str) -> FusionModel | SceneMethod:
        optics = Optics(self.sensor.ms_mtf, self.sensor.pan_mtf, self.sensor.pan_weights)
        return build(method, self.sampling, optics, guide_bands=self.pair.guide_bands)
