"""Folders of ordinary pictures: red, green and blue in 8 or 16 bit, as PNG, JPEG or TIFF."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusioncli.errors import DataError
from fusioncli.io.raster import open_raster, reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_DTYPES = ("uint8", "uint16")


@dataclass(frozen=True)
class Picture:
    """A picture without its pixels.

    Attributes:
        path: of the file.
        height: rows.
        width: columns.
        dtype: uint8 or uint16.
    """

    path: Path
    height: int
    width: int
    dtype: str

    def read(self) -> np.ndarray:
        """Red, green and blue, (3, height, width); an alpha channel is left out.

        Raises:
            DataError: the file is damaged.
        """
        with open_raster(str(self.path)) as dataset, reading(str(self.path), "the picture"):
            return dataset.read([1, 2, 3])


def find_pictures(folder: Path) -> list[Picture]:
    """All pictures in a folder and the folders in it, by name.

    Raises:
        DataError: there is no such folder or no picture in it, or one has other samples.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", "name a folder of PNG, JPEG or TIFF pictures")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise DataError(
            f"{folder} holds no picture ({', '.join(SUFFIXES)})", "name a folder of PNG, JPEG or TIFF pictures"
        )
    return [_describe(path) for path in paths]


def _describe(path: Path) -> Picture:
    with open_raster(str(path)) as dataset:
        kinds = dataset.dtypes[:3]
        if len(kinds) < 3 or len(set(kinds)) > 1 or kinds[0] not in _DTYPES:
            raise DataError(
                f"{path} has {dataset.count} bands of {dataset.dtypes[0]}, not red, green and blue in 8 or 16 bit",
                f"move it out of the folder, or convert it: gdal_translate -ot Byte -expand rgb {path} rgb.png",
            )
        return Picture(path, dataset.height, dataset.width, kinds[0])
