"""The floors below speak of MS and PAN, whatever the pair; a user of `fusion hsi-fuse` has given HSI and MSI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fusioncli.errors import FusionError

_CUBE_WORDS = {"MS": "HSI", "PAN": "MSI", "--ms": "--hsi", "--pan": "--msi"}
_WORD = re.compile(r"(?<![\w./\\-])(MS|PAN|--ms|--pan)(?![\w/\\-])(?!\.\w)")  # not in file names


def in_cube_words(text: str) -> str:
    """A text about MS and PAN as one about HSI and MSI."""
    return _WORD.sub(lambda found: _CUBE_WORDS[found[1]], text)


@contextmanager
def cube_words() -> Iterator[None]:
    """Errors raised inside come out in words of cubes."""
    try:
        yield
    except FusionError as error:
        raise type(error)(in_cube_words(error.message), in_cube_words(error.hint)) from error
