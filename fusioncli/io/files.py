"""Files that are either whole or not there: write beside, flush, rename."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusioncli.errors import DataError


@contextmanager
def whole_file(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Give a temporary path; on success flush it to disk and rename it to `path`.

    Args:
        path: final name.
        folder: where the temporary file lies, on the same disk; that of `path` if not given.

    Raises:
        DataError: the disk is full or the folder cannot be written to; the temporary file is gone then.
    """
    temporary = (folder or path.parent) / f".{path.name}.{os.getpid()}.tmp{path.suffix}"
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_failure(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_failure(path: Path, error: OSError) -> DataError:
    """Say why a file could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"the disk of {path.parent} is full", "free some space or write elsewhere with -o")
    return DataError(f"{path} cannot be written ({error.strerror or error})", "choose another place with -o")


def check_writable(path: Path, overwrite: bool, need_bytes: int) -> None:
    """Refuse before any work what would fail after it.

    Raises:
        DataError: the file exists (without overwrite), its folder is missing or read-only, or the disk is too full.
    """
    folder = path.parent
    if path.is_dir():
        raise DataError(f"{path} is a folder", "name a file with -o, for example fused.tif")
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists already", "add --overwrite to replace it, or choose another name with -o")
    if not folder.is_dir():
        raise DataError(f"the output folder {folder} does not exist", f"make it first: mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise DataError(f"the output folder {folder} is read-only", "choose a writable folder with -o")
    free = shutil.disk_usage(folder).free
    if free < need_bytes:
        raise DataError(
            f"the disk of {folder} is full: about {need_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB free",
            "free some space or write elsewhere with -o",
        )
