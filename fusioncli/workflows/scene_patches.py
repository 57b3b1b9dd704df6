"""Patches of a user's own scenes, in memory: as a network will meet these scenes, one scale coarser.

Wald's protocol with the phase of georeferenced images: MS pixels are areas, degraded ones too. `lms` is made by the
upsampler that the network learned with, as it is when a scene is fused. So where that upsampler's own phase is another,
as that of `interp23tap` is by half a PAN pixel, learning from these patches takes the difference out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from torch import Tensor

from fusioncli.config.identity import Identity
from fusioncli.core.sensors import Sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.patch_arrays import Stack
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import PatchNumbers
from fusioncli.io.scene import PairRequest, ScenePair
from fusioncli.models.trained import check_fits, upsampler_of
from fusioncli.ops.sampling import CentredSampling, Sampling, sampling_for
from fusioncli.workflows.coregister import open_registered
from fusioncli.workflows.evaluate.protocol import CENTRED, EvalProtocol
from fusioncli.workflows.optics import softness_note
from fusioncli.workflows.plan import choose_sensor
from fusioncli.workflows.requests import MtfGain
from fusioncli.workflows.scene_windows import WindowCut, WindowedSet, cut_windows
from fusioncli.workflows.selfcheck import LEAST_CELLS
from fusioncli.workflows.simulate.areas import split
from fusioncli.workflows.simulate.pair import PairSource
from fusioncli.workflows.simulate.plan import Share, check_apart, counted_share, shares_of
from fusioncli.workflows.simulate.write import patches_of
from fusioncli.workflows.training_data import PatchSet, Samples
from fusioncli.workflows.workers import Progress, in_order

_VALIDATION_SHARE = 0.15
_FEW = 256  # training patches; a small scene is cut with overlap
_TRAINING_BYTES, _VALIDATION_BYTES = 256 * 2**20, 64 * 2**20


@dataclass(frozen=True)
class SceneCut:
    """How scenes are cut for a network.

    Attributes:
        identity: of the network's weights.
        name: of their file, for messages.
        patch_px: side of a patch on the grid of the truth, a multiple of the ratio.
        sensor: name of a sensor preset, None to guess, or the figures themselves.
        coregister: measure the shift between MS and PAN and take it out.
        seed: of what is left out of scenes that are larger than needed, and of the order.
        threads: workers.
        overlap: how many patches a pixel of a small scene lies in, along either axis.
        windows_px: side of windows of the training ground at full resolution, MS px; 0 for none.
        held_out: keep ground out of the training; else, for scenes without room, all of it trains and validates.
        mtf_gain: instead of the sensor's, where that is chosen here.
    """

    identity: Identity
    name: str
    patch_px: int
    sensor: str | Sensor | None = None
    coregister: bool = False
    seed: int = 0
    threads: int = 1
    overlap: int = 2
    windows_px: int = 0
    held_out: bool = True
    mtf_gain: MtfGain | None = None


@dataclass(frozen=True)
class ScenePatches:
    """What was cut.

    Attributes:
        training: patches to learn from.
        validation: patches of a strip of each scene, apart from those.
        windows: of the training ground at full resolution, None where there are none.
        gains: MTF gain of each MS band.
        notes: what the user should know.
    """

    training: PatchSet
    validation: PatchSet
    windows: Mapping[str, np.ndarray] | None
    gains: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def samples(self) -> Samples:
        """All that is learned from."""
        return self.training if self.windows is None else WindowedSet(self.training, self.windows)


def cut_scenes(pairs: Sequence[PairRequest], cut: SceneCut, progress: Progress) -> ScenePatches:
    """Read, degrade and cut scenes.

    Raises:
        DataError: unusable files, another number of bands or ratio than the network's, a scene that is too small or
            holds larger numbers than the network knows, no complete patch, or scenes that overlap.
        UsageError: unknown names.
    """
    sources, notes = _open(pairs, cut)
    check_apart(sources)
    side = cut.patch_px // cut.identity.ratio
    training, validation, ground = [], [], []
    for source in sources:
        learned, measured = _split(source, cut)
        ground.append((source, learned))
        training += _blocks(source, learned, side, cut.overlap)
        validation += shares_of(source, measured, (side, side))
    facts, ratio = _facts(sources), cut.identity.ratio
    training_images = _cut("training", _chosen(training, _TRAINING_BYTES, cut), cut, progress)
    validation_images = _cut("validation", _chosen(validation, _VALIDATION_BYTES, cut), cut, progress)
    return ScenePatches(
        PatchSet(training_images, facts, ratio, cut.seed, cut.patch_px),
        PatchSet(validation_images, facts, ratio, cut.seed, cut.patch_px),
        cut_windows(ground, _window_cut(cut), progress) if cut.windows_px else None,
        sources[0].sensor.ms_mtf,
        notes,
    )


def held_out(pair: ScenePair, sensor: Sensor, cut: SceneCut) -> Rect:
    """Where the validation patches of a scene lie: pixels of the degraded MS (DataError: it is too small)."""
    source = PairSource(pair, sensor, scene_protocol(upsampler_of(cut.identity)), cut.identity.value_max, "")
    return _split(source, cut)[1]


def roomy_side(pair: ScenePair, sensor: Sensor, upsampler: str, most: int) -> tuple[int, bool]:
    """Side of patches, in pixels of the degraded MS, at most so many, and whether it leaves ground to hold out.

    Raises:
        DataError: the scene is smaller than one such pixel.
    """
    source = PairSource(pair, sensor, scene_protocol(upsampler), 1.0, "")
    cells = source.cells
    for side in range(min(most, cells.height, cells.width), LEAST_CELLS - 1, -1):
        with suppress(DataError):
            split(cells, side, _VALIDATION_SHARE, source.margin)
            return side, True
    return min(most, cells.height, cells.width), False


def scene_protocol(upsampler: str) -> EvalProtocol:
    """Wald's protocol for georeferenced scenes, `lms` by some upsampler."""
    kind = _OwnPhase if sampling_for(upsampler, 2, 2.0).literal else EvalProtocol
    return kind(**{**vars(CENTRED), "upsampler": upsampler})


