"""What `fusion finetune` does to drawn scenes whose truth is known, where the MS is smooth and where it is not.

    python tests/benchmarks/adapted_drawn.py WORKDIR [--scenes 2] [--gains 0.05 0.3] [--steps 60] [--threads 1]

Reduced resolution cannot tell what learning from a scene does at the resolution of its PAN. Scenes of 1024 x 1024 PAN
px are drawn as in `smooth_and_sharp.py`; the packaged weights are fitted to each, with the gain of an ordinary sensor
and with the one that is measured on the pair, and fuse it. ERGAS, SAM and sharpness against the truth, means over the
scenes, as a Markdown table.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
import torch
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


def fused(folder: Path, base: Path, flags: Sequence[str] | None, common: Sequence[str]) -> Tensor:
    """The pair of a folder through the packaged weights, fitted to it unless the flags are None."""
    fusion, weights = str(Path(sys.executable).parent / "fusion"), ["--weights", str(base)]
    pair = ["--ms", "ms.tif", "--pan", "pan.tif", "-q", *common[:2]]
    if flags is not None:
        learn = ["--base", str(base), "-o", "scene.safetensors", "--overwrite", *common[2:], *flags]
        subprocess.run([fusion, "finetune", *pair, *learn], check=True, cwd=folder)
        weights += ["--adapter", "scene.safetensors"]
    subprocess.run([fusion, "pansharpen", *pair, *weights, "-o", "fused.tif", "--overwrite"], check=True, cwd=folder)
    with rasterio.open(folder / "fused.tif") as dataset:
        return torch.from_numpy(dataset.read())[None]


def of_scene(scene: Shown, folder: Path, common: Sequence[str]) -> Iterator[tuple[float, float, float]]:
    """ERGAS, SAM and sharpness of each way."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "ms.tif", scene.ms, FINE @ Affine.scale(RATIO))
    write(folder / "pan.tif", scene.pan, FINE)
    base = Path(shutil.copy(packaged_weights(RATIO), folder)).resolve()
    for flags in WAYS.values():
        yield figures(fused(folder, base, flags, common), scene.truth, RATIO)


def main() -> None:
    """Draw, learn, fuse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--gains", type=float, nargs="+", default=[0.05, 0.3])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    common = ["--threads", str(options.threads), "--steps", str(options.steps)]
    columns = []
    for gain in options.gains:
        scenes = {number: draw(number, gain, RATIO, SIDE_PX) for number in range(options.scenes)}
        found = [list(of_scene(scene, options.workdir / f"{gain}-{n}", common)) for n, scene in scenes.items()]
        columns.append(np.mean(found, 0))
    print("| ERGAS / SAM / sharpness | " + " | ".join(f"gain {gain:g}" for gain in options.gains) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for place, way in enumerate(WAYS):
        cells = [" / ".join(f"{value:.3g}" for value in column[place]) for column in columns]
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
