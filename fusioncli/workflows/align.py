"""Write the MS of a pair on the grid that models see: anchored at a PAN pixel corner, its shift taken out."""

from __future__ import annotations

import math

import numpy as np

from fusioncli import __version__
from fusioncli.core.grid import Grid
from fusioncli.core.tiling import PART_PX, Rect
from fusioncli.core.values import sample_type
from fusioncli.io.files import check_writable
from fusioncli.io.layer import Layer, Target
from fusioncli.io.product import Product, check_options
from fusioncli.io.scene import ScenePair
from fusioncli.workflows.export import Block, export
from fusioncli.workflows.requests import OutputRequest
from fusioncli.workflows.workers import Progress


def write_aligned_ms(pair: ScenePair, request: OutputRequest, progress: Progress) -> None:
    """Read the MS through the pair's alignment and write it.

    Raises:
        DataError: the output exists or cannot be written.
    """
    files = pair.ms.files
    grid, block = _from_alignment(pair) if pair.pan.files[0].grid.georeferenced else _from_corner(pair)
    product = Product(
        grid,
        pair.output_crs,
        tuple(band for file in files for band in file.bands),
        sample_type(request.dtype or str(np.result_type(*(file.dtype for file in files)))),
        _nodata(pair, request),
        {**files[0].tags, "FUSION_SOFTWARE": f"fusioncli {__version__}", "FUSION_GRID": pair.alignment.reason},
        request.cog,
        request.options,
    )
    check_options(product)
    check_writable(request.path, request.overwrite, 2 * product.bytes)
    export(product, request.path, PART_PX, block, progress, request.bit_depth)


def _from_alignment(pair: ScenePair) -> tuple[Grid, Block]:
    """The MS of the scene, wherever its corner lies: georeferencing says where."""
    return pair.ms_grid, lambda rect: pair.ms.read(pair.ms_window(rect))


def _from_corner(pair: ScenePair) -> tuple[Grid, Block]:
    """The MS on a grid that covers PAN from its corner: without georeferencing, a file can start nowhere else.

    Cells whose centre lies outside the MS, because the shift has left them without data, are mirrored.
    """
    pan, ms, alignment = pair.pan.files[0].grid, pair.ms.files[0].grid, pair.alignment
    ratio = alignment.ratio
    cells = -(-pan.height // ratio), -(-pan.width // ratio)
    starts = [offset / ratio for offset in alignment.offset_px]
    lengths = [n * gsd / ratio for n, gsd in zip((ms.height, ms.width), alignment.gsd_ratio, strict=True)]
    row0, col0 = (max(0, math.ceil(start - 0.5)) for start in starts)
    row1, col1 = (
        min(n, math.floor(start + length + 0.5)) for n, start, length in zip(cells, starts, lengths, strict=True)
    )
    corner = Rect(row0 * ratio, col0 * ratio, row1 * ratio, col1 * ratio)
    covered = Layer(
        pair.ms.files,
        Target(pan.window(corner).coarser(ratio, row1 - row0, col1 - col0), pair.output_crs, pair.output_crs),
    )
    return Grid(*cells, pan.transform), lambda rect: covered.read(rect.shift(-row0, -col0))


def _nodata(pair: ScenePair, request: OutputRequest) -> float | None:
    """The user's, else that of the MS."""
    return request.nodata_or(next((file.nodata for file in pair.ms.files if file.nodata is not None), None))
