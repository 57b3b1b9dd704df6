"""Drawn scenes and their patches: unlimited, without licences, and with the truth at full resolution.

Why not Wald's protocol on the drawn pair: it would throw away all but one part in ratio² of every scene, and train at
the scale of the MS. The truth here is what the MS sensor would record with pixels of the size of the PAN's, which is
what Wald asks of a fused image; it is free of noise, so that no network learns to add any.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import torch

from fusioncli import __version__
from fusioncli.core.sensors import Sensor, find_sensor
from fusioncli.core.synthetic.cameras import NAME, random_sensor
from fusioncli.core.synthetic.imaging import responses
from fusioncli.core.synthetic.shots import Framing, shoot
from fusioncli.core.tiling import Rect
from fusioncli.errors import UsageError
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import Images, Shapes
from fusioncli.workflows.evaluate.protocol import EvalProtocol, find_protocol
from fusioncli.workflows.simulate.areas import Cutting, blocks, cut
from fusioncli.workflows.workers import Progress, in_order

LICENCE = "CC0-1.0 (drawn by fusioncli; no imagery)"
_RANDOM_BIT_DEPTH = 12


@dataclass(frozen=True)
class DrawingRequest:
    """Which scenes are drawn, and how they are cut.

    Attributes:
        size_px: side of a scene, PAN px.
        sensors: names of presets, used in turn.
        random_bands: draw another sensor of so many bands for every scene; 0 for the named ones.
        ratio: of random sensors.
        seed: equal seeds draw equal scenes, on any number of processes.
        misregistration_px: MS and PAN are at most so far apart, PAN px.
        cutting: how patches are cut.
        protocol: "centred" or "toolbox"; decides where MS samples lie and how they are interpolated.
        value_max: DN that is mapped to 1, or None for the largest of the sensors.
    """

    size_px: int = 512
    sensors: Sequence[str] = ("GENERIC",)
    random_bands: int = 0
    ratio: int = 4
    seed: int = 0
    misregistration_px: float = 0.0
    cutting: Cutting = field(default_factory=Cutting)
    protocol: str = "centred"
    value_max: float | None = None


@dataclass(frozen=True)
class Drawing:
    """Any number of scenes that have passed every check; each is a pure function of the seed and its number.

    Attributes:
        request: what was asked.
        protocol: phase and interpolation.
        sensors: used in turn; () for random ones.
        ratio: PAN pixels per MS pixel.
        bands: of the MS.
        value_max: DN that is mapped to 1.
    """

    request: DrawingRequest
    protocol: EvalProtocol
    sensors: tuple[Sensor, ...]
    ratio: int
    bands: int
    value_max: float

    @property
    def facts(self) -> PatchFacts:
        """What a patch file says about drawn scenes, but for how many there are."""
        return PatchFacts(
            sensor=" ".join(sensor.name for sensor in self.sensors) or NAME,
            value_max=self.value_max,
            ratio=self.ratio,
            upsampler=self.protocol.upsampler,
            phase=float(self.ratio // 2) if self.protocol.literal else (self.ratio - 1) / 2,
            protocol=f"drawn, {self.protocol.name}",
            bands=self.sensors[0].bands if len(self.sensors) == 1 else (),
            licence=LICENCE,
            version=f"fusioncli {__version__}",
        )

    @property
    def shapes(self) -> Shapes:
        """Of the images of a patch."""
        side, fine, bands = self._cells[0], self.request.cutting.patch_px, self.bands
        truth = bands, fine, fine
        return {"gt": truth, "ms": (bands, side, side), "lms": truth, "pan": (1, fine, fine)}

    @property
    def patches(self) -> list[Rect]:
        """Of every scene, in MS px."""
        (side, stride), size = self._cells, self.request.size_px // self.ratio
        area = Rect(0, 0, size, size)
        return [patch for block in blocks(area, side, stride, size) for patch in block.patches]

    @property
    def _cells(self) -> tuple[int, int]:
        return self.request.cutting.in_cells(self.ratio)

    def draw(self, number: int) -> Images:
        """The patches of one scene, (n, bands, h, w) each; a pure function of the seed and the number."""
        torch.set_num_threads(1)
        rng, size = np.random.default_rng([self.request.seed, number]), self.request.size_px
        sensor = self.sensors[number % len(self.sensors)] if self.sensors else self._random(rng)
        sampling = self.protocol.sampling(self.ratio, self.ratio)
        border = -(-sampling.reach_px() // self.ratio) * self.ratio  # interpolation is wrong in it
        centre, sampled = (self.ratio - 1) / 2, self.facts.phase or 0.0
        whole = size + 2 * border
        framing = Framing(whole, whole, sampled - centre, self.request.misregistration_px, coarse=not self.sensors)
        shot = shoot(rng, sensor, framing)
        scale = self.value_max / (2**sensor.bit_depth - 1)
        ms = np.rint(shot.ms * scale)
        lms = sampling.upsample(torch.from_numpy(ms)[None].to(getattr(torch, self.protocol.dtype)))[0].numpy()
        around = Rect(0, 0, whole // self.ratio, whole // self.ratio)
        first = border // self.ratio
        images = {"gt": shot.truth * scale, "ms": ms, "lms": lms, "pan": shot.pan * scale}
        return {
            name: np.stack([cut(image, around, patch.shift(first, first)) for patch in self.patches])
            for name, image in images.items()
        }

    def _random(self, rng: np.random.Generator) -> Sensor:
        return random_sensor(rng, self.bands, self.ratio)


def plan_drawing(request: DrawingRequest) -> Drawing:
    """Check everything that can be checked before a scene is drawn.

    Raises:
        UsageError: unknown or unfit sensors, or sizes that do not fit.
    """
    protocol, sensors = find_protocol(request.protocol), ()
    bands, ratio, bit_depth = request.random_bands, request.ratio, _RANDOM_BIT_DEPTH
    if not request.random_bands:
        sensors = tuple(map(find_sensor, request.sensors))
        bands, ratio = bands_and_ratio(sensors)
        bit_depth = max(sensor.bit_depth for sensor in sensors)
    drawing = Drawing(request, protocol, sensors, ratio, bands, request.value_max or 2.0**bit_depth - 1)
    protocol.sampling(ratio, ratio)
    if request.size_px % ratio or not drawing.patches:
        raise UsageError(
            f"a scene of {request.size_px} px does not hold patches of {request.cutting.patch_px} px at ratio {ratio}",
            f"give --size as a multiple of {ratio}, at least --patch",
        )
    return drawing


def bands_and_ratio(sensors: Sequence[Sensor]) -> tuple[int, int]:
    """MS bands and ratio, which patches of one file share (UsageError: they do not, or pass bands are unknown)."""
    for sensor in sensors:
        if not sensor.bands:
            raise UsageError(
                f"the pass bands of {sensor.title} are not known", "name a sensor with bands, or use --random-sensors"
            )
        responses((*sensor.ranges_nm, sensor.pan_nm))
    kinds = {(len(sensor.bands), round(sensor.ratio)): sensor.name for sensor in sensors}
    if len(kinds) > 1:
        texts = [f"{name} has {bands} bands at ratio {ratio}" for (bands, ratio), name in kinds.items()]
        raise UsageError("; ".join(texts), "patches of one file share bands and ratio; write one file for each")
    return next(iter(kinds))


def draw_scenes(drawing: Drawing, numbers: range, processes: int, stage: str, progress: Progress) -> Iterator[Images]:
    """The patches of some scenes, in order. Drawing holds Python's lock, so that several processes draw.

    Args:
        drawing: the scenes.
        numbers: of those that are wanted.
        processes: that draw at a time.
        stage: name for the progress.
        progress: told after every scene.
    """
    processes = min(processes, len(numbers))
    with ExitStack() as stack:
        draw = drawing.draw
        if processes > 1:
            pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            draw = lambda number: pool.submit(drawing.draw, number).result()  # noqa: E731
        yield from in_order(stage, numbers, draw, processes, progress)
