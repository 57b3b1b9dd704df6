"""A hyperspectral scene as both inputs: made coarser for the HSI, seen through spectral responses for the MSI."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fusioncli import __version__
from fusioncli.core.grid import Grid
from fusioncli.core.rects import finer
from fusioncli.core.sensors import Sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import UsageError
from fusioncli.io.cave import open_cave
from fusioncli.io.layer import Layer
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import Images, PatchNumbers, Shapes
from fusioncli.io.raster import describe
from fusioncli.ops.sampling import Sampling
from fusioncli.ops.toolbox import filter2d
from fusioncli.workflows.evaluate.protocol import CENTRED, PROTOCOLS, TOOLBOX, EvalProtocol
from fusioncli.workflows.simulate.source import array, batch, source_name

UESTC = "uestc"
"""Gaussian of 3 x 3 px, sigma 0.5, then px floor(r/2) of every r, after the CAVE and Harvard patches of PSRT and BDT.

Their phase is not published; this one goes with `interp23tap`.
"""
_UESTC_SIGMA_PX = 0.5
_BLOCK_SAMPLES = 8 * 384 * 384  # of the truth


@dataclass(frozen=True)
class CubeSource:
    """A hyperspectral scene that is degraded on the fly.

    Attributes:
        layer: the scene.
        ratio: truth pixels per HSI pixel.
        responses: (MSI bands, HSI bands), rows of sum 1.
        sensor: figures for its bands.
        protocol: "centred", "toolbox" or "uestc".
        value_max: DN that is mapped to 1.
        licence: of the imagery.
    """

    layer: Layer
    ratio: int
    responses: np.ndarray
    sensor: Sensor
    protocol: str
    value_max: float
    licence: str

    @property
    def facts(self) -> PatchFacts:
        """Everything."""
        return PatchFacts(
            sensor=self.sensor.name,
            value_max=self.value_max,
            ratio=self.ratio,
            upsampler=self._filters.upsampler,
            phase=float(self.ratio // 2) if self._filters.literal else (self.ratio - 1) / 2,
            protocol=self.protocol,
            bands=tuple(band.name or "" for file in self.layer.files for band in file.bands),
            sources=tuple(source_name(file.path) for file in self.layer.files),
            licence=self.licence,
            version=f"fusioncli {__version__}",
        )

    @property
    def kind(self) -> str:
        """Of the scene."""
        return str(np.result_type(*(file.dtype for file in self.layer.files)))

    @property
    def ground(self) -> Grid:
        """Of the scene."""
        return self.layer.files[0].grid

    @property
    def masked(self) -> bool:
        """Whether the scene has gaps."""
        return self.layer.masked

    @property
    def cells(self) -> Rect:
        """HSI pixels that lie wholly in the scene."""
        height, width = self.layer.shape
        return Rect(0, 0, height // self.ratio, width // self.ratio)

    @property
    def margin(self) -> int:
        """Reach of the interpolation behind that of the blur."""
        blur_px = 1 if self.protocol == UESTC else max(map(self._sampling.blur_reach_px, self.sensor.ms_mtf))
        return -(-self._sampling.reach_px() // self.ratio) + -(-blur_px // self.ratio)

    @property
    def block_side(self) -> int:
        """Smaller for many bands."""
        return int((_BLOCK_SAMPLES / self.responses.shape[1]) ** 0.5) // self.ratio

    def shapes(self, side: int) -> Shapes:
        """Truth, HSI, MSI, and the HSI on the grid of the truth."""
        (few, many), fine = self.responses.shape, side * self.ratio
        return {
            "gt": (many, fine, fine),
            "hsi": (many, side, side),
            "msi": (few, fine, fine),
            "hsi_up": (many, fine, fine),
        }

    def valid(self, rect: Rect) -> np.ndarray | None:
        """Where all bands hold data."""
        valid = self.layer.read(finer(rect.grow(self.margin), self.ratio))[1]
        if valid is None:
            return None
        _, height, width = valid.shape
        cells = valid.reshape(-1, height // self.ratio, self.ratio, width // self.ratio, self.ratio)
        return np.asarray(cells.all((0, 2, 4)))

    def images(self, rect: Rect, numbers: PatchNumbers) -> Images:
        """Truth, HSI, MSI, and the HSI on the grid of the truth."""
        window = rect.grow(self.margin)
        core, fine = rect.slices(window), finer(rect, self.ratio).slices(finer(window, self.ratio))
        truth = batch(*self.layer.read(finer(window, self.ratio)), torch.float32)
        low, gt = self._degrade(truth), array(truth, *fine)
        numbers.check("the scene", gt)
        return {
            "gt": gt,
            "hsi": array(low, *core),
            "msi": np.tensordot(self.responses.astype(np.float32), gt, 1),
            "hsi_up": array(self._sampling.upsample(low), *fine),
        }

    @property
    def _filters(self) -> EvalProtocol:
        return TOOLBOX if self.protocol == UESTC else PROTOCOLS[self.protocol]

    @property
    def _sampling(self) -> Sampling:
        return self._filters.sampling(self.ratio, self.ratio)

    def _degrade(self, truth: Tensor) -> Tensor:
        if self.protocol != UESTC:
            return self._sampling.degrade(truth, self.sensor.ms_mtf)
        taps = np.exp(-0.5 * (np.arange(-1, 2) / _UESTC_SIGMA_PX) ** 2)
        return filter2d(truth, np.outer(taps, taps) / taps.sum() ** 2, every=self.ratio)


def open_cube(path: str, nodata: float | None) -> Layer:
    """A raster file of many bands, or the folder of a CAVE scene.

    Raises:
        DataError: neither, or damaged.
    """
    return open_cave(Path(path)) if Path(path).is_dir() else Layer((describe(path, nodata),))


def find_protocol_name(name: str) -> str:
    """A protocol for cubes (UsageError when there is none of that name)."""
    if name.lower() not in (names := (CENTRED.name, TOOLBOX.name, UESTC)):
        raise UsageError(f"no protocol for cubes is called '{name}'", f"choose one of --protocol {', '.join(names)}")
    return name.lower()
