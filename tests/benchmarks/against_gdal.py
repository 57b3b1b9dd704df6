"""Whole-command times and peak memory of `fusion pansharpen` beside gdal_pansharpen.py and OTB, in one run.

    python tests/benchmarks/against_gdal.py [--size 8192] [--runs 3] [--workdir DIR]

Writes one synthetic scene (4-band uint16 MS, uint16 PAN of size x size, ratio 4, tiled and uncompressed), then runs
every command `runs` times in turn, so that a drift of the machine's speed meets all of them alike, and prints the
median wall time, its ratio to GDAL's, and the largest resident set. All products are uncompressed GeoTIFFs, as
gdal_pansharpen.py writes by default; the last rows show the default compressed COG. Peers that are not installed are
left out (Debian: gdal-bin python3-gdal otb-bin).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from scipy import ndimage

RATIO = 4


def write_scene(folder: Path, size: int) -> None:
    """A textured pair whose MS pixels are means of their PAN-size pixels."""
    rng = np.random.default_rng(0)
    scene = np.zeros((size, size), np.float32)
    for step, weight in ((256, 1.0), (64, 0.6), (16, 0.4), (4, 0.3)):
        coarse = rng.standard_normal((size // step + 2, size // step + 2)).astype(np.float32)
        scene += weight * ndimage.zoom(coarse, step, order=1)[:size, :size]
    scene = 400 * np.exp(0.4 * scene)
    small = scene.reshape(size // RATIO, RATIO, size // RATIO, RATIO).mean((1, 3))
    ms = np.stack([small * gain for gain in (0.6, 0.8, 0.95, 1.3)])
    profile = {"driver": "GTiff", "dtype": "uint16", "crs": "EPSG:32631", "tiled": True}
    fine = Affine(0.5, 0, 500000, 0, -0.5, 5000000)
    paths = folder / "ms.tif", folder / "pan.tif"
    for path, bands, transform in ((paths[0], ms, fine @ Affine.scale(RATIO)), (paths[1], scene[None], fine)):
        samples = np.clip(np.rint(bands), 1, 2047).astype(np.uint16)
        count, height, width = samples.shape
        with rasterio.open(path, "w", count=count, height=height, width=width, transform=transform, **profile) as out:
            out.write(samples)


def commands(ms: Path, pan: Path, out: Path) -> dict[str, list[str]]:
    """Every contender's command line; the first one found is the yardstick."""
    fusion = [str(Path(sys.executable).parent / "fusion"), "pansharpen", "-q", "--overwrite"]
    files = ["--ms", str(ms), "--pan", str(pan), "-o", str(out)]
    plain = ["--no-cog", "--co", "COMPRESS=NONE"]
    found: dict[str, list[str]] = {}
    if gdal := shutil.which("gdal_pansharpen.py"):
        found["gdal_pansharpen.py -r cubic -threads 2"] = [
            gdal,
            "-q",
            "-r",
            "cubic",
            "-threads",
            "2",
            str(pan),
            str(ms),
            str(out),
        ]
    for method in ("brovey", "gsa", "mtf-glp-hpm", "bt-h"):
        found[f"fusion --method {method}"] = [*fusion, *files, "--method", method, *plain]
    if otb := shutil.which("otbcli_BundleToPerfectSensor"):
        found["OTB BundleToPerfectSensor rcs"] = [otb, "-inp", str(pan), "-inxs", str(ms), "-out", str(out), "uint16"]
    found["fusion --method brovey, default COG"] = [*fusion, *files, "--method", "brovey"]
    found["fusion --fast, default COG"] = [*fusion, *files, "--fast"]
    return found


def measure(command: Sequence[str]) -> tuple[float, float]:
    """Wall seconds and peak resident MB of one command and its children."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{message.decode()[-2000:]}")
    return time.perf_counter() - start, usage.ru_maxrss / 1e3


def main() -> None:
    """Run and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workdir", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.workdir) as name:
        folder = Path(name)
        ms, pan = folder / "ms.tif", folder / "pan.tif"
        # elsewhere: a child starts with the resident set of its parent, which would spoil the memory column
        writer = multiprocessing.get_context("spawn").Process(target=write_scene, args=(folder, options.size))
        writer.start()
        writer.join()
        contenders = commands(ms, pan, folder / "out.tif")
        results: dict[str, list[tuple[float, float]]] = {label: [] for label in contenders}
        for _ in range(options.runs):
            for label, command in contenders.items():
                (folder / "out.tif").unlink(missing_ok=True)
                results[label].append(measure(command))
    yardstick = statistics.median(wall for wall, _ in next(iter(results.values())))
    print(f"PAN {options.size} x {options.size}, 4 bands, uint16; median of {options.runs} runs\n")
    print("| command | wall s (min … max) | ratio to the first | peak MB |\n|---|---|---|---|")
    for label, runs in results.items():
        walls = [wall for wall, _ in runs]
        middle = statistics.median(walls)
        peak = max(memory for _, memory in runs)
        print(
            f"| {label} | {middle:.2f} ({min(walls):.2f} … {max(walls):.2f}) | {middle / yardstick:.2f} | {peak:.0f} |"
        )


if __name__ == "__main__":
    main()
