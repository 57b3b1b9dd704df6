"""What a file of weights says of itself: enough to refuse the wrong image, the wrong base or the wrong network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from fusioncli import __version__
from fusioncli.config.base import Conflict, Count, Positive, Table, Text, refuse
from fusioncli.config.problems import find_problems
from fusioncli.config.recipe import ModelConfig
from fusioncli.errors import DataError

SCHEMA_VERSION = 1

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Base(Table):
    """The file that an adapter's tensors replace some of.

    Attributes:
        name: of the file.
        sha256: of its bytes, in hexadecimal.
    """

    name: Text
    sha256: Sha256


class Identity(Table):
    """The facts beside the tensors.

    Attributes:
        schema_version: of these facts.
        kind: full; adapter: only the tensors that differ from `base`; merged: an adapter laid over its base.
        arch: as `model.arch` of a recipe.
        arch_config: as `model.options` of a recipe.
        bands: MS or hyperspectral bands the network takes.
        guide_bands: of the sharper image, as `model.guide_bands`; 1 is not written down.
        ratio: fine pixels per coarse pixel.
        sensor: whose images it learned from; None if several or unknown.
        value_max: DN that is mapped to 1.
        upsampler: how the MS came to the PAN grid.
        stage: of a training in several stages.
        start: files that training started from, by `weights` or the name of a frozen part, those before them included.
        base: of an adapter, or of what an adapter was merged with.
        recipe: name of the recipe.
        metrics: means over the validation patches, by index.
        version: of fusion.
        licence: of the training data.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["full", "adapter", "merged"] = "full"
    arch: Text
    arch_config: dict[str, JsonValue] = Field(default_factory=dict)
    bands: Count
    guide_bands: Count = 1
    ratio: Count
    sensor: str | None = None
    value_max: Positive
    upsampler: str | None = None
    stage: str | None = None
    start: dict[str, Base] = Field(default_factory=dict)
    base: Base | None = None
    recipe: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    version: str = __version__
    licence: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        refuse("identity", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.kind == "adapter" and self.base is None:
            yield Conflict(("base",), None, "should name the base of an adapter")
        if self.kind == "full" and self.base is not None:
            yield Conflict(("base",), self.base.name, "should be left out of full weights")

    @classmethod
    def of_model(cls, model: ModelConfig, **facts: Any) -> Self:  # noqa: ANN401 - any of the attributes
        """The identity of a network that a recipe describes; `facts` are the other attributes."""
        options = model.options.model_dump(mode="json")
        images = {name: getattr(model, name) for name in _IMAGES}
        return cls(arch=model.arch, arch_config=options, **images, **facts)

    def model(self) -> ModelConfig:
        """The network, as a recipe would describe it.

        Raises:
            DataError: this version has no such architecture, or the architecture no such setting.
        """
        images = {name: getattr(self, name) for name in _IMAGES}
        tables = {"arch": self.arch, "options": self.arch_config, **images}
        try:
            return ModelConfig.model_validate(tables)
        except ValidationError as error:
            texts = "; ".join(problem.text for problem in find_problems(error, tables, ModelConfig))
            raise DataError(f"the weights are of a network that this version cannot build: {texts}", _UPDATE) from error

    def changed(self, **facts: Any) -> Self:  # noqa: ANN401 - any of the attributes
        """A checked copy with other facts."""
        return type(self).model_validate({**dict(self), **facts})

    def to_json(self) -> str:
        """One line, keys sorted: equal identities give equal bytes."""
        silent = {name for name, usual in _USUAL.items() if getattr(self, name) == usual}
        return json.dumps(self.model_dump(mode="json", exclude=silent), sort_keys=True, separators=(",", ":"))


_USUAL: dict[str, Any] = {"guide_bands": 1, "start": {}}
"""Not written down, so that versions that know no such fact read on."""
_IMAGES = ("bands", "guide_bands", "ratio")
_UPDATE = "install the fusion that wrote them, or a newer one: pip install -U fusioncli"


def parse_identity(text: str, source: str) -> Identity:
    """Read an identity back.

    Args:
        text: as `to_json` gives it.
        source: what to call it in an error.

    Raises:
        DataError: no JSON, another schema, or facts that are missing or wrong (all of them named).
    """
    again = "fetch or write the file again"
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"the identity in {source} is corrupt JSON: {error}", again) from error
    if not isinstance(facts, dict):
        raise DataError(f"the identity in {source} is no JSON object", again)
    if (version := facts.get("schema_version")) != SCHEMA_VERSION:
        text = f"{source} has an identity of schema {version}; this version reads schema {SCHEMA_VERSION}"
        raise DataError(text, _UPDATE)
    try:
        return Identity.model_validate(facts)
    except ValidationError as error:
        texts = "; ".join(problem.text for problem in find_problems(error, facts, Identity))
        raise DataError(f"the identity in {source} is wrong: {texts}", again) from error
