"""Option groups: a command takes a few frozen dataclasses instead of twenty parameters.

A group is a dataclass whose fields are annotated for Typer; `takes_groups` shows Typer one flat signature and hands
the command the dataclasses. So every flag is declared once, in `options.py`, and every verb that has it agrees.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, get_type_hints


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Flatten a command's dataclass parameters into options."""
    groups = {name: group for name, group in get_type_hints(command).items() if name != "return"}
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=get_type_hints(group, include_extras=True)[field.name],
        )
        for group in groups.values()
        for field in fields(group)
    ]

    @wraps(command)
    def flat(**values: Any) -> None:  # noqa: ANN401 - whatever the options' types are
        command(**{name: group(**{f.name: values[f.name] for f in fields(group)}) for name, group in groups.items()})

    flat.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue] - read by inspect
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del flat.__wrapped__  # or inspect would look through it
    return flat


def _default(field: Any) -> Any:  # noqa: ANN401 - dataclasses.Field of any type
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default
