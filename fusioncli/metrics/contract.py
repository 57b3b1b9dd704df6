"""What every quality index promises: its meaning, its inputs, and sums that add up however the scene was cut.

Images are tensors (1, C, h, w) of any integer or float type in digital numbers, converted to float64 piece by
piece. Everything is per image: measure each image with an index of its own and average the figures. A mask
(1, 1, h, w) is True where all images hold data; without one every pixel counts and the figure is the
reference toolbox's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import ClassVar, Self

import torch
from torch import Tensor

from fusioncli.errors import DataError, UsageError
from fusioncli.metrics.cut import Cut

State = dict[str, Tensor]
"""Named partial results of one index; `count` is always among them."""

_PIECE_VALUES = {"cpu": 2**18, "cuda": 2**24}


class Metric(ABC):
    """A quality index of one image.

    Attributes:
        name: as tables and `--fail-under` spell it.
        higher_is_better: direction of improvement.
        ideal: value of a perfect image.
        units: unit of the value; "" when it has none.
        value_range: smallest and largest possible value.
        inputs: the images that `update` takes, in order; those named pan… have one band, the others the same
            number.
        halo_px: margin that a tile needs around its core.
        align_px: grid that the cores of tiles start on.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    ideal: ClassVar[float]
    units: ClassVar[str] = ""
    value_range: ClassVar[tuple[float, float]]
    inputs: ClassVar[tuple[str, ...]] = ("reference", "fused")

    @property
    def halo_px(self) -> int:
        """Margin that a tile needs around its core."""
        return 0

    @property
    def align_px(self) -> int:
        """Grid that the cores of tiles start on."""
        return 1

    def update(self, *images: Tensor, mask: Tensor | None = None, cut: Cut | None = None) -> Self:
        """Add one tile, or the whole image.

        Args:
            images: one (1, C, h, w) tensor per entry of `inputs`, in DN.
            mask: (1, 1, h, w) bool, True where every image holds data; None when all do.
            cut: which part of the scene the tile is, None for all of it; the tensors cover its `read`.

        Raises:
            DataError: shapes do not fit, or a valid pixel is NaN or infinite.
            ValueError: the cut does not obey `halo_px` and `align_px`.
        """
        count_tile(self.leaves(), dict(zip(self.inputs, images, strict=True)), mask, cut)
        return self

    def merge(self, other: Metric) -> Self:
        """Add what another instance with the same settings has counted, on another thread or device."""
        for mine, theirs in zip(self.leaves(), other.leaves(), strict=True):
            mine.absorb(theirs)
        return self

    @abstractmethod
    def compute(self) -> float:
        """The index of everything counted so far.

        Raises:
            DataError: nothing was counted, or the index is undefined for these images.
        """

    @abstractmethod
    def leaves(self) -> tuple[Streamed, ...]:
        """The indices that hold the sums: this one, or the parts that it is computed from."""


class Streamed(Metric):
    """An index made of three pure functions: `partial` of a piece, `combine`, `value` of the result."""

    counted: ClassVar[str] = "valid pixel"
    _state: State | None = None

    @property
    def partial_key(self) -> Hashable:
        """Says what `partial` computes; indices of one suite with the same key share its results."""
        return self

    @abstractmethod
    def partial(self, images: tuple[Tensor, ...], mask: Tensor | None, cut: Cut) -> State | None:
        """What one piece adds; None when the piece holds nothing to count.

        Args:
            images: float64 on `cut.read`, zero where the mask is False; may share memory with other indices'
                images and with the caller's tensors.
            mask: as in `update`, cut to the piece.
            cut: where the piece lies.
        """

    @abstractmethod
    def value(self, state: State) -> float:
        """The index, given that `state["count"]` is positive."""

    def combine(self, a: State, b: State) -> State:
        """Join the results of two disjoint pieces: a sum, unless the index says otherwise."""
        return {key: a[key] + b[key] for key in a}

    def add(self, part: State | None) -> None:
        """Add what `partial` found in one piece."""
        if part is not None:
            self._state = part if self._state is None else self.combine(self._state, part)

    def absorb(self, other: Streamed) -> None:
        """Add the sums of another instance with the same settings."""
        if other._state is not None:
            device = other._state["count"].device if self._state is None else self._state["count"].device
            self.add({key: part.to(device) for key, part in other._state.items()})

    def compute(self) -> float:
        """See `Metric.compute`."""
        if self._state is None or not self._state["count"] > 0:
            raise DataError(
                f"{self.name} found no {self.counted} in the images",
                "check the nodata mask, and that the images are larger than the window of the index",
            )
        value = self.value(self._state)
        if math.isnan(value):
            raise DataError(
                f"{self.name} is undefined for these images", "check the images for constant or empty bands"
            )
        return value

    def leaves(self) -> tuple[Streamed, ...]:
        """Itself."""
        return (self,)


