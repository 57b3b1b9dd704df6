"""The finished product: parts joined by a VRT, then one GeoTIFF (Cloud-Optimized or plain) under its final name."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.windows import Window

from fusioncli.core.grid import Grid
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError, UsageError
from fusioncli.io.files import whole_file
from fusioncli.io.parts import PartStore
from fusioncli.io.raster import Band

_GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}
_COMPANIONS = (".aux.xml", ".ovr", ".msk")  # statistics, overviews and masks of a file that was replaced
_PREDICTED = ("DEFLATE", "LZW", "ZSTD")  # compressions that gain from differences between neighbours
_GDAL_COLOURS = {"other_ir": "OtherIR"}  # GDAL's own names, where more than the case differs


@dataclass(frozen=True)
class Product:
    """Everything about the output file that is not pixels.

    Attributes:
        grid: pixel grid.
        crs: coordinate reference system, or None.
        bands: names, colours, scales and tags, in order.
        dtype: numpy name of the sample type.
        nodata: value of missing pixels, or None.
        tags: dataset metadata, provenance included.
        cog: Cloud-Optimized GeoTIFF with overviews, or a plain tiled one.
        options: GDAL creation options that override ours.
        empty: positions, from 0, of bands that the parts do not hold: nodata, or 0, all over.
    """

    grid: Grid
    crs: CRS | None
    bands: tuple[Band, ...]
    dtype: str
    nodata: float | None
    tags: Mapping[str, str]
    cog: bool
    options: Mapping[str, str]
    empty: frozenset[int] = frozenset()

    @property
    def stored_bands(self) -> int:
        """Bands of the parts."""
        return len(self.bands) - len(self.empty)

    @property
    def bytes(self) -> int:
        """Uncompressed size."""
        return self.grid.height * self.grid.width * len(self.bands) * np.dtype(self.dtype).itemsize


def assemble(product: Product, store: PartStore, parts: Sequence[Rect], path: Path) -> None:
    """Join finished parts into the product and put it under its name in one step.

    Args:
        product: description of the file.
        store: where the parts are.
        parts: all parts; positions count from the product's corner.
        path: final name.

    Raises:
        DataError: the disk is full, or GDAL refuses a creation option.
    """
    mosaic = store.folder / "mosaic.vrt"
    mosaic.write_text(_vrt(product, store, parts), encoding="utf-8")
    with whole_file(path, store.folder) as temporary:  # a killed process leaves it to the next one to clear
        try:
            rasterio.shutil.copy(str(mosaic), str(temporary), **creation_options(product))
            _read_last(temporary)
        except Exception as error:  # GDAL's own errors have no public base class
            text = str(error.__cause__ or error).splitlines()[0]
            raise DataError(
                f"{path} cannot be written ({text})", "is the disk full? Free some space, or write elsewhere with -o"
            ) from error
    for suffix in _COMPANIONS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def creation_options(product: Product) -> dict[str, str]:
    """GDAL driver and creation options of a product.

    Deflate at its fastest level: four times faster than the default level for a file 12 % larger, and every reader
    of TIFF knows it.
    """
    kind = "COG" if product.cog else "GTiff"
    ours = {"driver": kind, "COMPRESS": "DEFLATE", "NUM_THREADS": "ALL_CPUS", "BIGTIFF": "IF_SAFER"}
    if product.cog:
        ours |= {"PREDICTOR": "YES", "LEVEL": "1", "OVERVIEW_RESAMPLING": "AVERAGE"}
    else:
        ours |= {"PREDICTOR": "3" if np.dtype(product.dtype).kind == "f" else "2", "ZLEVEL": "1", "TILED": "YES"}
    compress = product.options.get("COMPRESS", "DEFLATE").upper()
    if compress != "DEFLATE":
        ours = {key: value for key, value in ours.items() if key not in ("LEVEL", "ZLEVEL")}
    if compress not in _PREDICTED:
        ours.pop("PREDICTOR")
    return ours | dict(product.options)


def check_options(product: Product) -> None:
    """Try the creation options on a few pixels in memory: GDAL ignores what it does not know, or writes rubbish.

    Raises:
        UsageError: GDAL warns, refuses, or does not give back what it was given.
    """
    samples = np.full((len(product.bands), 16, 16), 100, product.dtype)
    grid = {"crs": product.crs, "transform": product.grid.transform} if product.grid.georeferenced else {}
    profile = {"driver": "GTiff", "count": len(samples), "height": 16, "width": 16, "dtype": product.dtype}
    options = creation_options(product) | {"NUM_THREADS": "1"}  # other threads print their errors
    with _gdal_warnings() as complaints, MemoryFile() as source, MemoryFile(filename="trial.tif") as trial:
        try:
            with source.open(**profile, **grid, photometric="MINISBLACK") as dataset:
                dataset.write(samples)
            rasterio.shutil.copy(source.name, trial.name, **options)
            with rasterio.open(trial.name) as dataset:
                if dataset.count != len(samples) or not dataset.read().all():
                    complaints.append("bands or pixels differ from those written")
        except Exception as error:  # GDAL's own errors have no public base class
            complaints.append(str(error.__cause__ or error))
    if complaints:
        given = " ".join(f"--co {key}={value}" for key, value in product.options.items())
        reason = re.sub(r"^CPLE_\w+ in ", "", complaints[0])
        page = "cog" if product.cog else "gtiff"
        raise UsageError(
            f"{given} does not work: {reason}", f"the options are listed on https://gdal.org/drivers/raster/{page}.html"
        )


@contextmanager
def _gdal_warnings() -> Iterator[list[str]]:
    """Collect what GDAL warns about, which rasterio hands to its logger."""
    texts: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: texts.append(record.getMessage())
    logger = logging.getLogger("rasterio._env")
    logger.addHandler(handler)
    try:
        yield texts
    finally:
        logger.removeHandler(handler)


def _read_last(path: Path) -> None:
    """Read the last block: a full disk may leave a file that opens."""
    with rasterio.open(path) as dataset:
        dataset.read(window=Window(dataset.width - 1, dataset.height - 1, 1, 1))  # pyright: ignore[reportCallIssue] - attrs class


def _vrt(product: Product, store: PartStore, parts: Sequence[Rect]) -> str:
    grid = product.grid
    kept = [part for part in parts if store.has_pixels(part)]
    root = Xml.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if product.crs:
        Xml.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = product.crs.to_wkt()
    if grid.georeferenced:
        numbers = grid.transform.to_gdal()
        Xml.SubElement(root, "GeoTransform").text = ", ".join(repr(float(n)) for n in numbers)
    _metadata(root, product.tags)
    stored = 0
    for place, band in enumerate(product.bands):
        element = Xml.SubElement(root, "VRTRasterBand", dataType=_GDAL_TYPES[product.dtype], band=str(place + 1))
        _describe_band(element, band, product.nodata)
        if place not in product.empty:
            stored += 1
            for part in kept:
                _source(element, store.path(part).name, stored, part)
    return Xml.tostring(root, encoding="unicode")


def _describe_band(element: Xml.Element, band: Band, nodata: float | None) -> None:
    """Everything of a band but its pixels, in the order that GDAL reads."""
    _metadata(element, {k: v for k, v in band.tags.items() if not k.startswith("STATISTICS_")})
    if band.wavelength_nm is not None:
        _metadata(element, {"CENTRAL_WAVELENGTH_UM": f"{band.wavelength_nm / 1e3:.6g}"}, domain="IMAGERY")
    if band.name:
        Xml.SubElement(element, "Description").text = band.name
    if nodata is not None:
        Xml.SubElement(element, "NoDataValue").text = repr(nodata)
    if band.unit:
        Xml.SubElement(element, "UnitType").text = band.unit
    Xml.SubElement(element, "ColorInterp").text = _GDAL_COLOURS.get(band.colour.name, band.colour.name)
    if (band.scale, band.offset) != (1.0, 0.0):
        Xml.SubElement(element, "Offset").text = repr(band.offset)
        Xml.SubElement(element, "Scale").text = repr(band.scale)


def _metadata(parent: Xml.Element, tags: Mapping[str, str], **attributes: str) -> None:
    if tags:
        metadata = Xml.SubElement(parent, "Metadata", attributes)
        for key, value in tags.items():
            Xml.SubElement(metadata, "MDI", key=key).text = value


def _source(parent: Xml.Element, name: str, band: int, part: Rect) -> None:
    source = Xml.SubElement(parent, "SimpleSource")
    Xml.SubElement(source, "SourceFilename", relativeToVRT="1").text = name
    Xml.SubElement(source, "SourceBand").text = str(band)
    size = {"xSize": str(part.width), "ySize": str(part.height)}
    Xml.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0"} | size)
    Xml.SubElement(source, "DstRect", {"xOff": str(part.col0), "yOff": str(part.row0)} | size)
