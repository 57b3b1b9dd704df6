"""What does best on scenes too small for `auto` to compare methods on: pieces of real pairs, by Wald's protocol.

    python tests/benchmarks/small_scenes.py $FUSION_REAL_DATA [--side 32] [--pieces 4]

Pieces of side x side MS px are cut at random from every public pair of four bands at ratio 4 that is large enough, and
`fusion eval --reduced-res` measures each as a scene of its own; degraded, the MS of such a piece is what `auto` would
be given. Prints, as a Markdown table, each method's ERGAS and SAM over those of `mtf-glp-fs`, means over the pieces,
and on how many pieces its ERGAS is more than 2 % above the lowest of a classical method.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from adapted_pairs import SENSORS, Pair, measured

RATIO, SEED = 4, 0
CLASSICAL = ("mtf-glp-fs", "mtf-glp-hpm", "gsa", "bt-h", "bdsd-pc")
METHODS = (*CLASSICAL, "refiner")


def pieces(pair: Path, side: int, count: int, rng: np.random.Generator, folder: Path) -> Iterator[Pair]:
    """Write one piece after the other to the same two files."""
    images = {name: (rasterio.open(pair / name).read(), scale) for name, scale in (("ms.tif", 1), ("pan.tif", RATIO))}
    rows, cols = images["ms.tif"][0].shape[1:]
    for _ in range(count):
        row, col = rng.integers(0, rows - side), rng.integers(0, cols - side)
        for name, (image, scale) in images.items():
            piece = image[:, row * scale : (row + side) * scale, col * scale : (col + side) * scale]
            bands, height, width = piece.shape
            profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": piece.dtype}
            with rasterio.open(folder / name, "w", **profile) as dataset:
                dataset.write(piece)
        yield Pair(folder / "ms.tif", folder / "pan.tif")


def main() -> None:
    """Cut, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--pieces", type=int, default=4)
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    with TemporaryDirectory() as name:
        folder, found = Path(name), []
        for pair, sensor in {"sn6_wv2_1": "WV2", **SENSORS}.items():
            for piece in pieces(options.data / "pairs" / pair, options.side, options.pieces, rng, folder):
                rows = measured(piece, sensor, METHODS)
                found.append([(rows[method]["ERGAS"], rows[method]["SAM"]) for method in METHODS])
    figures = np.array(found)
    ratio, ergas = (figures / figures[:, :1]).mean(0), figures[..., 0]
    behind = (ergas > 1.02 * ergas[:, : len(CLASSICAL)].min(1, keepdims=True)).sum(0)
    print(f"| {len(found)} pieces | ERGAS | SAM | more than 2 % above the best classical ERGAS |\n|---|---:|---:|---:|")
    for method, (error, angle), count in zip(METHODS, ratio, behind, strict=True):
        print(f"| {method} | {error:.3f} | {angle:.3f} | {count} |")


if __name__ == "__main__":
    main()