@dataclass(frozen=True)
class _OwnPhase(EvalProtocol):
    """A protocol whose upsampler has a phase of its own; only that."""

    def sampling(self, ratio: int, gsd_ratio: float) -> Sampling:
        """Down as georeferenced scenes are, up as the upsampler does."""
        return _Mixed(ratio, gsd_ratio, up=sampling_for(self.upsampler, ratio, gsd_ratio))


@dataclass(frozen=True, kw_only=True)
class _Mixed(CentredSampling):
    """Centred but for `upsample`."""

    up: Sampling

    def upsample(self, ms: Tensor) -> Tensor:
        return self.up.upsample(ms)

    def reach_px(self, *gains: float) -> int:
        widest = max((self.blur_reach_px(gain) for gain in gains), default=0)
        return self.up.reach_px() + widest


@dataclass(frozen=True)
class _Known(PatchNumbers):
    """The numbers that a network knows."""

    weights: str

    def check(self, name: str, measured: np.ndarray) -> None:
        """Refuse larger ones, with the figures (DataError)."""
        highest = float(measured.max(initial=0.0))
        if highest > self.value_max:
            raise DataError(
                f"{name} holds {highest:g}, {self.weights} was trained for digital numbers up to {self.value_max:g}",
                "choose a base for this bit depth (fusion weights ls), or scale MS and PAN to its range",
            )


