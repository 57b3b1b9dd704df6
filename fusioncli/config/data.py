"""What a recipe learns from: patch files, drawn scenes or pictures, and how patches are made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from fusioncli.config.architectures import TASKS, Task
from fusioncli.config.base import Count, Positive, Table, Text, Texts, WholeNumber, several


class Synthetic(Table):
    """Imagery that is drawn instead of read.

    Attributes:
        scenes: how many scenes are drawn.
        seed: of the first one; equal seeds draw equal scenes.
        sensors: whose bands and MTF they have, in turn; names as `--sensor` takes them. Empty: a random one of
            `model.bands` bands at `model.ratio` for every scene.
        misregistration_px: PAN and MS are at most so far apart, PAN px; mostly much less.
    """

    scenes: Count
    seed: WholeNumber = 0
    sensors: Texts = ()
    misregistration_px: Annotated[float, Field(ge=0, le=8)] = 0.0


def _origin(value: object) -> str:
    return "drawn" if isinstance(value, dict | Synthetic) else "read"


Source = Annotated[Annotated[Synthetic, Tag("drawn")] | Annotated[Texts, Tag("read")], Discriminator(_origin)]
"""Patch files (one path or a list, relative to the working folder), or a table of synthetic scenes.

For networks that restore one image: folders of pictures, or a table of synthetic scenes.
"""


class Restoration(Table):
    """How pictures are spoiled for a network that restores them.

    Attributes:
        tasks: what the network undoes; batches have them in turn.
    """

    tasks: Annotated[tuple[Task, ...], BeforeValidator(several), Field(min_length=1)] = TASKS


class DataConfig(Table):
    """What is learned from.

    Attributes:
        train: where training patches come from.
        validation: where validation patches come from; an empty list for no validation.
        patch_px: side of a training patch on the PAN grid, a multiple of the ratio. Larger stored patches are
            cropped; smaller ones are an error.
        batch_size: patches per forward pass, over all devices together.
        sensor: as `--sensor` takes it; None: as the files say.
        value_max: DN that is mapped to 1; None: as the files say.
        upsampler: how the MS came to the PAN grid; None: as the files say.
        augment: flip and rotate at random.
        restoration: for networks that restore one image only; None: every task.
    """

    train: Source
    validation: Source = ()
    patch_px: Count = 64
    batch_size: Count = 32
    sensor: Text | None = None
    value_max: Positive | None = None
    upsampler: Literal["lanczos", "cubic", "interp23tap"] | None = None
    augment: bool = True
    restoration: Restoration | None = None

    @field_validator("train")
    @classmethod
    def _some(cls, train: Synthetic | tuple[str, ...]) -> Synthetic | tuple[str, ...]:
        if not train:
            raise PydanticCustomError("empty", "should name at least one patch file")
        return train

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What a network that restores one image undoes."""
        return (self.restoration or Restoration()).tasks

    def sensors(self) -> tuple[str, ...]:
        """Every sensor that is named, as the recipe spells it."""
        drawn = [source.sensors for source in (self.train, self.validation) if isinstance(source, Synthetic)]
        return tuple(dict.fromkeys(name for names in [(self.sensor,), *drawn] for name in names if name))
