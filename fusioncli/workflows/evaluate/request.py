"""What a user asks of `fusion eval`, as data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.scene import PairRequest
from fusioncli.metrics.suites import SuiteSettings
from fusioncli.workflows.evaluate.measure import Yardstick
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.evaluate.protocol import CENTRED, EvalProtocol
from fusioncli.workflows.evaluate.report import software
from fusioncli.workflows.memory import Resources, available_cores
from fusioncli.workflows.requests import MtfGain
from fusioncli.workflows.workers import Progress

_FIXED_MB = 420  # interpreter, torch and GDAL before any pixel
_COPIES = 6  # float64 copies of each band, and of PAN, that live at once


@dataclass(frozen=True)
class EvalSettings:
    """How images are measured.

    Attributes:
        protocol: how they are lowered, raised and cut.
        border_px: frame to cut, or None for the protocol's.
        peak: largest value of the data, or None to take it from the file or the sensor.
        scale: factor on every value before measuring: 10000 turns reflectance into digital numbers. None for 1, or for
            one over the peak where the convention is images of peak 1.
        tile_px: report mean and deviation over tiles of this side as well.
        resources: threads and memory.
    """

    protocol: EvalProtocol = CENTRED
    border_px: int | None = None
    peak: Peak | None = None
    scale: float | None = None
    tile_px: int | None = None
    resources: Resources = field(default_factory=Resources)

    @property
    def factor(self) -> float:
        """The scale, 1 if none is given."""
        return 1.0 if self.scale is None else self.scale

    def in_unit(self, peak: Peak) -> EvalSettings:
        """These settings where images are brought to peak 1 unless a scale is given."""
        return replace(self, scale=1 / peak.value) if self.scale is None else self

    def border(self, with_reference: bool) -> int:
        """The frame to cut; without a reference the protocols cut none."""
        default = self.protocol.border_px if with_reference else 0
        return default if self.border_px is None else self.border_px

    def check_memory(self, bands: int, scene: Rect) -> None:
        """Refuse a scene that the protocol must hold whole and that does not fit (DataError)."""
        if not self.protocol.literal:
            return
        need_mb = _FIXED_MB + scene.height * scene.width * (_COPIES * bands + _COPIES) * 8 / 1e6
        if need_mb > self.resources.mem_limit_mb:
            raise DataError(
                f"the toolbox protocol holds the scene whole, which takes about {need_mb:.0f} MB; "
                f"the limit is {self.resources.mem_limit_mb} MB",
                f"pass --mem-limit {int(need_mb * 1.1)}, or --protocol centred, which streams",
            )

    def yardstick(self, suite: str, ratio: int, peak: Peak, progress: Progress) -> Yardstick:
        """A suite, told what it needs."""
        threads = self.resources.threads or available_cores()
        return Yardstick(suite, SuiteSettings(ratio, peak.value * self.factor), threads, self.tile_px, progress)

    def facts(self, mode: str, ratio: int, border_px: int, peak: Peak) -> dict[str, Any]:
        """Mode, protocol and everything else that shapes a figure, in the words of `--json`."""
        return {
            "mode": mode,
            "protocol": self.protocol.name,
            "ratio": ratio,
            "phase": self.protocol.phase(ratio),
            "kernel": self.protocol.kernel,
            "edges": self.protocol.edges,
            "border_px": border_px,
            "data_range": peak.value * self.factor,
            "scale": self.factor,
            "tile_px": self.tile_px,
            "versions": software(),
        }


@dataclass(frozen=True)
class PairEvaluation:
    """A pair, and what is measured on it.

    Attributes:
        pair: the files.
        sensor: name of a sensor preset, or None to guess.
        methods: names of fusion methods, or () for the whole catalogue.
        fused: images of the pair that were fused before; measured instead of methods.
        settings: how.
        mtf_gain: instead of the sensor's.
    """

    pair: PairRequest
    sensor: str | None = None
    methods: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    settings: EvalSettings = field(default_factory=EvalSettings)
    mtf_gain: MtfGain | None = None


@dataclass(frozen=True)
class ReferenceEvaluation:
    """Images and the truth that they are compared with.

    Attributes:
        reference: the truth.
        fused: the images.
        ratio: of the fusion that made them, for ERGAS; None for 4.
        suite: "reduced-resolution" or "hyperspectral".
        nodata: value of missing pixels, instead of what files declare.
        settings: how.
    """

    reference: str
    fused: tuple[str, ...]
    ratio: int | None = None
    suite: str = "reduced-resolution"
    nodata: float | None = None
    settings: EvalSettings = field(default_factory=EvalSettings)


@dataclass(frozen=True)
class PatchEvaluation:
    """Test patches, and what is measured on them.

    Attributes:
        data: an .h5 or .mat file, or a folder of them.
        full_resolution: measure without reference even where the truth is known.
        sensor: name of a sensor preset, or None to guess.
        methods: names of fusion methods, or () for the whole catalogue.
        fused: files or folders of results, one `sr` per sample; measured instead of methods.
        settings: how.
    """

    data: str
    full_resolution: bool = False
    sensor: str | None = None
    methods: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    settings: EvalSettings = field(default_factory=EvalSettings)


@dataclass(frozen=True)
class CubeEvaluation:
    """A hyperspectral cube and its sharper companion.

    Attributes:
        hsi: the hyperspectral file.
        msi: the multispectral file, which says how far to degrade.
        sensor: name of the cube's sensor preset, or None to guess.
        nodata: value of missing pixels, instead of what files declare.
        methods: names of fusion methods, or () for all that sharpen cubes.
        ratio: how far to degrade the cube where both files share their pixels.
        settings: how.
    """

    hsi: str
    msi: str
    sensor: str | None = None
    nodata: float | None = None
    methods: tuple[str, ...] = ()
    ratio: int | None = None
    settings: EvalSettings = field(default_factory=EvalSettings)
