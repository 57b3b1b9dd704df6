"""Which method `--method auto` takes, and why."""

from __future__ import annotations

from fusioncli.models.catalogue import AUTO, find_method

_BEST_CLASSICAL = "mtf-glp-fs"


def choose_method(name: str) -> tuple[str, str]:
    """Resolve a method name.

    Returns:
        The method, and a sentence that says why it was chosen ("" when the user named it).

    Raises:
        UsageError: unknown name.
    """
    if name.lower() != AUTO:
        return find_method(name).name, ""
    return _BEST_CLASSICAL, (
        f"method {_BEST_CLASSICAL}: the best compromise of ERGAS and SAM among the classical methods on real pairs of "
        "eight sensors (docs/results.md); --method overrides"
    )
