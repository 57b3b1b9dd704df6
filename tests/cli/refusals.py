"""What every refusal looks like: two lines on stderr, nothing on stdout, nothing new on disk."""

from __future__ import annotations

from pathlib import Path

from conftest import Outcome


def listing(folder: Path) -> set[str]:
    """Every file and folder below, hidden ones included."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def complaint(outcome: Outcome) -> tuple[str, str]:
    """The texts of the error and of its hint; notes may come first."""
    lines = [line for line in outcome.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 2, outcome.stderr
    assert lines[0].startswith("error: "), outcome.stderr
    assert lines[1].startswith("hint: "), outcome.stderr
    assert "Traceback" not in outcome.stderr
    return lines[0].removeprefix("error: "), lines[1].removeprefix("hint: ")


def assert_refused(outcome: Outcome, code: int, error: str, hint: str = "") -> None:
    """The exit code, and a piece of each text."""
    assert outcome.code == code, outcome.stderr
    found = complaint(outcome)
    assert error in found[0], found
    assert hint in found[1], found
    assert outcome.stdout == ""
