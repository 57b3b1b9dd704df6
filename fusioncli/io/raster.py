"""One raster file, described once: grid, spectral bands, numbers, masks, names and tags; opened with clear errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from fusioncli.core.grid import Grid
from fusioncli.errors import DataError
from fusioncli.io.spectrum import rejected, wavelengths_nm

_LOOK_PX = 64
_MASK_EDGES = 0.1  # a mask is all or nothing but for a blurred edge
_RAW_TIFF = "GTIFF_RAW:"  # GDAL's prefix for the stored samples, without conversion to RGBA

warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # said in our own words, once


@dataclass(frozen=True)
class Band:
    """One spectral band as found in the file.

    Attributes:
        index: GDAL's band number, from 1.
        name: description, or None.
        colour: colour interpretation.
        scale: physical value per digital number.
        offset: physical value of digital number 0.
        unit: of the physical values, or None.
        tags: the band's own metadata.
        wavelength_nm: centre of its pass band, or None.
        rejected: whether the file's bad band list marks it.
    """

    index: int
    name: str | None
    colour: ColorInterp
    scale: float
    offset: float
    unit: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    wavelength_nm: float | None = None
    rejected: bool = False


@dataclass(frozen=True)
class Raster:
    """What a raster file holds, without its pixels.

    Attributes:
        path: as given by the user.
        source: what is opened (differs from `path` where GDAL would convert colours).
        grid: pixel grid; `crs` there is text for messages.
        crs: coordinate reference system, or None.
        bands: spectral bands; an alpha band that is a mask is not among them.
        alpha: GDAL number of the band that is a mask, or None.
        dtype: numpy name of the sample type.
        nodata: declared (or imposed) value of missing pixels, or None.
        imposed: whether `nodata` overrides the file's own.
        masks: whether GDAL derives masks from declared nodata or a mask band.
        bit_depth: declared significant bits (NBITS), or None.
        tags: dataset metadata.
        sensor_model: "rpc" or "gcp" when positions come from those only, else None.
        striped: whether a window of a few rows is the cheapest read.
        notes: what the user should know about the bands.
    """

    path: str
    source: str
    grid: Grid
    crs: CRS | None
    bands: tuple[Band, ...]
    alpha: int | None
    dtype: str
    nodata: float | None
    imposed: bool
    masks: bool
    bit_depth: int | None
    tags: Mapping[str, str]
    sensor_model: str | None
    striped: bool
    notes: tuple[str, ...] = ()

    @property
    def masked(self) -> bool:
        """Whether pixels may be missing (nodata, alpha, mask band, or NaN in float samples)."""
        return self.masks or self.imposed or self.alpha is not None or np.dtype(self.dtype).kind == "f"

    @property
    def indexes(self) -> list[int]:
        """GDAL numbers of the spectral bands."""
        return [band.index for band in self.bands]


def open_raster(path: str) -> DatasetReader:
    """Open for reading with a handle of its own (GDAL handles must not cross threads).

    Raises:
        DataError: missing, unreadable, or not a raster.
    """
    try:
        return cast(DatasetReader, rasterio.open(path, sharing=False))
    except RasterioError as error:
        text = str(error).splitlines()[0]
        if "No such file" in text or "does not exist" in text:
            raise DataError(f"{path}: no such file", "check the path") from error
        raise DataError(
            f"{path} cannot be opened as a raster ({text})",
            "any file that `gdalinfo` opens will do; remote paths need /vsicurl/ or a URL",
        ) from error


@contextmanager
def reading(path: str, part: str) -> Iterator[None]:
    """Say which part of which file could not be read.

    Raises:
        DataError: instead of rasterio's errors.
    """
    try:
        yield
    except RasterioError as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise DataError(
            f"{path}: {part} cannot be read ({cause})", "the file is damaged or truncated; copy or download it again"
        ) from error


def describe(path: str, nodata: float | None = None) -> Raster:
    """Look at a file; pixels are read only to tell whether an alpha band is a mask.

    Args:
        path: anything rasterio opens.
        nodata: value to take as missing instead of the declared one.

    Raises:
        DataError: not a raster, no bands, zero size, complex samples, or palette colours.
    """
    with open_raster(path) as dataset:
        source = path
        if dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE") == "CMYK":
            source = _RAW_TIFF + path
    with open_raster(source) as dataset:
        _check_samples(path, dataset)
        grid = Grid(dataset.height, dataset.width, Affine(*dataset.transform[:6]), _crs_name(dataset.crs))
        declared = dataset.nodatavals[0]
        bit_depth = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
        alphas = [i for i, colour in enumerate(dataset.colorinterp, 1) if colour is ColorInterp.alpha]
        alpha = next((i for i in alphas if _holds_mask(path, dataset, i)), None)
        notes = [f"band {i} of {path} is tagged alpha but is no mask; it is fused like the others" for i in alphas]
        if alpha is not None:
            notes = [f"band {alpha} of {path} is an alpha band: it tells which pixels hold data"]
        return Raster(
            path=path,
            source=source,
            grid=grid,
            crs=dataset.crs if grid.georeferenced else None,
            bands=_bands(dataset, alpha),
            alpha=alpha,
            dtype=str(np.result_type(*dataset.dtypes)),
            nodata=declared if nodata is None else nodata,
            imposed=nodata is not None,
            masks=any(not {MaskFlags.all_valid, MaskFlags.alpha} & set(f) for f in dataset.mask_flag_enums),
            bit_depth=int(bit_depth) if bit_depth else None,
            tags={k: v for k, v in dataset.tags().items() if k != "AREA_OR_POINT"},
            sensor_model=None if grid.georeferenced else _sensor_model(dataset),
            striped=dataset.block_shapes[0][1] == dataset.width and dataset.width > 4096,
            notes=tuple(notes),
        )


def single_bands(raster: Raster) -> tuple[Raster, ...]:
    """One raster per band where every band may have gaps of its own, else the raster itself."""
    own_gaps = raster.nodata is not None or np.dtype(raster.dtype).kind == "f"
    if not own_gaps or raster.alpha is not None or len(raster.bands) == 1 or "?" in raster.source:
        return (raster,)
    return tuple(
        replace(raster, source=f"vrt://{raster.source}?bands={band.index}", bands=(replace(band, index=1),))
        for band in raster.bands
    )


def spread_windows(dataset: DatasetReader, per_side: int) -> list[Window]:
    """A few small windows, from corner to corner: what a look at a file of any size may cost."""
    height, width = (max(1, min(n // per_side, _LOOK_PX)) for n in dataset.shape)  # apart, so that none counts twice
    rows = sorted({int(row) for row in np.linspace(0, dataset.height - height, per_side)})
    cols = sorted({int(col) for col in np.linspace(0, dataset.width - width, per_side)})
    return [Window(col, row, width, height) for row in rows for col in cols]  # pyright: ignore[reportCallIssue] - attrs class


def _check_samples(path: str, dataset: DatasetReader) -> None:
    if dataset.count == 0:
        raise DataError(f"{path} holds no band", "if it is a container, name a subdataset (`gdalinfo` lists them)")
    if min(dataset.width, dataset.height) == 0:
        raise DataError(f"{path} is {dataset.width} x {dataset.height} px", "the file is empty; export it again")
    kinds = {np.dtype(dtype).kind if "int" in dtype or "float" in dtype else dtype for dtype in dataset.dtypes}
    if not kinds <= set("uif"):
        raise DataError(f"{path} holds {dataset.dtypes[0]} samples", "convert to real numbers first (amplitude)")
    if ColorInterp.palette in dataset.colorinterp:
        raise DataError(
            f"{path} is a palette image: its numbers are colour indices",
            "expand it first with `gdal_translate -expand rgb`, or better use the original measurements",
        )


def _crs_name(crs: CRS | None) -> str | None:
    if not crs:
        return None
    epsg = crs.to_epsg()
    return f"EPSG:{epsg}" if epsg else crs.to_wkt().split('"')[1]


def _holds_mask(path: str, dataset: DatasetReader, alpha: int) -> bool:
    """Look at a few windows: GDAL tags the last of any four 8-bit bands as alpha, near infrared included."""
    with reading(path, f"band {alpha}"):
        samples = np.concatenate([dataset.read(alpha, window=window).ravel() for window in spread_windows(dataset, 3)])
    between = (samples > 0) & (samples < samples.max())
    return bool(between.mean() < _MASK_EDGES)


def _bands(dataset: DatasetReader, alpha: int | None) -> tuple[Band, ...]:
    centres_nm, bad = wavelengths_nm(dataset), rejected(dataset)
    return tuple(
        Band(
            index,
            dataset.descriptions[index - 1],
            ColorInterp.undefined if colour is ColorInterp.alpha else colour,
            dataset.scales[index - 1],
            dataset.offsets[index - 1],
            dataset.units[index - 1],
            dataset.tags(index),
            centres_nm[index - 1],
            index in bad,
        )
        for index, colour in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if index != alpha
    )


def _sensor_model(dataset: DatasetReader) -> str | None:
    if dataset.rpcs is not None:
        return "rpc"
    return "gcp" if dataset.gcps[0] else None
