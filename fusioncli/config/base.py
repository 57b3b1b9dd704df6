"""What every table of settings has in common: frozen, strict, no unknown keys; and the number ranges in use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Count = Annotated[int, Field(ge=1)]
WholeNumber = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]


def several(value: object) -> object:
    """One text stands for a list of one; lists become tuples, which do not change."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(several)]
Counts = Annotated[tuple[Count, ...], BeforeValidator(several)]


class Table(BaseModel):
    """One table of a recipe: it cannot be changed, takes no unknown key and converts no text to a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Conflict(NamedTuple):
    """Settings that are right alone and wrong together.

    Attributes:
        path: where the user should look first, such as ("data", "patch_px").
        value: what stands there.
        message: what it should be, starting with "should".
    """

    path: tuple[str, ...]
    value: Any
    message: str


def refuse(title: str, conflicts: Iterable[Conflict]) -> None:
    """Report all conflicts of a table at once, as pydantic reports its own findings.

    Raises:
        ValidationError: there is at least one.
    """
    found = [
        InitErrorDetails(type=PydanticCustomError("conflict", "{text}", {"text": text}), loc=path, input=value)
        for path, value, text in conflicts
    ]
    if found:
        raise ValidationError.from_exception_data(title, found)
