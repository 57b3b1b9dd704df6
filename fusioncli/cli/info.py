"""`fusion info`: what a raster holds, as `fusion` sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusioncli.cli import render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions

if TYPE_CHECKING:
    from fusioncli.io.raster import Raster


@dataclass(frozen=True)
class FileArgument:
    """One raster."""

    file: Annotated[str, typer.Argument(metavar="FILE", help="Any raster that GDAL opens.")]


@takes_groups
def info(file: FileArgument, common: CommonOptions) -> None:
    """Print grid, bands, numbers, masks and the likely sensor of a raster.

    Example: fusion info scene_ms.tif
    """
    from fusioncli.io.raster import describe

    render.listen_to_gdal(common)
    facts = raster_facts(describe(file.file))
    render.result(render.table([(name, _plain(value)) for name, value in facts.items()]), facts, common)


def raster_facts(raster: Raster) -> dict[str, Any]:
    """The description in the words of `--json`."""
    from fusioncli.core.sensors import guess_sensor

    sensor, why = guess_sensor(
        raster.tags, [raster.path], len(raster.bands), None, [band.name for band in raster.bands]
    )
    grid = raster.grid
    return {
        "file": raster.path,
        "size": [grid.height, grid.width],
        "bands": [band.name or band.colour.name for band in raster.bands],
        "dtype": raster.dtype,
        "bit_depth": raster.bit_depth,
        "nodata": None if raster.nodata is None else str(raster.nodata),
        "may_miss_pixels": raster.masked,
        "crs": grid.crs,
        "pixel_size": [abs(grid.transform.e), abs(grid.transform.a)] if grid.georeferenced else None,
        "bounds": list(grid.bounds) if grid.georeferenced else None,
        "positioned_by": raster.sensor_model or ("grid" if grid.georeferenced else "nothing"),
        "sensor": sensor.name,
        "sensor_reason": why,
    }


def _plain(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "-" if value is None else value
