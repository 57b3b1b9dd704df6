"""From the text of an option to its value, with the option's name in the error."""

from __future__ import annotations

from collections.abc import Sequence

from fusioncli.errors import UsageError


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """KEY=VALUE texts as a dict; keys in upper case, values untouched.

    Raises:
        UsageError: a text without "=".
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"{option} takes KEY=VALUE, got '{text}'", f"for example {option} COMPRESS=ZSTD")
        found[key.upper()] = value
    return found


def numbers(text: str | None, option: str, count: int | None = None) -> tuple[float, ...] | None:
    """Comma-separated (or space-separated) numbers.

    Raises:
        UsageError: not numbers, or not as many as needed.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise UsageError(
            f"{option} takes numbers, got '{text}'", f"for example {option} 0.25,0.25,0.25,0.25"
        ) from error
    if not values or (count is not None and len(values) != count):
        raise UsageError(f"{option} takes {count or 'some'} numbers, got {len(values)}", "separate them with commas")
    return values


def number(text: str | None, option: str) -> float | None:
    """One number; "nan" is one.

    Raises:
        UsageError: not a number.
    """
    values = numbers(text, option, 1)
    return None if values is None else values[0]


def threads(text: str) -> int | None:
    """A number of workers, or None for "ALL_CPUS".

    Raises:
        UsageError: neither.
    """
    if text.upper() == "ALL_CPUS":
        return None
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"--threads takes a number or ALL_CPUS, got '{text}'", "for example --threads 2")
    return int(text)
