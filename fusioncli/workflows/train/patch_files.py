"""Patch files that a recipe names, with everything checked that could spoil a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusioncli.config.recipe import Recipe
from fusioncli.errors import DataError, UsageError
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patches import PatchFile, open_patches
from fusioncli.workflows.training_data import COARSE_NAMES, GUIDE_NAMES, PatchSet, load_patches


def read_patches(recipe: Recipe, paths: Sequence[str]) -> PatchSet:
    """The patches of some files or folders, in that order.

    Raises:
        DataError: files are missing, damaged, empty, or do not fit the recipe or each other.
        UsageError: nobody states `value_max`.
    """
    names = ("gt", *recipe.model.inputs)
    files = [file for path in paths for file in open_patches(Path(path), names)]
    facts = _common_facts(recipe, files)
    for file in files:
        _check_shapes(recipe, file)
    stacks = load_patches(files, names, facts)
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
    model = recipe.model
    coarse = next(name for name in model.inputs if name in COARSE_NAMES)
    bands, height, width = file.shapes[coarse]
    if bands != model.bands:
        raise DataError(
            f"{file.path} has {bands} bands, the recipe's model.bands is {model.bands}",
            f"--set model.bands={bands}, or choose patches of {model.bands} bands",
        )
    for name in ("gt", *model.inputs):
        if name == coarse:
            continue
        count = model.guide_bands if name in GUIDE_NAMES else bands
        expected, found = (count, height * model.ratio, width * model.ratio), file.shapes[name]
        if found != expected:
            raise DataError(
                f"{file.path}: {name} is {_size(found)}, expected {_size(expected)} at ratio {model.ratio}",
                _misfit_hint(name, found, expected, height),
            )


def _misfit_hint(name: str, found: tuple[int, ...], expected: tuple[int, ...], coarse_rows: int) -> str:
    if found[1:] != expected[1:]:
        return f"set model.ratio to the ratio of the patches (here {found[1] // coarse_rows})"
    if name == "msi":
        return f"--set model.guide_bands={found[0]}"
    return "export the file again: all its images but the sharper one should have as many bands"


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
