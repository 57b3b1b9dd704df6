"""A training recipe: every setting of a run, its unit, its range and its default.

A recipe in TOML has the same tables and keys. Whatever may be left out has a default here; whatever may be
switched off has 0 for "off", so that no setting needs a special word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from fusioncli.config.architectures import ARCHITECTURES, HYPERSPECTRAL, RESTORATION, Options
from fusioncli.config.base import Conflict, Count, Fraction, Table, Text, WholeNumber, refuse, several
from fusioncli.config.data import DataConfig, Synthetic

Index = Literal[
    "SAM", "ERGAS", "Q2n", "Q", "SCC", "PSNR_pooled", "PSNR_band_mean", "RMSE_pooled", "RMSE_band_mean", "SSIM", "CC"
]
"""The indices of the reduced-resolution suite, which this floor cannot ask."""


class ModelConfig(Table):
    """Which network is trained.

    Attributes:
        arch: name of the architecture.
        bands: MS or hyperspectral bands in, and bands out.
        guide_bands: of the sharper image: 1 for PAN, more for an MSI.
        ratio: fine pixels per coarse pixel, along either axis; 1 where the network restores one image.
        options: the architecture's own settings.
    """

    arch: str
    bands: Count
    guide_bands: Count = 1
    ratio: Count
    options: SerializeAsAny[Options] = Field(default=Options(), validate_default=True)

    @field_validator("arch")
    @classmethod
    def _known(cls, arch: str) -> str:
        if arch not in ARCHITECTURES:
            *others, last = [f"'{name}'" for name in ARCHITECTURES]
            names = f"{', '.join(others)} or {last}"
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": names})
        return arch

    @field_validator("options", mode="before")
    @classmethod
    def _of_arch(cls, options: object, info: ValidationInfo) -> object:
        kind = ARCHITECTURES.get(info.data.get("arch", ""))
        if kind is None:  # reported at `arch`
            return Options()
        return kind.model_validate(options.model_dump() if isinstance(options, Options) else options)

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        refuse("model", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        restores = self.inputs == RESTORATION
        if self.ratio < 2 and not restores:
            yield Conflict(("ratio",), self.ratio, "should be at least 2")
        if self.ratio > 1 and restores:
            yield Conflict(("ratio",), self.ratio, f"should be 1 for {self.arch}, whose images have one size")
        if self.bands != 3 and restores:
            yield Conflict(("bands",), self.bands, f"should be 3 for {self.arch}, which restores red, green and blue")
        if self.guide_bands > 1 and self.inputs != HYPERSPECTRAL:
            yield Conflict(("guide_bands",), self.guide_bands, f"should be 1 for {self.arch}, which takes no MSI")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images that the network takes, in the order of its arguments."""
        return self.options.inputs


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


class ConsistencyConfig(Table):
    """What is learned at full resolution, where nobody knows the truth: the fused image, degraded, is the MS.

    Attributes:
        weight: of that error beside the error of the patches; 0 for none. Only networks that are fitted to a scene see
            it at full resolution.
        gains: MTF gain of each MS band at Nyquist.
    """

    weight: Annotated[float, Field(ge=0)] = 0.0
    gains: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], BeforeValidator(several)] = ()


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


class StartConfig(Table):
    """Where the weights start from; what no file gives is fresh.

    Attributes:
        weights: file of a whole network, such as a run wrote; tensors are taken by name. A stage after the first
            starts from the weights of the one before it instead.
        backbones: files of parts that stay frozen, by the part's name.
    """

    weights: Text | None = None
    backbones: dict[Text, Text] = Field(default_factory=dict)


class Recipe(Table):
    """A training run, complete; or one stage of a run in several, which is a run of its own.

    Attributes:
        name: lower-case letters, digits and dashes.
        stage: name of the stage, which runs in a folder of that name; None for a run in one.
        description: one line.
        licence: of the training data, copied into the weights.
        loss: mean absolute (l1) or squared (l2) error, values in units of `value_max`; or mean absolute error in units
            of the spread of each band of each patch (relative), so that dark bands and dull scenes count as much; or
            that along the principal components of an infn that has them, in units of their spread (components), so that
            what sets alike materials apart counts as much as light and shade.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$")]
    stage: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$")] | None = None
    description: Text
    licence: str = ""
    loss: Literal["l1", "l2", "relative", "components"] = "l1"
    model: ModelConfig
    data: DataConfig
    start: StartConfig = StartConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig
    consistency: ConsistencyConfig = ConsistencyConfig()
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
        if self.loss == "components" and not getattr(self.model.options, "components", 0):
            yield Conflict(("loss",), self.loss, "should be another one for a network without model.options.components")
        gains = self.consistency.gains
        if self.consistency.weight and len(gains) != self.model.bands:
            yield Conflict(("consistency", "gains"), gains, f"should be {self.model.bands} figures, one per band")
        yield from self._source_conflicts()
        yield from self._restoration_conflicts()

    def _source_conflicts(self) -> Iterator[Conflict]:
        train, validation = self.data.train, self.data.validation
        for name, source in (("train", train), ("validation", validation)):
            if self.model.inputs == HYPERSPECTRAL and isinstance(source, Synthetic):
                text = f"should be patch files for {self.model.arch}: drawn scenes are MS and PAN"
                yield Conflict(("data", name), source.model_dump(), text)
        if isinstance(train, Synthetic) and isinstance(validation, Synthetic) and train.seed == validation.seed:
            text = "should differ from data.train.seed: equal seeds draw equal scenes"
            yield Conflict(("data", "validation", "seed"), validation.seed, text)

    def _restoration_conflicts(self) -> Iterator[Conflict]:
        data = self.data
        if self.model.inputs != RESTORATION:
            if data.restoration is not None:
                text = f"should be left out for {self.model.arch}, which does not restore one image"
                yield Conflict(("data", "restoration"), data.restoration.model_dump(), text)
            return
        for task in data.tasks:
            if task.startswith("sr") and data.patch_px % int(task[2:]):
                text = f"should be a multiple of {task[2:]}, for the task {task}"
                yield Conflict(("data", "patch_px"), data.patch_px, text)

    def as_tables(self) -> dict[str, Any]:
        """Plain values, as `tomllib` would read them; settings that are None are left out."""
        return self.model_dump(mode="json", exclude_none=True)
