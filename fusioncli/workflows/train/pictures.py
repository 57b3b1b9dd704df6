"""Folders of pictures that a recipe names, in memory as they are in the files: 8 or 16 bit, of any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusioncli.config.recipe import Recipe
from fusioncli.errors import DataError
from fusioncli.io.patch_arrays import Stack
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.pictures import Picture, find_pictures
from fusioncli.workflows.memory import available_cores
from fusioncli.workflows.training_data import PatchSet, check_memory
from fusioncli.workflows.workers import Progress, in_order


def read_pictures(recipe: Recipe, folders: Sequence[str], progress: Progress) -> PatchSet:
    """Every picture as one patch of `gt`; where 8 and 16 bit meet, 255 becomes 65535.

    Raises:
        DataError: no pictures, other samples, smaller than a patch, damaged, or too many for the memory.
    """
    pictures = [picture for folder in folders for picture in find_pictures(Path(folder))]
    _check_sizes(pictures, recipe.data.patch_px)
    dtype = np.result_type(*(picture.dtype for picture in pictures))
    size = sum(3 * picture.height * picture.width for picture in pictures) * dtype.itemsize
    check_memory(size, f"a number of {len(pictures)} pictures")
    largest = float(np.iinfo(dtype).max)

    def read(picture: Picture) -> np.ndarray:
        image = picture.read()
        factor = int(largest) // np.iinfo(image.dtype).max
        return (image.astype(dtype) * dtype.type(factor))[None]

    parts = tuple(in_order("reading pictures", pictures, read, available_cores(), progress))
    value_max = recipe.data.value_max or largest
    for picture, image in zip(pictures, parts, strict=True):
        if image.max() > value_max:
            raise DataError(
                f"{picture.path} holds {image.max()}, more than data.value_max {value_max:g}", "state the true peak"
            )
    data, facts = recipe.data, PatchFacts(value_max=value_max, licence=recipe.licence)
    return PatchSet({"gt": Stack(parts)}, facts, 1, recipe.training.seed, data.patch_px, data.augment)


def _check_sizes(pictures: Sequence[Picture], patch_px: int) -> None:
    small = [picture for picture in pictures if min(picture.height, picture.width) < patch_px]
    if small:
        first = small[0]
        raise DataError(
            f"{len(small)} of {len(pictures)} pictures are smaller than data.patch_px {patch_px}, such as {first.path} "
            f"({first.width} x {first.height} px)",
            "leave them out, or lower data.patch_px",
        )
