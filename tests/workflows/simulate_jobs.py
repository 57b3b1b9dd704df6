"""Pairs that tell where each sample comes from, and whole simulations in this process."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from affine import Affine
from conftest import Pair, write_raster

from fusioncli.io.scene import PairRequest
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.simulate.areas import Cutting
from fusioncli.workflows.simulate.plan import SimulationPlan, plan_pairs
from fusioncli.workflows.simulate.request import PatchOutput, SceneRequest
from fusioncli.workflows.simulate.write import write_patches

RATIO = 4
FINE = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)


def silent(stage: str, done: int, total: int) -> None:
    """No progress."""


def write_pair(folder: Path, ms: np.ndarray, pan: np.ndarray, at_m: float = 0.0, **profile: object) -> Pair:
    """MS (bands, h, w) and PAN (4 h, 4 w) that share a corner."""
    folder.mkdir(exist_ok=True, parents=True)
    fine = Affine.translation(at_m, 0) @ FINE
    return Pair(
        write_raster(folder / "ms.tif", ms, fine @ Affine.scale(RATIO), **profile),
        write_raster(folder / "pan.tif", pan, fine, **profile),
    )


def textured(bands: int, height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """MS and PAN of noise, 200 … 1800: nothing about them is smooth, so that every wrong pixel shows."""
    rng = np.random.default_rng(seed)
    ms = rng.integers(200, 1800, (bands, height, width)).astype(np.uint16)
    return ms, rng.integers(200, 1800, (height * RATIO, width * RATIO)).astype(np.uint16)


def plan(
    pair: Pair | list[Pair], folder: Path, cutting: Cutting, validation: bool = False, **options
) -> SimulationPlan:
    """A planned job with value_max 2047."""
    pairs = pair if isinstance(pair, list) else [pair]
    output = PatchOutput(
        folder / "train.h5",
        folder / "val.h5" if validation else None,
        overwrite=True,
        dtype=options.pop("dtype", None),
        peak=Peak(options.pop("value_max", 2047.0), "stated"),
    )
    requests = [PairRequest((str(each.ms),), str(each.pan)) for each in pairs]
    return plan_pairs(SceneRequest(requests, output, cutting, **options), silent)


def simulate(
    pair: Pair | list[Pair], folder: Path, cutting: Cutting, validation: bool = False, **options
) -> dict[str, np.ndarray] | tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The training patches, or training and validation patches."""
    job = plan(pair, folder, cutting, validation, **options)
    write_patches(job, silent)
    read = [read_all(path) for path in job.output.paths]
    return read[0] if len(read) == 1 else (read[0], read[1])


def read_all(path: Path) -> dict[str, np.ndarray]:
    """Every array of a patch file."""
    with h5py.File(path) as file:
        return {name: item[()] for name, item in file.items()}
