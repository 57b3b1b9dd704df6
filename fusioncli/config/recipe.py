"""A training recipe: every setting of a run, its unit, its range and its default.

A recipe in TOML has the same tables and keys. Whatever may be left out has a default here; whatever may be
switched off has 0 for "off", so that no setting needs a special word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fusioncli.config.architectures import ARCHITECTURES, Options
from fusioncli.config.base import Conflict, Count, Fraction, Positive, Table, Text, Texts, WholeNumber, refuse, several

Index = Literal[
    "SAM", "ERGAS", "Q2n", "Q", "SCC", "PSNR_pooled", "PSNR_band_mean", "RMSE_pooled", "RMSE_band_mean", "SSIM", "CC"
]
"""The indices of the reduced-resolution suite, which this floor cannot ask."""


class ModelConfig(Table):
    """Which network is trained.

    Attributes:
        arch: name of the architecture.
        bands: MS bands in and out.
        ratio: PAN pixels per MS pixel, along either axis.
        options: the architecture's own settings.
    """

    arch: str
    bands: Count
    ratio: Annotated[int, Field(ge=2)]
    options: SerializeAsAny[Options] = Field(default=Options(), validate_default=True)

    @field_validator("arch")
    @classmethod
    def _known(cls, arch: str) -> str:
        if arch not in ARCHITECTURES:
            names = " or ".join(f"'{name}'" for name in ARCHITECTURES)
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": names})
        return arch

    @field_validator("options", mode="before")
    @classmethod
    def _of_arch(cls, options: object, info: ValidationInfo) -> object:
        kind = ARCHITECTURES.get(info.data.get("arch", ""))
        if kind is None:  # reported at `arch`
            return Options()
        return kind.model_validate(options.model_dump() if isinstance(options, Options) else options)


class Synthetic(Table):
    """Imagery that is drawn instead of read.

    Attributes:
        scenes: how many scenes are drawn.
        seed: of the first one; equal seeds draw equal scenes.
        sensors: whose bands and MTF they have, in turn; names as `--sensor` takes them.
    """

    scenes: Count
    seed: WholeNumber = 0
    sensors: Annotated[Texts, Field(min_length=1)]


def _origin(value: object) -> str:
    return "drawn" if isinstance(value, dict | Synthetic) else "read"


Source = Annotated[Annotated[Synthetic, Tag("drawn")] | Annotated[Texts, Tag("read")], Discriminator(_origin)]
"""Patch files (one path or a list, relative to the working folder), or a table of synthetic scenes."""


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
    """

    train: Source
    validation: Source = ()
    patch_px: Count = 64
    batch_size: Count = 32
    sensor: Text | None = None
    value_max: Positive | None = None
    upsampler: Literal["lanczos", "cubic", "interp23tap"] | None = None
    augment: bool = True

    @field_validator("train")
    @classmethod
    def _some(cls, train: Synthetic | tuple[str, ...]) -> Synthetic | tuple[str, ...]:
        if not train:
            raise PydanticCustomError("empty", "should name at least one patch file")
        return train

    def sensors(self) -> tuple[str, ...]:
        """Every sensor that is named, as the recipe spells it."""
        drawn = [source.sensors for source in (self.train, self.validation) if isinstance(source, Synthetic)]
        return tuple(dict.fromkeys(name for names in [(self.sensor,), *drawn] for name in names if name))


class OptimiserConfig(Table):
    """How weights move.

    Attributes:
        name: torch's optimiser.
        learning_rate: highest rate of the schedule.
        weight_decay: L2 term of adam, decoupled decay of adamw.
        clip_norm: gradients are scaled down to this norm; 0 for never.
    """

    name: Literal["adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Fraction = 0.0
    clip_norm: Annotated[float, Field(ge=0)] = 0.0


class ScheduleConfig(Table):
    """How the learning rate changes with the optimiser's steps.

    Attributes:
        kind: constant; step: a stair every `every_steps`; cosine: half a period over the run after the warm-up.
        warmup_steps: the rate climbs linearly from 0 over so many steps.
        every_steps: length of a stair; 0 unless `kind` is step.
        decay: what the rate is multiplied by: at every stair (step), over the whole run (cosine).
    """

    kind: Literal["constant", "step", "cosine"] = "cosine"
    warmup_steps: WholeNumber = 0
    every_steps: WholeNumber = 0
    decay: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _check(self) -> ScheduleConfig:
        refuse("schedule", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        stairs = self.kind == "step"
        if stairs and not self.every_steps:
            yield Conflict(("every_steps",), 0, "should be at least 1 for schedule.kind 'step'")
        if stairs and not self.decay:
            yield Conflict(("decay",), 0, "should be above 0 for schedule.kind 'step'")
        if self.every_steps and not stairs:
            yield Conflict(("every_steps",), self.every_steps, f"should be left out for schedule.kind '{self.kind}'")


class TrainingConfig(Table):
    """How long, and with which arithmetic.

    Attributes:
        steps: optimiser steps of the whole run.
        accumulate: forward passes per optimiser step.
        precision: bf16 for mixed precision; auto: bf16 where the device has it.
        ema_decay: of the running mean of the weights that is validated and kept; 0 for none.
        seed: of initial weights, order and augmentation.
        deterministic: refuse operations whose result varies from run to run.
        gradient_checkpointing: less memory, about a third more time.
        early_stop: leave after so many validations without a better `validation.monitor`; 0 for never.
    """

    steps: Count
    accumulate: Count = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    ema_decay: Fraction = 0.0
    seed: WholeNumber = 0
    deterministic: bool = False
    gradient_checkpointing: bool = False
    early_stop: WholeNumber = 0


class ValidationConfig(Table):
    """How progress is measured.

    Attributes:
        every_steps: optimiser steps between validations; there is always one at the end.
        metrics: indices of the reduced-resolution suite.
        monitor: the one of them that says which weights are best.
    """

    every_steps: Count = 500
    metrics: Annotated[tuple[Index, ...], BeforeValidator(several), Field(min_length=1)] = ("SAM", "ERGAS", "Q2n")
    monitor: Index = "ERGAS"

    @model_validator(mode="after")
    def _check(self) -> ValidationConfig:
        refuse("validation", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.monitor not in self.metrics:
            yield Conflict(
                ("monitor",), self.monitor, f"should be one of validation.metrics, {', '.join(self.metrics)}"
            )


class CheckpointConfig(Table):
    """What is kept to resume from.

    Attributes:
        every_steps: optimiser steps between checkpoints; there is always one at the end.
        keep: how many of them; older ones are deleted, the best weights never.
    """

    every_steps: Count = 500
    keep: Count = 2


class Recipe(Table):
    """A training run, complete.

    Attributes:
        name: lower-case letters, digits and dashes.
        description: one line.
        licence: of the training data, copied into the weights.
        loss: mean absolute (l1) or squared (l2) error, values in units of `value_max`.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$")]
    description: Text
    licence: str = ""
    loss: Literal["l1", "l2"] = "l1"
    model: ModelConfig
    data: DataConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig
    validation: ValidationConfig = ValidationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        refuse("recipe", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.data.patch_px % self.model.ratio:
            text = f"should be a multiple of model.ratio, {self.model.ratio}"
            yield Conflict(("data", "patch_px"), self.data.patch_px, text)
        if self.training.early_stop and not self.data.validation:
            yield Conflict(("training", "early_stop"), self.training.early_stop, "should be 0 without data.validation")

    def as_tables(self) -> dict[str, Any]:
        """Plain values, as `tomllib` would read them; settings that are None are left out."""
        return self.model_dump(mode="json", exclude_none=True)
