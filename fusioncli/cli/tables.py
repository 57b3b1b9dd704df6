"""The table of an evaluation on stdout: bold marks the best in a terminal, a star in a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusioncli.workflows.evaluate.report import EvalReport

_PIPE_WIDTH = 400  # nobody sees it: no line is broken there


def print_table(report: EvalReport, *files: Path) -> None:
    """One row per image, a column per index, the caption below; then the files that were written, one a line."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if terminal else _PIPE_WIDTH, highlight=False, soft_wrap=not terminal)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("image", overflow="fold")
    for title in report.titles:
        table.add_column(title.replace("_", " ") if terminal else title, justify="right")
    for name in report.rows:
        table.add_row(name, *(_marked(text, best, terminal) for text, best in report.cells(name)))
    console.print(table)
    console.print(report.caption, markup=False)
    for file in files:
        console.print(str(file), markup=False)


def _marked(text: str, best: bool, terminal: bool) -> str:
    if not best:
        return text if terminal else f"{text} "
    return f"[bold]{text}[/bold]" if terminal else f"{text}*"
