"""Write the MS of a pair on the grid that models see: anchored at a PAN pixel corner, its shift taken out."""

from __future__ import annotations

import numpy as np

from fusioncli import __version__
from fusioncli.core.grid import Grid
from fusioncli.core.tiling import PART_PX, Rect
from fusioncli.core.values import sample_type
from fusioncli.io.files import check_writable
from fusioncli.io.product import Product, check_options
from fusioncli.io.scene import ScenePair
from fusioncli.workflows.export import export
from fusioncli.workflows.requests import OutputRequest
from fusioncli.workflows.workers import Progress


def write_aligned_ms(pair: ScenePair, request: OutputRequest, progress: Progress) -> None:
    """Read the MS through the pair's alignment and write it.

    Raises:
        DataError: the output exists or cannot be written.
    """
    files = pair.ms.files
    declared = next((file.nodata for file in files if file.nodata is not None), None)
    grid, first = _grid(pair)
    product = Product(
        grid,
        pair.output_crs,
        tuple(band for file in files for band in file.bands),
        sample_type(request.dtype or str(np.result_type(*(file.dtype for file in files)))),
        declared if request.nodata is None else request.nodata,
        {**files[0].tags, "FUSION_SOFTWARE": f"fusioncli {__version__}", "FUSION_GRID": pair.alignment.reason},
        request.cog,
        request.options,
    )
    check_options(product)
    check_writable(request.path, request.overwrite, 2 * product.bytes)

    def block(rect: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        return pair.ms.read(pair.ms_window(rect.shift(*first)))

    export(product, request.path, PART_PX, block, progress, request.bit_depth)


def _grid(pair: ScenePair) -> tuple[Grid, tuple[int, int]]:
    """Grid to write on, and where its corner lies on the pair's MS grid.

    Without georeferencing a file can only mean "starts where PAN starts": the MS then covers all of PAN, mirrored
    where the shift has left it without data.
    """
    pan = pair.pan.files[0].grid
    if pan.georeferenced:
        return pair.ms_grid, (0, 0)
    ratio, origin = pair.alignment.ratio, pair.alignment.origin
    return Grid(-(-pan.height // ratio), -(-pan.width // ratio), pan.transform), (
        -origin[0] // ratio,
        -origin[1] // ratio,
    )
