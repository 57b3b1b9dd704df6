"""Open scenes, check that their patches belong together, and count those that are complete; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, combinations

import numpy as np

from fusioncli.core.sensors import find_sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError, UsageError
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import PatchLayout, PatchNumbers
from fusioncli.io.responses import read_responses
from fusioncli.io.scene import ScenePair
from fusioncli.workflows.coregister import open_registered
from fusioncli.workflows.evaluate.peak import STATED, Peak, find_peak
from fusioncli.workflows.evaluate.protocol import find_protocol
from fusioncli.workflows.plan import choose_sensor
from fusioncli.workflows.simulate.areas import Block, Cutting, blocks, split
from fusioncli.workflows.simulate.cube import CubeSource, find_protocol_name, open_cube
from fusioncli.workflows.simulate.pair import PairSource
from fusioncli.workflows.simulate.request import CubeRequest, PatchOutput, SceneRequest
from fusioncli.workflows.simulate.source import PatchSource
from fusioncli.workflows.workers import Progress, in_order


@dataclass(frozen=True)
class Share:
    """A block of a scene, and which of its patches are complete, row by row."""

    source: PatchSource
    block: Block
    complete: np.ndarray


@dataclass(frozen=True)
class SimulationPlan:
    """A job that has passed every check.

    Attributes:
        output: what to write.
        cutting: how patches are cut.
        sources: the scenes.
        training: blocks of training patches.
        validation: blocks of validation patches.
        threads: workers.
        notes: what the user should know.
    """

    output: PatchOutput
    cutting: Cutting
    sources: Sequence[PatchSource]
    training: Sequence[Share]
    validation: Sequence[Share]
    threads: int
    notes: tuple[str, ...]

    @cached_property
    def facts(self) -> PatchFacts:
        """What all scenes have in common, and where they come from."""
        every = [source.facts for source in self.sources]
        return replace(every[0], sources=tuple(dict.fromkeys(chain.from_iterable(facts.sources for facts in every))))

    def layout(self, shares: Sequence[Share]) -> PatchLayout:
        """Of the file that holds some blocks."""
        first, facts = self.sources[0], self.facts
        side, _ = self.cutting.in_cells(facts.ratio or 1)
        count = sum(int(share.complete.sum()) for share in shares)
        dtype = self.output.number_type([source.kind for source in self.sources])
        return PatchLayout(count, first.shapes(side), PatchNumbers(dtype, facts.value_max or 0.0), facts)

    @property
    def skipped(self) -> int:
        """Patches that lack data."""
        return sum(int((~share.complete).sum()) for share in chain(self.training, self.validation))


def plan_pairs(request: SceneRequest, progress: Progress) -> SimulationPlan:
    """Plan patches of MS/PAN pairs, or of hyperspectral cubes and the sharper images beside them.

    Raises:
        DataError: unusable files, pairs of different kinds, no complete patch.
        UsageError: unknown names, or a ratio that is not the pair's.
    """
    protocol, output = find_protocol(request.protocol), request.output
    output.check()
    sources, notes = [], []
    for files in request.pairs:
        pair, _ = open_registered(files, request.coregister)
        by = _cube_ratio(request, pair) if files.cube else None
        sensor, note = choose_sensor(request.sensor, pair)
        peak = find_peak(output.peak, pair.ms.files[0], None if files.cube else sensor)
        sources.append(PairSource(pair, sensor, protocol, peak.value, output.licence, by, files.cube))
        notes += [*pair.notes, note, _peak_note(peak)]
    return _plan(sources, request, notes, progress)


def _cube_ratio(request: SceneRequest, pair: ScenePair) -> int | None:
    """How far to degrade a cube alone; None where the pair has a ratio of its own."""
    own = pair.alignment.ratio
    if own == 1 and request.ratio is None:
        raise UsageError(
            "MS and PAN have pixels of one size, so that they do not say how far to degrade MS",
            "name the ratio: --ratio 4",
        )
    if own > 1 and request.ratio not in (None, own):
        raise UsageError(
            f"an MS pixel is {own} PAN pixels wide, --ratio is {request.ratio}",
            f"leave out --ratio, or give --ratio {own}",
        )
    return request.ratio if own == 1 else None


def plan_cubes(request: CubeRequest, progress: Progress) -> SimulationPlan:
    """Plan patches of hyperspectral scenes, whose MSI is computed.

    Raises:
        DataError: unusable files, scenes of different kinds, no complete patch.
        UsageError: unknown names.
    """
    protocol, output = find_protocol_name(request.protocol), request.output
    output.check()
    sources, notes = [], []
    for path in request.cubes:
        layer = open_cube(path, request.nodata)
        bands = sum(len(file.bands) for file in layer.files)
        sensor = find_sensor(request.sensor or "GENERIC").for_bands(bands)
        peak = find_peak(output.peak, layer.files[0], None)
        responses = read_responses(request.responses, bands)
        sources.append(CubeSource(layer, request.ratio, responses, sensor, protocol, peak.value, output.licence))
        notes += [sensor.note, _peak_note(peak)]
    return _plan(sources, request, notes, progress)


def _peak_note(peak: Peak) -> str:
    """A sentence, unless the user stated it."""
    return "" if peak.source == STATED else f"value_max is {peak.value:g} ({peak.source})"


def _plan(
    sources: Sequence[PatchSource], request: SceneRequest | CubeRequest, notes: Sequence[str], progress: Progress
) -> SimulationPlan:
    _check_alike(sources)
    if request.cutting.validation_share > 0:
        check_apart(sources)
    training, validation = [], []
    for source in sources:
        side, stride = request.cutting.in_cells(source.facts.ratio or 1)
        share = request.cutting.validation_share
        areas = split(source.cells, side, share, source.margin)
        training += shares_of(source, areas[0], (side, stride))
        validation += shares_of(source, areas[1], (side, side)) if areas[1] else []
    every = [*training, *validation]
    counted = list(in_order("checking", every, counted_share, request.threads, progress))
    cut = len(training)
    plan = SimulationPlan(
        request.output,
        request.cutting,
        sources,
        counted[:cut],
        counted[cut:],
        request.threads,
        tuple(dict.fromkeys(filter(None, notes))),
    )
    _check_counts(plan)
    skipped = f"{plan.skipped} patches that lack data are left out" if plan.skipped else ""
    return replace(plan, notes=(*plan.notes, *filter(None, [skipped])))


def shares_of(source: PatchSource, area: Rect, grid: tuple[int, int]) -> list[Share]:
    """The blocks of an area, patches of so many cells so many cells apart; as if no patch lacked data."""
    side, stride = grid
    return [Share(source, block, block.complete(None, 0)) for block in blocks(area, side, stride, source.block_side)]


def counted_share(share: Share) -> Share:
    """With the patches left out that lack data."""
    if not share.source.masked:
        return share
    valid = share.source.valid(share.block.rect)
    return replace(share, complete=share.block.complete(valid, share.source.margin))


def _check_alike(sources: Sequence[PatchSource]) -> None:
    """Patches of one file share bands, ratio, sensor and peak."""
    first = sources[0]
    for other in sources[1:]:
        for name in ("sensor", "ratio", "value_max"):
            mine, theirs = getattr(first.facts, name), getattr(other.facts, name)
            if mine != theirs:
                raise DataError(
                    f"{name} is {mine} for {first.facts.sources[0]} and {theirs} for {other.facts.sources[0]}",
                    "write a file of patches for each, or state --sensor and --data-range",
                )
        if first.shapes(1) != other.shapes(1):
            raise DataError(
                f"{first.facts.sources[0]} has {first.shapes(1)['gt'][0]} bands, "
                f"{other.facts.sources[0]} {other.shapes(1)['gt'][0]}",
                "write a file of patches for each",
            )


def check_apart(sources: Sequence[PatchSource]) -> None:
    """Ground that trains in one scene must not validate in another (DataError: two scenes overlap)."""
    for one, other in combinations(sources, 2):
        (x0, y0, x1, y1), (u0, v0, u1, v1) = one.ground.bounds, other.ground.bounds
        known = one.ground.georeferenced and other.ground.georeferenced and one.ground.crs == other.ground.crs
        if known and min(x1, u1) > max(x0, u0) and min(y1, v1) > max(y0, v0):
            raise DataError(
                f"{one.facts.sources[0]} and {other.facts.sources[0]} overlap on the ground, so that training and "
                "validation patches could show the same place",
                "take validation patches from scenes of other places, in a run of their own",
            )


def _check_counts(plan: SimulationPlan) -> None:
    shares = {"training": plan.training} | ({"validation": plan.validation} if plan.output.validation else {})
    for name, some in shares.items():
        if not any(share.complete.any() for share in some):
            raise DataError(
                f"no {name} patch of {plan.cutting.patch_px} px is complete ({plan.skipped} lack data)",
                "use a smaller --patch, or check nodata values and masks (`fusion info FILE`)",
            )
