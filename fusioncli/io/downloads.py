"""Weights by name: those that come with fusion, those in the cache, and those that can be fetched into it."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

import fusioncli
from fusioncli.errors import DataError, UsageError
from fusioncli.io.files import write_failure
from fusioncli.io.weights import SUFFIX, weight_files

CACHE_VARIABLE = "FUSION_CACHE"
PACKAGED = Path(fusioncli.__file__).parent / "models" / "packaged"


@dataclass(frozen=True)
class Remote:
    """A file that can be fetched.

    Attributes:
        url: http or https.
        sha256: of its bytes, in hexadecimal.
        title: one line for `fusion weights ls`.
    """

    url: str
    sha256: str
    title: str


REMOTES: Mapping[str, Remote] = {}
"""By file name. None is published yet."""


def cache_folder() -> Path:
    """Where fetched weights are kept: the folder FUSION_CACHE, or the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("fusioncli"))


def fetch(name: str, remote: Remote) -> Path:
    """A file in the cache; it is downloaded if it is not there or has another digest.

    Raises:
        DataError: no connection, a refusal of the server, a file with another digest, or no place to keep it.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = f"choose another with the environment variable {CACHE_VARIABLE}"
        raise DataError(f"the cache folder {folder} cannot be made ({error.strerror})", hint) from error
    by_hand = f"download it elsewhere and put it in {folder}"
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        return Path(pooch.retrieve(remote.url, f"sha256:{remote.sha256}", name, folder))
    except ValueError as error:  # pooch's word for a wrong digest
        text = f"{remote.url} is not the file with the SHA-256 {remote.sha256}; it was thrown away"
        raise DataError(text, f"try again later, or {by_hand}") from error
    except OSError as error:
        if error.errno:  # of the disk; failures of requests are OSErrors without a number
            raise write_failure(folder / name, error) from error
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = f"the server answers {status}" if status else "no connection"
        text = f"{name} cannot be downloaded from {remote.url}: {reason}"
        raise DataError(text, f"check the network, or {by_hand}") from error


def find_weights(name: str, remotes: Mapping[str, Remote] = REMOTES) -> Path:
    """The file that a name stands for.

    Args:
        name: a path, or the name (with or without ending) of packaged, cached or fetchable weights.
        remotes: what can be fetched.

    Raises:
        UsageError: there is none; the hint gives the nearest name.
        DataError: it could not be fetched.
    """
    if (path := Path(name)).is_file():
        return path
    full = name if name.endswith(SUFFIX) else name + SUFFIX
    if full in remotes:
        return fetch(full, remotes[full])
    local = {file.name: file for file in weight_files([cache_folder(), PACKAGED])}
    if full in local:
        return local[full]
    known = [each.removesuffix(SUFFIX) for each in (*local, *remotes)]
    near = difflib.get_close_matches(full.removesuffix(SUFFIX), known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see what there is: fusion weights ls"
    raise UsageError(f"there are no weights {name}", hint)
