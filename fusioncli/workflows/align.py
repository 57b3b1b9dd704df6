"""Write the MS of a pair on the grid that models see: anchored at a PAN pixel corner, its shift taken out."""

from __future__ import annotations

import numpy as np

from fusioncli import __version__
from fusioncli.core.tiling import PART_PX, Rect, parts
from fusioncli.core.values import OutputValues, quantise
from fusioncli.errors import DataError
from fusioncli.io.files import check_writable
from fusioncli.io.parts import PartStore, job_digest
from fusioncli.io.product import Product, assemble
from fusioncli.io.scene import ScenePair
from fusioncli.workflows.requests import OutputRequest


def write_aligned_ms(pair: ScenePair, request: OutputRequest) -> None:
    """Read the MS through the pair's alignment and write it.

    Raises:
        DataError: the output exists or cannot be written.
    """
    ratio, scene = pair.alignment.ratio, pair.alignment.scene
    shape = scene.height // ratio, scene.width // ratio
    origin = Rect(*pair.alignment.origin, *pair.alignment.origin)
    grid = pair.pan.files[0].grid.window(origin).coarser(ratio, *shape)
    files = pair.ms.files
    dtype = request.dtype or str(np.result_type(*(file.dtype for file in files)))
    nodata = request.nodata if request.nodata is not None else files[0].nodata
    values = OutputValues.of(dtype, nodata, request.bit_depth)
    product = Product(
        grid,
        pair.output_crs,
        tuple(band for file in files for band in file.bands),
        dtype,
        nodata,
        {**files[0].tags, "FUSION_SOFTWARE": f"fusioncli {__version__}", "FUSION_GRID": str(pair.alignment)},
        request.cog,
        request.options,
    )
    check_writable(request.path, request.overwrite, 2 * product.bytes)
    digest = job_digest([file.path for file in files], repr((pair.alignment, values)))
    store = PartStore(request.path.with_name(request.path.name + ".parts") / digest, len(product.bands), dtype)
    row, col = pair.alignment.ms_origin if pair.ms.target is None else (0, 0)
    rects = parts(Rect(0, 0, *shape), PART_PX)
    try:
        for part in rects:
            window = Rect(part.row0 + row, part.col0 + col, part.row1 + row, part.col1 + col)
            samples, valid = pair.ms.read(window)
            store.write(part, *quantise(samples, valid, values))
        assemble(product, store, rects, request.path)
    except DataError:
        store.clear()
        raise
    store.clear()