class Composite(Metric):
    """An index computed from the values of others, its leaves, which may belong to a suite as well."""

    @property
    def halo_px(self) -> int:
        """The largest margin of the parts."""
        return max(leaf.halo_px for leaf in self.leaves())

    @property
    def align_px(self) -> int:
        """A grid that suits all parts."""
        return math.lcm(*(leaf.align_px for leaf in self.leaves()))


def count_tile(
    leaves: tuple[Streamed, ...], images: Mapping[str, Tensor], mask: Tensor | None, cut: Cut | None
) -> None:
    """Give every index what it asks for of one tile, piece by piece, once the images are known to fit.

    Pieces keep temporary memory bounded and, on a CPU, in its cache; each is converted once for all indices.
    The arguments are as in `Metric.update`.
    """
    _keep_freed_memory()
    images = {name: images[name] for leaf in leaves for name in leaf.inputs}
    cut = cut or Cut.whole(*next(iter(images.values())).shape[-2:])
    _check_shapes(images, mask, cut)
    for piece in _pieces(leaves, images, cut):
        area = (..., *piece.read.slices(cut.read))
        valid = None if mask is None else mask[area]
        values = {name: _values(name, image[area], valid) for name, image in images.items()}
        found: dict[Hashable, State | None] = {}
        for leaf in leaves:
            if leaf.partial_key not in found:
                own = Cut(piece.scene, piece.core, leaf.halo_px)
                area = (..., *own.read.slices(piece.read))
                inputs = tuple(values[name][area] for name in leaf.inputs)
                found[leaf.partial_key] = leaf.partial(inputs, None if valid is None else valid[area], own)
            leaf.add(found[leaf.partial_key])


def band_by_band(images: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Views of the images' bands, so that an index of single bands keeps its temporary maps small."""
    return zip(*(image.split(1, 1) for image in images), strict=True)


def pooled(values: Tensor, valid: Tensor | None) -> State:
    """Count and sum of a map (1, C, h, w), where (1, 1, h, w) `valid` is True."""
    if valid is None:
        return {"count": values.new_tensor(float(values.numel())), "sum": values.sum()}
    return {"count": (valid.sum() * values.shape[1]).double(), "sum": torch.where(valid, values, 0.0).sum()}


def pixel_count(image: Tensor, mask: Tensor | None) -> Tensor:
    """Valid pixels of a float64 image (1, C, h, w), as a scalar of its type and device."""
    if mask is None:
        return image.new_tensor(float(image.shape[-2] * image.shape[-1]))
    return mask.sum().double()


def check_data_range(data_range: float) -> None:
    """Refuse a peak value that is not positive and finite (UsageError)."""
    if not 0 < data_range < math.inf:
        raise UsageError(
            f"the data range is {data_range:g}, expected a positive number",
            "give the sensor's peak value: 2047 for 11-bit data, 1 for reflectance",
        )


@cache
def _keep_freed_memory() -> None:
    """Let a block of 32 MB come and go once.

    After that glibc keeps what is freed up to 64 MB. Before, it returns the temporary maps of each piece to the system
    and faults them in anew for the next, which takes half the time of Q2n.
    """
    torch.empty(2**25 - 2**14, dtype=torch.uint8)


def _pieces(leaves: tuple[Streamed, ...], images: Mapping[str, Tensor], cut: Cut) -> Iterator[Cut]:
    first = next(iter(images.values()))
    halo_px = max(leaf.halo_px for leaf in leaves)
    bands = max(image.shape[1] for image in images.values())
    values = _PIECE_VALUES[first.device.type] * (4 if halo_px else 1)  # larger where neighbours share a halo
    side_px = max(math.isqrt(values // bands), 8 * halo_px, 1)
    return cut.pieces(side_px, math.lcm(*(leaf.align_px for leaf in leaves)), halo_px)


def _values(name: str, image: Tensor, valid: Tensor | None) -> Tensor:
    values = image.to(torch.float64)
    if valid is not None:
        values = torch.where(valid, values, 0.0)
    if not values.sum().isfinite():
        raise DataError(
            f"image {name!r} holds NaN or infinite values where the mask says valid",
            "mask these pixels as nodata",
        )
    return values


def _check_shapes(images: Mapping[str, Tensor], mask: Tensor | None, cut: Cut) -> None:
    size = (cut.read.height, cut.read.width)
    bands = next(iter(images.values())).shape[1]
    for name, image in images.items():
        expected = (1, 1 if name.startswith("pan") else bands, *size)
        if tuple(image.shape) != expected:
            raise DataError(
                f"image {name!r} has shape {tuple(image.shape)}, expected {expected}",
                "compare images of the same grid and bands",
            )
    if mask is not None and (tuple(mask.shape) != (1, 1, *size) or mask.dtype != torch.bool):
        raise DataError(
            f"the mask is {mask.dtype} of shape {tuple(mask.shape)}, expected torch.bool of {(1, 1, *size)}",
            "give one mask for all bands, True where all images hold data",
        )
