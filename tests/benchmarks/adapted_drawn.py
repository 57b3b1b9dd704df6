"""What `fusion finetune` does to drawn scenes whose truth is known, where the MS is smooth and where it is not.

    python tests/benchmarks/adapted_drawn.py WORKDIR [--scenes 2] [--gains 0.05 0.3] [--steps 60] [--threads 1]

Reduced resolution cannot tell what learning from a scene does at the resolution of its PAN. Scenes of 1024 x 1024 PAN
px are drawn as in `smooth_and_sharp.py`; the packaged weights are fitted to each, with the gain of an ordinary sensor
and with the one that is measured on the pair, and fuse it. ERGAS, SAM and sharpness against the truth, means over the
scenes, as a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
import torch
from adapted_pairs import fusion
from affine import Affine
from smooth_and_sharp import Shown, draw, figures
from torch import Tensor

from fusioncli.models.registry import packaged_weights

RATIO, SIDE_PX = 4, 1024
FINE = Affine(0.5, 0, 500000, 0, -0.5, 5000000)
WAYS = {"base": None, "adapted": [], "adapted, gain measured": ["--mtf-gain", "measured"]}


def write(path: Path, image: Tensor, transform: Affine) -> None:
    """An image (1, C, H, W) as a GeoTIFF."""
    _, count, height, width = image.shape
    profile = {"driver": "GTiff", "dtype": "float32", "crs": "EPSG:32631", "transform": transform, "tiled": True}
    with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as dataset:
        dataset.write(image[0].numpy())


def fused(folder: Path, base: Path, learn: Sequence[object] | None, threads: int) -> Tensor:
    """The pair of a folder through the packaged weights, fitted to it unless there is nothing to learn with."""
    pair = ["--ms", folder / "ms.tif", "--pan", folder / "pan.tif", "--threads", threads, "--overwrite", "-q"]
    weights, product = ["--weights", base], folder / "fused.tif"
    if learn is not None:
        adapter = folder / "scene.safetensors"
        fusion("finetune", *pair, "--base", base, "-o", adapter, *learn)
        weights += ["--adapter", adapter]
    fusion("pansharpen", *pair, *weights, "-o", product)
    with rasterio.open(product) as dataset:
        return torch.from_numpy(dataset.read())[None]


def of_scene(scene: Shown, folder: Path, steps: int, threads: int) -> Iterator[tuple[float, float, float]]:
    """ERGAS, SAM and sharpness of each way."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "ms.tif", scene.ms, FINE @ Affine.scale(RATIO))
    write(folder / "pan.tif", scene.pan, FINE)
    for flags in WAYS.values():
        learn = None if flags is None else ["--steps", steps, *flags]
        yield figures(fused(folder, packaged_weights(RATIO), learn, threads), scene.truth, RATIO)


def main() -> None:
    """Draw, learn, fuse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--gains", type=float, nargs="+", default=[0.05, 0.3])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    columns = []
    for gain in options.gains:
        scenes = {number: draw(number, gain, RATIO, SIDE_PX) for number in range(options.scenes)}
        found = [
            list(of_scene(scene, options.workdir / f"{gain}-{number}", options.steps, options.threads))
            for number, scene in scenes.items()
        ]
        columns.append(np.mean(found, 0))
    print("| ERGAS / SAM / sharpness | " + " | ".join(f"gain {gain:g}" for gain in options.gains) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for place, way in enumerate(WAYS):
        cells = [" / ".join(f"{value:.3g}" for value in column[place]) for column in columns]
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
