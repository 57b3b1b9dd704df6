"""Scenes that a recipe draws: once, before training, into memory; the same patches as `fusion simulate` would write."""

from __future__ import annotations

from weakref import WeakValueDictionary

import numpy as np
import torch

from fusioncli.config.data import Synthetic
from fusioncli.config.recipe import Recipe
from fusioncli.core.sensors import find_sensor
from fusioncli.errors import UsageError
from fusioncli.io.patch_arrays import Stack
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import PatchNumbers
from fusioncli.workflows.evaluate.protocol import CENTRED, PROTOCOLS
from fusioncli.workflows.memory import available_cores
from fusioncli.workflows.simulate.areas import Cutting
from fusioncli.workflows.simulate.drawing import Drawing, DrawingRequest, bands_and_ratio, draw_scenes, plan_drawing
from fusioncli.workflows.training_data import PatchSet, check_memory
from fusioncli.workflows.workers import Progress

_SCENE_PX = 512  # about: a scene holds as many whole patches as fit
_COLOURS = 3
_DRAWN: WeakValueDictionary[tuple[DrawingRequest, int, str], Stack] = WeakValueDictionary()
"""What is in memory: the stages of a run share their scenes."""


def draw_patches(recipe: Recipe, source: Synthetic, progress: Progress) -> PatchSet:
    """Patches of MS/PAN pairs.

    Raises:
        DataError: they do not fit the memory.
        UsageError: unknown sensors, or sensors that do not fit the recipe or each other.
    """
    _check_sensors(recipe, source)
    drawing = _plan(recipe, source, recipe.data.patch_px)
    return _patch_set(recipe, _draw(drawing, source.scenes, ("gt", *recipe.model.inputs), progress), drawing)


def _check_sensors(recipe: Recipe, source: Synthetic) -> None:
    if not source.sensors:
        return
    model, names = recipe.model, " and ".join(source.sensors)
    found = bands_and_ratio([find_sensor(name) for name in source.sensors])
    for what, ours, theirs in zip(("bands", "ratio"), (model.bands, model.ratio), found, strict=True):
        if ours != theirs:
            raise UsageError(
                f"scenes of {names} have {what} {theirs}, the recipe's model.{what} is {ours}",
                f"--set model.{what}={theirs}, or draw for other sensors",
            )


def draw_pictures(recipe: Recipe, source: Synthetic, progress: Progress) -> PatchSet:
    """Patches of three bands of each scene, in an order that the seed gives: `gt` only.

    Raises:
        DataError: they do not fit the memory.
        UsageError: unknown sensors, or sensors that do not fit each other.
    """
    bands, ratio = _COLOURS, 2
    if source.sensors:
        bands, ratio = bands_and_ratio([find_sensor(name) for name in source.sensors])
    drawing = _plan(recipe, source, -(-recipe.data.patch_px // ratio) * ratio)
    scenes = _draw(drawing, source.scenes, ("gt",), progress)["gt"].parts
    rngs = [np.random.default_rng([source.seed, number, _COLOURS]) for number in range(len(scenes))]
    chosen = (scene[:, rng.permutation(bands)[:_COLOURS]] for scene, rng in zip(scenes, rngs, strict=True))
    return _patch_set(recipe, {"gt": Stack(tuple(chosen))}, drawing)


def _plan(recipe: Recipe, source: Synthetic, side_px: int) -> Drawing:
    upsampler = recipe.data.upsampler or CENTRED.upsampler
    protocols = {protocol.upsampler: name for name, protocol in PROTOCOLS.items()}
    if upsampler not in protocols:
        raise UsageError(
            f"data.upsampler is {upsampler}; drawn scenes are interpolated with {' or '.join(protocols)}",
            "leave data.upsampler out, or write patch files",
        )
    request = DrawingRequest(
        size_px=side_px * max(1, _SCENE_PX // side_px),
        sensors=source.sensors,
        random_bands=0 if source.sensors else max(recipe.model.bands, _COLOURS),
        ratio=max(recipe.model.ratio, 2),
        misregistration_px=source.misregistration_px,
        seed=source.seed,
        cutting=Cutting(side_px, side_px),
        protocol=protocols[upsampler],
        value_max=recipe.data.value_max,
    )
    return plan_drawing(request)


def _draw(drawing: Drawing, scenes: int, names: tuple[str, ...], progress: Progress) -> dict[str, Stack]:
    """Some images of all scenes, as a file would hold them; those that are in memory already are not drawn again."""
    known = {name: stack for name in names if (stack := _DRAWN.get((drawing.request, scenes, name))) is not None}
    if len(known) == len(names):
        return known
    numbers = PatchNumbers("uint16", drawing.value_max)
    samples = sum(int(np.prod(drawing.shapes[name])) for name in names) * len(drawing.patches) * scenes
    check_memory(2 * samples, f"a number of {scenes} drawn scenes")
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    threads = torch.get_num_threads()
    for images in draw_scenes(drawing, range(scenes), available_cores(), "drawing scenes", progress):
        for name, some in parts.items():
            some.append(numbers.store(images[name]))
    torch.set_num_threads(threads)  # drawing leaves one
    stacks = {name: Stack(tuple(some)) for name, some in parts.items()}
    _DRAWN.update({(drawing.request, scenes, name): stack for name, stack in stacks.items()})
    return stacks


def _patch_set(recipe: Recipe, stacks: dict[str, Stack], drawing: Drawing) -> PatchSet:
    data, drawn = recipe.data, drawing.facts
    facts = PatchFacts(
        value_max=drawn.value_max,
        sensor=data.sensor or drawn.sensor,
        upsampler=drawn.upsampler,
        phase=drawn.phase,
        licence=recipe.licence or drawn.licence,
    )
    return PatchSet(stacks, facts, recipe.model.ratio, recipe.training.seed, data.patch_px, data.augment)
