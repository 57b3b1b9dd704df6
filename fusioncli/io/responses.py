"""Spectral responses as a table of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusioncli.errors import DataError


def read_responses(path: Path, bands: int) -> np.ndarray:
    """Spectral responses from a text of numbers, rows scaled to sum 1.

    Args:
        path: one row per MSI band and one column per HSI band, or the transpose, separated by blanks, commas,
            semicolons or tabs; lines that start with # are skipped.
        bands: HSI bands.

    Returns:
        (MSI bands, bands).

    Raises:
        DataError: no such table, or none of its sides is the number of bands.
    """
    try:
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line.lstrip()[0] != "#"
        ]
        table = np.array([_numbers(line) for line in lines], float)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is not a table of spectral responses ({error})",
            "write one row per MSI band, one number per HSI band",
        ) from error
    if table.ndim == 2 and table.shape[1] != bands and table.shape[0] == bands:
        table = table.T
    if table.ndim != 2 or table.shape[1] != bands:
        shape = " x ".join(map(str, table.shape))
        raise DataError(
            f"{path} holds {shape} numbers, the scene has {bands} bands", "one column per HSI band is needed"
        )
    if not np.isfinite(table).all() or (table < 0).any() or (table.sum(1) == 0).any():
        raise DataError(f"{path}: every row needs responses of at least 0 that are not all 0", "correct the table")
    return table / table.sum(1, keepdims=True)


def _numbers(line: str) -> Sequence[float]:
    for mark in ",;\t":
        line = line.replace(mark, " ")
    return [float(word) for word in line.split()]
