"""One error family: every failure that a user can cause or mend is a `FusionError` with a hint.

The command line prints `error: …` and `hint: …` on stderr and leaves with `exit_code`; a library user catches
`FusionError`. Anything else that escapes is a bug (exit code 1).
"""

from __future__ import annotations


class FusionError(Exception):
    """What went wrong, with the numbers that matter, and the next thing to type.

    Attributes:
        message: one sentence, no trailing full stop needed.
        hint: what to do about it; one sentence.
        exit_code: documented process exit status of this kind of error.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(FusionError):
    """The command line or a recipe is wrong (exit code 2)."""

    exit_code = 2


class DataError(FusionError):
    """The input data, or the place to write to, is unusable (exit code 3)."""

    exit_code = 3


class PartialError(FusionError):
    """Some work is done and kept; the same command again resumes it (exit code 4)."""

    exit_code = 4


class QualityGateError(FusionError):
    """A figure missed the limit that `fusion eval --fail-under` asked for (exit code 5)."""

    exit_code = 5
