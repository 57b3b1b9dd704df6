"""Limits that figures must not miss, for pipelines: `--fail-under ERGAS=3`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from fusioncli.errors import QualityGateError, UsageError
from fusioncli.workflows.evaluate.report import EvalReport, Index


@dataclass(frozen=True)
class Limit:
    """The worst value of an index that is still good enough.

    Attributes:
        index: name of the index.
        value: limit; larger values miss it if lower is better, smaller ones if higher is better.
    """

    index: str
    value: float


def find_limits(limits: Sequence[Limit], indices: Sequence[Index]) -> list[Limit]:
    """The limits with their indices spelled as the report spells them.

    Raises:
        UsageError: an index that this evaluation does not compute; the hint names the nearest.
    """
    names = {_plain(index.name): index.name for index in indices}
    for limit in limits:
        if _plain(limit.index) not in names:
            near = difflib.get_close_matches(_plain(limit.index), names, n=1, cutoff=0.0)
            raise UsageError(
                f"no index of this evaluation is called '{limit.index}'",
                f"did you mean '{names[near[0]]}'? Known: {', '.join(names.values())}",
            )
    return [Limit(names[_plain(limit.index)], limit.value) for limit in limits]


def check_limits(limits: Sequence[Limit], report: EvalReport) -> None:
    """Every row keeps every limit.

    Raises:
        QualityGateError: one misses, or has no value; all misses are named.
    """
    higher = {index.name: index.higher_is_better for index in report.indices}
    misses = []
    for limit in limits:
        for name, row in report.rows.items():
            value = row.values[limit.index]
            if value is None:
                misses.append(f"{limit.index} of {name} is undefined")
            elif value < limit.value if higher[limit.index] else value > limit.value:
                side = "below" if higher[limit.index] else "above"
                misses.append(f"{limit.index} of {name} is {value:.6g}, {side} {limit.value:g}")
    if misses:
        raise QualityGateError("; ".join(misses), "the figures are printed in full; raise the quality or the limit")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
