"""The result of an evaluation as data, and as JSON, CSV and Markdown. No NaN leaves here."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import isinf
from typing import Any

from fusioncli import __version__
from fusioncli.metrics.suites import SuiteSettings, suite
from fusioncli.workflows.evaluate.measure import Figures


@dataclass(frozen=True)
class Index:
    """A column: an index of quality.

    Attributes:
        name: as `--fail-under` takes it.
        higher_is_better: direction of improvement.
        units: unit of the value, "" when it has none.
    """

    name: str
    higher_is_better: bool
    units: str

    @property
    def title(self) -> str:
        """Name and direction."""
        return f"{self.name} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True)
class EvalReport:
    """Everything that an output states.

    Attributes:
        facts: mode, protocol, ratio, phase, kernel, border and so on, in the words of `--json`.
        indices: the columns.
        rows: figures by the name of the method or file.
        notes: what the reader should know, in order.
    """

    facts: Mapping[str, Any]
    indices: tuple[Index, ...]
    rows: Mapping[str, Figures]
    notes: tuple[str, ...]

    def best(self, index: Index) -> set[str]:
        """Rows that no other beats in an index; none when there is nothing to compare."""
        values = {name: value for name, row in self.rows.items() if (value := row.values[index.name]) is not None}
        if len(self.rows) < 2 or not values:
            return set()
        top = (max if index.higher_is_better else min)(values.values())
        return {name for name, value in values.items() if value == top}

    @property
    def caption(self) -> str:
        """Protocol, phase, kernel, border, peak and versions in one line."""
        facts = {key: value for key, value in self.facts.items() if key != "versions" and value is not None}
        software = " ".join(f"{name} {number}" for name, number in self.facts["versions"].items())
        return " · ".join([*(f"{key.replace('_', ' ')}: {_number(value)}" for key, value in facts.items()), software])

    def as_json(self) -> dict[str, Any]:
        """One object; infinite values are the strings "inf" and "-inf", undefined ones null."""
        return {**self.facts, "rows": [self._row(name) for name in self.rows], "notes": list(self.notes)}

    def as_csv(self) -> str:
        """One line per row, a column per index, full precision; mean and deviation follow where they were asked for."""
        spread = any(row.spread for row in self.rows.values())
        suffixes = ("", "_mean", "_std") if spread else ("",)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", *(index.name + end for index in self.indices for end in suffixes), "masked"])
        for name, row in self.rows.items():
            cells = [
                "" if cell is None else cell
                for index in self.indices
                for cell in (row.values[index.name], *row.spread.get(index.name, (None, None)))[: len(suffixes)]
            ]
            writer.writerow([name, *cells, row.masked])
        return text.getvalue()

    def as_markdown(self) -> str:
        """A table with the best of each column in bold, the caption and the notes below it."""
        lines = [f"| image | {' | '.join(self.titles)} |", "|---|" + "---:|" * len(self.titles)]
        for name in self.rows:
            cells = [f"**{text}**" if best else text for text, best in self.cells(name)]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        return "\n".join([*lines, "", f"{self.caption}", "", *(f"- {note}" for note in self.notes)]).rstrip() + "\n"

    @property
    def titles(self) -> list[str]:
        """Heads of the columns of `cells`."""
        return [index.title for index in self.indices] + ["masked"] * self._masked

    def cells(self, name: str) -> list[tuple[str, bool]]:
        """Rounded values of one row, and whether each is the best of its column; what was masked, if anything was."""
        row = self.rows[name]
        cells = [
            (_cell(row.values[index.name], row.spread.get(index.name)), name in self.best(index))
            for index in self.indices
        ]
        return cells + [(f"{row.masked:.2%}", False)] * self._masked

    @property
    def _masked(self) -> bool:
        return any(row.masked for row in self.rows.values())

    def _row(self, name: str) -> dict[str, Any]:
        row = self.rows[name]
        return {
            "image": name,
            "values": {key: _json(value) for key, value in row.values.items()},
            **({"mean": {key: _json(mean) for key, (mean, _) in row.spread.items()}} if row.spread else {}),
            **({"std": {key: _json(std) for key, (_, std) in row.spread.items()}} if row.spread else {}),
            "masked": row.masked,
        }


def columns(suites: Sequence[str]) -> tuple[Index, ...]:
    """The indices of some suites, by the names of the suites."""
    anything = SuiteSettings(ratio=4, data_range=1.0)
    metrics = (metric for name in suites for metric in suite(name, anything).metrics)
    return tuple(Index(metric.name, metric.higher_is_better, metric.units) for metric in metrics)


def software() -> dict[str, str]:
    """Versions of what shapes a figure."""
    return {"fusioncli": __version__, **{name: version(name) for name in ("torch", "numpy", "rasterio")}}


def undefined_notes(rows: Mapping[str, Figures]) -> tuple[str, ...]:
    """Why cells are empty, each reason once."""
    return tuple(dict.fromkeys(reason for row in rows.values() for reason in row.undefined.values()))


def _cell(value: float | None, spread: tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    return f"{_digits(spread[0], 4)} ± {_digits(spread[1], 2)}" if spread else _digits(value, 4)


def _digits(value: float, count: int) -> str:
    """So many significant digits, trailing zeros included: columns then align."""
    return f"{value:#.{count}g}".removesuffix(".")


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:g}" if value.is_integer() else f"{value:.4g}"


def _json(value: float | None) -> float | str | None:
    return str(value) if value is not None and isinf(value) else value
