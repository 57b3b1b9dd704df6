"""Which method `--method auto` takes, and why; and whether weights go with a method."""

from __future__ import annotations

from pathlib import Path

from fusioncli.errors import DataError, UsageError
from fusioncli.io.weights import read_header
from fusioncli.models.catalogue import AUTO, NETWORKS, WEIGHTS_SUFFIX, find_method

_BEST_CLASSICAL = "mtf-glp-fs"


def choose_method(name: str, weights: Path | None = None) -> tuple[str, str]:
    """Resolve a method name.

    Args:
        name: of a method, or "auto".
        weights: of a network; with "auto", their own one is taken.

    Returns:
        The method, which is the path of the weights where there are any, and a sentence that says why it was chosen
        ("" when the user named it).

    Raises:
        UsageError: unknown name, or a method that takes no weights.
        DataError: the weights are unusable, or of another network.
    """
    if weights is not None:
        return _network(name, weights), ""
    if name.lower() != AUTO:
        return find_method(name).name, ""
    return _BEST_CLASSICAL, (
        f"method {_BEST_CLASSICAL}: the best compromise of ERGAS and SAM among the classical methods on real pairs of "
        "eight sensors (docs/results.md); --method overrides"
    )


def _network(name: str, weights: Path) -> str:
    if weights.suffix != WEIGHTS_SUFFIX:
        hint = "see what there is: fusion weights ls"
        raise UsageError(f"--weights takes a file {WEIGHTS_SUFFIX}, got {weights}", hint)
    if name.lower() == AUTO:
        return str(weights)
    method = find_method(name)
    if method not in NETWORKS:
        raise UsageError(f"{method.name} takes no weights", "leave out --method, or --weights")
    if (arch := read_header(weights).identity.arch) != method.name:
        raise DataError(f"{weights} holds weights of {arch}, not of {method.name}", "leave out --method")
    return str(weights)
