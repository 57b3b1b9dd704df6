"""Small pairs on disk and whole jobs in this process, shared by the tests of the workflows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from conftest import Pair, smooth_scene, write_raster

from fusioncli.io.scene import PairRequest
from fusioncli.models.catalogue import METHODS
from fusioncli.workflows.fuse import FuseReport, run_fusion
from fusioncli.workflows.memory import Resources
from fusioncli.workflows.plan import FusePlan, plan_fusion
from fusioncli.workflows.requests import FuseRequest, MethodRequest, OutputRequest

NAMES = [method.name for method in METHODS]
FINE = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)


def distinct_scene(bands: int, height: int, width: int) -> np.ndarray:
    """A textured scene whose bands are not multiples of each other, (bands, height, width), about 100 … 1500."""
    own = np.concatenate([smooth_scene(1, height, width, seed) for seed in range(1, bands + 1)])
    return 0.6 * smooth_scene(bands, height, width) + 0.4 * own


def plain(folder: Path, rows: int = 50, cols: int = 57) -> Pair:
    """Ratio 4, same corner, all pixels valid; so many MS px."""
    scene = distinct_scene(4, 4 * rows, 4 * cols)
    ms = scene.reshape(4, rows, 4, cols, 4).mean((2, 4))
    return _write(folder, ms, scene.mean(0), FINE @ Affine.scale(4))


def holes(folder: Path) -> Pair:
    """Ratio 4, PAN starting inside an MS pixel; 0 marks gaps, others in every band, at borders, and a blank corner."""
    scene = distinct_scene(4, 200, 228)
    ms = scene.reshape(4, 50, 4, 57, 4).mean((2, 4))
    pan = scene.mean(0)[3:, 5:].copy()
    for band in range(4):
        ms[band, 10 + band : 14 + 2 * band, 20:24] = 0
    ms[:, :, :2] = 0
    ms[2, 30:, 40:] = 0
    pan[90:103, 77:99] = 0
    pan[:70, 140:] = 0
    shifted = Affine.translation(-5, -3)
    return _write(folder, ms, pan, FINE @ shifted @ Affine.scale(4), nodata=0)


def snapped(folder: Path) -> Pair:
    """Ratio 3, MS half a PAN pixel off, odd sizes, gaps in both."""
    scene = distinct_scene(4, 153, 180)
    ms = scene.reshape(4, 51, 3, 60, 3).mean((2, 4))
    pan = scene.mean(0)[:151, :179].copy()
    ms[1, 20:25, 30:37] = 0
    ms[:, 45:, :9] = 0
    pan[60:70, 20:50] = 0
    return _write(folder, ms, pan, FINE @ Affine.translation(0.5, -0.5) @ Affine.scale(3), nodata=0)


def warped(folder: Path) -> Pair:
    """Ratio 2, MS turned by 5 degrees against the PAN."""
    scene = distinct_scene(4, 200, 200)
    ms = scene.reshape(4, 100, 2, 100, 2).mean((2, 4))
    middle = Affine.translation(100, 100) @ Affine.rotation(5) @ Affine.translation(-100, -100)
    return _write(folder, ms, scene.mean(0), FINE @ middle @ Affine.scale(2))


SCENES: dict[str, Callable[[Path], Pair]] = {"plain": plain, "holes": holes, "snapped": snapped, "warped": warped}


def _write(folder: Path, ms: np.ndarray, pan: np.ndarray, ms_transform: Affine, **profile: object) -> Pair:
    folder.mkdir(parents=True, exist_ok=True)
    return Pair(
        write_raster(folder / "ms.tif", ms.round().astype("uint16"), ms_transform, **profile),
        write_raster(folder / "pan.tif", pan.round().astype("uint16"), FINE, **profile),
    )


def plan(pair: Pair, method: str, part_px: int | None = None, threads: int = 1, **output: object) -> FusePlan:
    """A planned job beside its inputs."""
    return plan_fusion(
        FuseRequest(
            PairRequest((str(pair.ms),), str(pair.pan)),
            OutputRequest(**{"path": pair.ms.parent / "fused.tif", "overwrite": True, "cog": False, **output}),
            MethodRequest(method),
            Resources(threads, 1400, "cpu", part_px),
        )
    )


def run(job: FusePlan) -> FuseReport:
    """Do it in silence."""
    return run_fusion(job, lambda stage, done, total: None)


def pixels(path: Path) -> np.ndarray:
    """All samples of a raster."""
    with rasterio.open(path) as dataset:
        return dataset.read()


def fuse(pair: Pair, method: str, part_px: int | None = None, threads: int = 1, **output: object) -> np.ndarray:
    """The samples of one job."""
    return pixels(run(plan(pair, method, part_px, threads, **output)).path)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to the last bit, NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
