"""Write a raster block by block through the same parts and the same last step as a fused product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fusioncli.core.tiling import Rect, parts
from fusioncli.core.values import OutputValues, quantise
from fusioncli.io.parts import PartStore, job_digest
from fusioncli.io.product import Product, assemble
from fusioncli.workflows.workers import Progress, in_order

UNCOMPRESSED = {"COMPRESS": "NONE"}
"""Creation options of files that are read once and thrown away."""
Block = Callable[[Rect], tuple[np.ndarray, np.ndarray | None]]
"""Samples (bands, h, w) of a rectangle, and which of them hold data (None: all)."""


def export(
    product: Product, path: Path, block_px: int, block: Block, progress: Progress, bit_depth: int | None = None
) -> None:
    """Compute every block on two threads and put the product under its name.

    Args:
        product: description of the file.
        path: its name.
        block_px: side of a block.
        block: what a rectangle holds, counted from the product's corner.
        progress: told about every block.
        bit_depth: clip to so many bits.

    Raises:
        DataError: the disk is full, or the inputs are damaged; nothing is left behind then.
    """
    values = OutputValues.of(product.dtype, product.nodata, bit_depth)
    folder = path.with_name(path.name + ".parts") / job_digest([], repr((product, values)))
    store = PartStore(folder, len(product.bands), product.dtype)
    rects = parts(Rect(0, 0, product.grid.height, product.grid.width), block_px)

    def work(rect: Rect) -> None:
        store.write(rect, *quantise(*block(rect), values))

    try:
        for _ in in_order("writing", rects, work, 2, progress):
            pass
        assemble(product, store, rects, path)
    finally:
        store.clear()
