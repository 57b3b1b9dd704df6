"""Scenes of the CAVE multispectral database as distributed: a folder of 31 PNGs, 400 to 700 nm in steps of 10 nm."""

from __future__ import annotations

import re
from pathlib import Path

from fusioncli.errors import DataError
from fusioncli.io.layer import Layer
from fusioncli.io.raster import describe

BANDS = 31


def open_cave(folder: Path) -> Layer:
    """The bands of a scene as one layer, blue first.

    Args:
        folder: `NAME_ms`, or the folder around it, with `NAME_ms_01.png` to `NAME_ms_31.png`: 512 x 512, 16 bit.

    Raises:
        DataError: bands are missing, doubled or of different sizes, or one is a colour picture.
    """
    found = {
        int(number.group(1)): path for path in folder.rglob("*.png") if (number := re.search(r"_(\d\d)$", path.stem))
    }
    if sorted(found) != list(range(1, BANDS + 1)):
        raise DataError(
            f"{folder} holds {len(found)} of the {BANDS} bands of a CAVE scene",
            "name the folder of one scene, with NAME_ms_01.png to NAME_ms_31.png",
        )
    files = tuple(describe(str(path)) for _, path in sorted(found.items()))
    for file in files:
        if len(file.bands) != 1 or (file.grid.height, file.grid.width) != (files[0].grid.height, files[0].grid.width):
            raise DataError(f"{file.path} is not one band of the size of {files[0].path}", "download the scene again")
    return Layer(files)
