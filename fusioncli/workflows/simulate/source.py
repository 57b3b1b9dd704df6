"""What patches are cut from, whatever the sensors: images of a rectangle, and where they are complete."""

from __future__ import annotations

from pathlib import PurePath
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fusioncli.core.grid import Grid
from fusioncli.core.tiling import Rect
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import Images, PatchNumbers, Shapes


class PatchSource(Protocol):
    """A scene that is degraded on the fly. Rectangles are in cells: pixels of the degraded low-resolution image."""

    @property
    def facts(self) -> PatchFacts:
        """What a patch file says about this scene; `value_max` and `ratio` are known."""
        ...

    @property
    def kind(self) -> str:
        """Numpy name of the sample type of the truth."""
        ...

    @property
    def ground(self) -> Grid:
        """Where on earth the scene lies."""
        ...

    @property
    def masked(self) -> bool:
        """Whether any pixel may be missing."""
        ...

    @property
    def cells(self) -> Rect:
        """The whole scene."""
        ...

    @property
    def margin(self) -> int:
        """How many cells around a patch its images depend on."""
        ...

    @property
    def block_side(self) -> int:
        """Cells that are computed at a time, so that the memory does not depend on the scene."""
        ...

    def shapes(self, side: int) -> Shapes:
        """Of the images of a patch of so many cells."""
        ...

    def valid(self, rect: Rect) -> np.ndarray | None:
        """Which cells of a rectangle, grown by the margin, hold data in all images; None when all do."""
        ...

    def images(self, rect: Rect, numbers: PatchNumbers) -> Images:
        """All images of a rectangle, (bands, h, w) each, DN.

        Raises:
            DataError: measured values do not fit the numbers, or the file is damaged.
        """
        ...


def source_name(path: str) -> str:
    """A file in a word or two: many are called ms.tif."""
    return "/".join(PurePath(path).parts[-2:])


def batch(samples: np.ndarray, valid: np.ndarray | None, dtype: torch.dtype) -> Tensor:
    """(bands, h, w) as (1, bands, h, w), 0 where a sample is missing: filters would spread a NaN."""
    complete = samples if valid is None else np.where(valid, samples, np.float32(0))
    return torch.from_numpy(np.ascontiguousarray(complete))[None].to(dtype)


def array(x: Tensor, rows: slice, cols: slice) -> np.ndarray:
    """Part of (1, bands, h, w) as (bands, h, w)."""
    return x[0, :, rows, cols].numpy()
