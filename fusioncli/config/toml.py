"""Plain tables as TOML: what a resolved recipe needs, and no more of the language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(tables: Mapping[str, Any]) -> str:
    """Text that `tomllib` reads back as the same tables.

    Args:
        tables: nested mappings of str, bool, int, finite float and lists of them; lists of mappings become `[[…]]`.

    Raises:
        TypeError: any other value.
    """
    return "\n".join(_lines(tables, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    arrays = {key: value for key, value in table.items() if _is_array(value)}
    plain = {key: value for key, value in table.items() if key not in inner and key not in arrays}
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in inner.items():
        own = (*path, key)
        if not value or any(not isinstance(item, Mapping) and not _is_array(item) for item in value.values()):
            yield f"\n[{_dotted(own)}]"
        yield from _lines(value, own)
    for key, tables in arrays.items():
        for item in tables:
            yield f"\n[[{_dotted((*path, key))}]]"
            yield from _lines(item, (*path, key))


def _is_array(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(_key, path))


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"TOML has no place for {value!r} here")


def _text(text: str) -> str:
    """JSON's escapes are TOML's, but for DEL, which TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
