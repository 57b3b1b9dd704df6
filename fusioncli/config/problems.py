"""From what pydantic found to what a person can act on: dotted path, offending value, nearest right name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fusioncli.errors import UsageError

_LONGEST_VALUE = 60
_WORDS = {
    r"valid dictionary or instance of \w+": "table",
    r"valid integer": "whole number",
    r"valid tuple": "list",
    r"a valid boolean": "true or false",
    r"greater than or equal to": "at least",
    r"less than or equal to": "at most",
    r"greater than": "above",
    r"less than": "below",
}
"""From pydantic's words to a recipe's, in this order."""


@dataclass(frozen=True)
class Problem:
    """One wrong setting.

    Attributes:
        path: dotted, such as "optimiser.learning_rate".
        text: the whole complaint, path and value included.
    """

    path: str
    text: str


class RecipeError(UsageError):
    """A recipe with problems, all of them.

    Attributes:
        problems: in the order of the recipe's tables.
    """

    def __init__(self, source: str, problems: tuple[Problem, ...], hint: str) -> None:
        several = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        super().__init__(f"recipe {source} has {several}: " + "; ".join(each.text for each in problems), hint)
        self.problems = problems


def find_problems(error: ValidationError, raw: Mapping[str, Any], model: type[BaseModel]) -> tuple[Problem, ...]:
    """Explain a validation error.

    Args:
        error: what `model` said about `raw`.
        raw: plain nested tables.
        model: the tables' schema.
    """
    names = tuple(setting_names(model))
    return tuple(_explain(details, raw, names) for details in error.errors(include_url=False))


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings and tables of a schema, of every alternative where there are several."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for table in _tables_in(field.annotation):
            yield from setting_names(table, f"{prefix}{name}.")


def _tables_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any type expression
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        yield from annotation.__subclasses__()
    for part in get_args(annotation):
        yield from _tables_in(part)


def _explain(details: ErrorDetails, raw: Mapping[str, Any], names: tuple[str, ...]) -> Problem:
    path, kind, value = _dotted(details["loc"], raw), details["type"], _shown(details["input"])
    if kind == "missing":
        return Problem(path, f"{path} is missing")
    if kind == "extra_forbidden":
        return Problem(path, f"{path} = {value} is no setting{_did_you_mean(_nearest_setting(path, names))}")
    expected = re.findall(r"'([^']+)'", details["msg"]) if kind == "literal_error" else []
    wish = re.sub(r"^.*?(?=should )", "", details["msg"])
    for pattern, word in _WORDS.items():
        wish = re.sub(pattern, word, wish)
    return Problem(path, f"{path} = {value} {wish}{_did_you_mean(_nearest_word(details['input'], expected))}")


def _nearest_word(value: object, words: list[str]) -> str | None:
    by_lower = {word.lower(): word for word in words}
    near = difflib.get_close_matches(str(value).lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def _dotted(location: tuple[int | str, ...], raw: object) -> str:
    """The path in the recipe; the labels of alternatives, which pydantic puts between, are not in it."""
    parts: list[str] = []
    for index, step in enumerate(location):
        if step in (inside := _children(raw)):
            raw = inside[step]
        elif index + 1 < len(location) or not isinstance(raw, Mapping):
            continue  # a label, or the last step of a value that is no table
        parts.append(str(step))
    return ".".join(parts)


def _children(raw: object) -> Mapping[Any, Any]:
    """What is in a table or a list; nothing is in anything else."""
    if isinstance(raw, list):
        return dict(enumerate(raw))
    return raw if isinstance(raw, Mapping) else {}


def _nearest_setting(path: str, names: tuple[str, ...]) -> str | None:
    """A sibling with a similar name, or else the place where that name belongs."""
    table, _, leaf = path.rpartition(".")
    siblings = {name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == table and name != path}
    if near := difflib.get_close_matches(leaf, sorted(siblings), n=1):
        return near[0]
    elsewhere = {name.rpartition(".")[2]: name for name in names}
    near = difflib.get_close_matches(leaf, sorted(elsewhere), n=1, cutoff=0.8)
    return elsewhere[near[0]] if near else None


def _did_you_mean(name: str | None) -> str:
    return f" (did you mean {name}?)" if name else ""


def _shown(value: object) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
