"""From what a recipe names, files, drawn scenes or pictures, to what a network learns from and is measured on."""

from __future__ import annotations

from fusioncli.config.architectures import RESTORATION
from fusioncli.config.data import Source, Synthetic
from fusioncli.config.recipe import Recipe
from fusioncli.errors import DataError, UsageError
from fusioncli.workflows.train.drawn import draw_patches, draw_pictures
from fusioncli.workflows.train.events import Listener, Prepared
from fusioncli.workflows.train.patch_files import read_patches
from fusioncli.workflows.train.pictures import read_pictures
from fusioncli.workflows.train.restoration import RestorationSet
from fusioncli.workflows.training_data import PatchSet, Samples


def open_training(recipe: Recipe, listener: Listener = lambda event: None) -> Samples:
    """What a recipe trains on.

    Args:
        recipe: with its sources.
        listener: told about scenes that are drawn and pictures that are read.

    Raises:
        DataError: files are missing, damaged, empty, or do not fit the recipe or each other.
        UsageError: nobody states `value_max`, drawn scenes do not fit the recipe, or it asks for consistency.
    """
    if recipe.consistency.weight:
        raise UsageError(
            f"consistency.weight is {recipe.consistency.weight:g}, and data.train holds nothing at full resolution",
            "leave it out; fusion finetune --consistency sees scenes at full resolution",
        )
    found = _open(recipe, "train", recipe.data.train, listener)
    if isinstance(found, PatchSet) and (side := min(found.stacks["gt"].shape[-2:])) < recipe.data.patch_px:
        raise DataError(
            f"data.patch_px is {recipe.data.patch_px}, the patches of data.train are {side} px",
            f"--set data.patch_px={side}, or cut larger patches with fusion simulate",
        )
    return found


def open_validation(recipe: Recipe, training: Samples, listener: Listener = lambda event: None) -> Samples | None:
    """What a recipe validates on, whole; None if it names nothing.

    Raises:
        DataError: as `open_training`, or it differs from the training data in what a network depends on.
        UsageError: as `open_training`.
    """
    if not recipe.data.validation:
        return None
    found = _open(recipe, "validation", recipe.data.validation, listener)
    for what in ("value_max", "upsampler", "sensor"):
        ours, theirs = getattr(training.facts, what), getattr(found.facts, what)
        if ours != theirs:
            raise DataError(
                f"training patches have {what} {ours or 'unknown'}, validation patches {theirs or 'unknown'}",
                "make both in the same way, such as by one call of fusion simulate",
            )
    return found


def _open(recipe: Recipe, name: str, source: Source, listener: Listener) -> Samples:
    def progress(stage: str, done: int, total: int) -> None:
        listener(Prepared(f"{stage} for data.{name}", done, total))

    restores = recipe.model.inputs == RESTORATION
    if isinstance(source, Synthetic):
        found = (draw_pictures if restores else draw_patches)(recipe, source, progress)
    else:
        found = read_pictures(recipe, source, progress) if restores else read_patches(recipe, source)
    return RestorationSet(found, recipe.data.tasks) if restores else found
