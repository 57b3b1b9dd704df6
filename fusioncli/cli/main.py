"""The `fusion` command: verbs, errors and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from fusioncli import __version__
from fusioncli.cli.align import align
from fusioncli.cli.doctor import doctor
from fusioncli.cli.evaluate import evaluate
from fusioncli.cli.finetune import finetune
from fusioncli.cli.hsi_fuse import hsi_fuse
from fusioncli.cli.info import info
from fusioncli.cli.pansharpen import pansharpen
from fusioncli.cli.recipes import recipes
from fusioncli.cli.simulate import simulate
from fusioncli.cli.train import train
from fusioncli.cli.weights import weights
from fusioncli.errors import FusionError, UsageError

_EPILOG = (
    "Exit codes: 0 done · 1 a bug · 2 usage · 3 bad data · 4 partial, rerun resumes · 5 quality gate · 130 interrupted"
    " · 141 nobody reads on."
)

INTERRUPTED = 130
"""Exit code after Ctrl-C; the option parser turns the exception into it."""

UNREAD = 141
"""Exit code when the reader of a pipe has left, as `head` does: that of a program that SIGPIPE ends, in a shell."""

app = typer.Typer(
    name="fusion",
    help="Remote-sensing image fusion: georeferenced in, georeferenced out.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fusion {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


_VERBS = {
    "pansharpen": pansharpen,
    "hsi-fuse": hsi_fuse,
    "eval": evaluate,
    "train": train,
    "finetune": finetune,
    "align": align,
    "info": info,
    "doctor": doctor,
}
_RESUMED = {"pansharpen", "hsi-fuse", "train", "finetune"}
"""Verbs that keep finished work when they are interrupted."""

for name, verb in _VERBS.items():
    app.command(name)(verb)
for name, group in {"recipes": recipes, "weights": weights, "simulate": simulate}.items():
    app.add_typer(group, name=name)


def main(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code and prints errors as `error:` and `hint:` on stderr."""
    try:
        return _attempt(arguments)
    except BrokenPipeError:
        return UNREAD
    except SystemExit as leaving:  # what the option parser, and rich, make of a broken pipe
        if isinstance(leaving.__context__, BrokenPipeError):
            return UNREAD
        raise


def run() -> None:
    """Entry point of the console script."""
    code = main(sys.argv[1:])
    if code == UNREAD:  # or Python complains about what it cannot flush
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.exit(code)


def _attempt(arguments: Sequence[str]) -> int:
    try:
        code = app(args=list(arguments), standalone_mode=False) or 0
        return _interrupted(arguments) if code == INTERRUPTED else code
    except FusionError as error:
        if "--debug" in arguments:
            raise
        _complain(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(arguments)
    except Exception as error:
        complaint = getattr(error, "format_message", None)  # only errors of the option parser have one
        if complaint is None or "--debug" in arguments:
            return _bug(error, "--debug" in arguments)
        if text := complaint().rstrip("."):  # empty where the help has been printed instead
            _complain(UsageError(text, _usage_hint(arguments)))
        return UsageError.exit_code


def _interrupted(arguments: Sequence[str]) -> int:
    resumes = _verb(arguments) in _RESUMED and "--no-resume" not in arguments
    outlook = "what is finished is kept, the same command resumes" if resumes else "the same command starts afresh"
    typer.echo(f"interrupted: {outlook}", err=True)
    return INTERRUPTED


def _complain(error: FusionError) -> None:
    for label, text in (("error", error.message), ("hint", error.hint)):
        typer.echo(f"{label}: {' '.join(text.split())}", err=True)


def _bug(error: Exception, debug: bool) -> int:
    if debug:
        raise error
    _complain(FusionError(f"unexpected {type(error).__name__}: {error}", "this is a bug; add --debug and report it"))
    return FusionError.exit_code


def _usage_hint(arguments: Sequence[str]) -> str:
    verb = _verb(arguments)
    known = {entry.name for entry in (*app.registered_commands, *app.registered_groups)}
    return f"try: fusion {verb} --help" if verb in known else "try: fusion --help"


def _verb(arguments: Sequence[str]) -> str | None:
    return next((word for word in arguments if not word.startswith("-")), None)