def _open(pairs: Sequence[PairRequest], cut: SceneCut) -> tuple[list[PairSource], tuple[str, ...]]:
    """The scenes, each of which fits the network, and what the user should know of them."""
    protocol = scene_protocol(upsampler_of(cut.identity))
    sources, notes = [], []
    for files in pairs:
        pair, _ = open_registered(files, cut.coregister)
        check_fits(cut.identity, cut.name, (pair.bands, pair.guide_bands), pair.alignment.ratio)
        known = cut.sensor
        sensor, note = (known, "") if isinstance(known, Sensor) else choose_sensor(known, pair, cut.mtf_gain)
        sources.append(PairSource(pair, sensor, protocol, cut.identity.value_max, "", cube=files.cube))
        notes += [*pair.notes, note, "" if files.cube else softness_note(pair, sensor)]
    return sources, tuple(dict.fromkeys(filter(None, notes)))


def _split(source: PairSource, cut: SceneCut) -> tuple[Rect, Rect]:
    ratio, cells = cut.identity.ratio, source.cells
    if not cut.held_out:
        return cells, cells
    try:
        training, validation = split(cells, cut.patch_px // ratio, _VALIDATION_SHARE, source.margin)
    except DataError as error:
        needed = (2 * cut.patch_px + source.margin * ratio) * ratio
        have = f"{cells.height * ratio**2} x {cells.width * ratio**2}"
        raise DataError(
            f"{source.facts.sources[0]}: {have} PAN px are too few to cut patches of {cut.patch_px} px at the "
            f"resolution of the MS for training and validation; {needed} x {cut.patch_px * ratio} are needed",
            "use a larger scene, or fuse without learning from it",
        ) from error
    assert validation is not None
    return training, validation


def _blocks(source: PairSource, area: Rect, side: int, overlap: int) -> list[Share]:
    """Patches of an area; overlapping ones where there would be few."""
    few = (area.height // side) * (area.width // side) < _FEW
    return shares_of(source, area, (side, max(1, side // overlap) if few else side))


def _chosen(shares: Sequence[Share], limit: int, cut: SceneCut) -> list[Share]:
    """Blocks drawn at random until the memory is full, in their order."""
    if not shares:
        return []
    samples = sum(np.prod(shape) for shape in shares[0].source.shapes(cut.patch_px // cut.identity.ratio).values())
    order = np.random.default_rng(cut.seed).permutation(len(shares))
    held = np.cumsum([len(shares[place].complete) for place in order]) * int(samples) * 4
    return [shares[place] for place in sorted(order[: max(1, int((held <= limit).sum()))].tolist())]


def _cut(name: str, shares: Sequence[Share], cut: SceneCut, progress: Progress) -> dict[str, Stack]:
    """The complete patches of some blocks, DN."""
    counted = in_order(f"checking {name}", shares, counted_share, cut.threads, progress)
    complete = [share for share in counted if share.complete.any()]
    if not complete:
        raise DataError(
            f"no {name} patch of {cut.patch_px} px at the resolution of the MS is complete",
            "check nodata values and masks (`fusion info FILE`), or use a larger scene",
        )
    bound = inf if cut.identity.model().options.any_values else cut.identity.value_max
    numbers = _Known("float32", bound, cut.name)
    work = in_order(f"cutting {name}", complete, lambda share: patches_of(share, numbers), cut.threads, progress)
    found = list(work)
    return {key: Stack(tuple(images[key].astype(np.float32) for images in found)) for key in found[0]}


def _window_cut(cut: SceneCut) -> WindowCut:
    identity = cut.identity
    sampling = sampling_for(upsampler_of(identity), identity.ratio, identity.ratio)
    return WindowCut(identity.model().inputs, cut.windows_px, sampling, cut.seed, cut.threads)


def _facts(sources: Sequence[PairSource]) -> PatchFacts:
    every = [source.facts for source in sources]
    sensors = dict.fromkeys(facts.sensor for facts in every)
    files = dict.fromkeys(name for facts in every for name in facts.sources)
    return replace(every[0], sensor=" ".join(sensors), sources=tuple(files))
