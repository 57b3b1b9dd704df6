"""From the files that a recipe names to patches, with everything checked that could spoil a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusioncli.config.recipe import Recipe, Synthetic
from fusioncli.errors import DataError, UsageError
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patches import PatchFile, open_patches
from fusioncli.workflows.training_data import PAN_NAMES, PatchSet, load_patches


def open_training(recipe: Recipe) -> PatchSet:
    """The patches that a recipe trains on.

    Raises:
        DataError: files are missing, damaged, empty, or do not fit the recipe or each other.
        UsageError: nobody states `value_max`.
    """
    found = _open(recipe, recipe.data.train, "data.train")
    side = min(found.stacks["gt"].shape[-2:])
    if side < recipe.data.patch_px:
        raise DataError(
            f"data.patch_px is {recipe.data.patch_px}, the patches of data.train are {side} px",
            f"--set data.patch_px={side}, or cut larger patches with fusion simulate",
        )
    return found


def open_validation(recipe: Recipe, training: PatchSet) -> PatchSet | None:
    """The patches that a recipe validates on, whole; None if it names none.

    Raises:
        DataError: as `open_training`, or they differ from the training patches in what a network depends on.
    """
    if not recipe.data.validation:
        return None
    found = _open(recipe, recipe.data.validation, "data.validation")
    for what in ("value_max", "upsampler", "sensor"):
        ours, theirs = getattr(training.facts, what), getattr(found.facts, what)
        if ours != theirs:
            raise DataError(
                f"training patches have {what} {ours or 'unknown'}, validation patches {theirs or 'unknown'}",
                "make both by one call of fusion simulate",
            )
    return found


def _open(recipe: Recipe, source: Synthetic | Sequence[str], setting: str) -> PatchSet:
    if isinstance(source, Synthetic):
        raise UsageError(f"{setting} draws scenes, which is not offered yet", "write them with fusion simulate first")
    files = [file for path in source for file in open_patches(Path(path), PAN_NAMES)]
    facts = _common_facts(recipe, files)
    for file in files:
        _check_shapes(recipe, file)
    stacks = load_patches(files, PAN_NAMES, facts)
    data, seed = recipe.data, recipe.training.seed
    return PatchSet(stacks, facts, recipe.model.ratio, seed, data.patch_px, data.augment)


def _common_facts(recipe: Recipe, files: Sequence[PatchFile]) -> PatchFacts:
    """What the recipe states, or else all files alike."""
    data = recipe.data
    value_max = data.value_max or _agreed(files, "value_max")
    if value_max is None:
        raise UsageError(
            f"neither the recipe nor {files[0].path} states value_max, the DN that is mapped to 1",
            "for 11-bit sensors: --set data.value_max=2047",
        )
    return PatchFacts(
        value_max=value_max,
        sensor=data.sensor or _agreed(files, "sensor"),
        upsampler=data.upsampler or _agreed(files, "upsampler"),
        phase=_agreed(files, "phase"),
        licence=recipe.licence or _agreed(files, "licence"),
    )


def _agreed(files: Sequence[PatchFile], what: str) -> Any:  # noqa: ANN401 - as the attribute of `PatchFacts`
    first, value = files[0], getattr(files[0].facts, what)
    for file in files[1:]:
        if (other := getattr(file.facts, what)) != value:
            raise DataError(
                f"{first.path} has {what} {value or 'unknown'}, {file.path} {other or 'unknown'}",
                f"train on files that agree, or state it: --set data.{what}=…",
            )
    return value


def _check_shapes(recipe: Recipe, file: PatchFile) -> None:
    bands, ratio = recipe.model.bands, recipe.model.ratio
    _, height, width = file.shapes["ms"]
    if file.shapes["ms"][0] != bands:
        raise DataError(
            f"{file.path} has {file.shapes['ms'][0]} bands, the recipe's model.bands is {bands}",
            f"--set model.bands={file.shapes['ms'][0]}, or choose patches of {bands} bands",
        )
    expected = {"gt": bands, "lms": bands, "pan": 1}
    for name, count in expected.items():
        if file.shapes[name] != (count, height * ratio, width * ratio):
            raise DataError(
                f"{file.path}: {name} is {_size(file.shapes[name])}, "
                f"expected {_size((count, height * ratio, width * ratio))} at ratio {ratio}",
                f"set model.ratio to the ratio of the patches (here {file.shapes['pan'][1] // height})",
            )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
