"""Shared fixtures: a synthetic georeferenced pair on disk, the command line in-process, and the real data folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from fusioncli.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        return self.stdout.strip().splitlines()[-1]

    @property
    def json(self) -> dict:
        return json.loads(self.last_line)


@pytest.fixture
def fusion(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `fusion …` in this process, through the very function of the console script."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor write the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSION_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, training takes one thread: two on small tensors only wait for each other."""
    monkeypatch.setattr("fusioncli.workflows.train.world.available_cores", lambda: 1)


def write_raster(path: Path, samples: np.ndarray, transform: Affine | None = None, **profile: object) -> Path:
    """Write (bands, h, w) samples as a GeoTIFF; without a transform it has no georeferencing."""
    samples = np.atleast_3d(samples) if samples.ndim == 3 else samples[None]
    options = {"driver": "GTiff", "count": len(samples), "height": samples.shape[1], "width": samples.shape[2]}
    if transform is not None:
        options |= {"transform": transform, "crs": "EPSG:32631"}
    with rasterio.open(path, "w", **{**options, "dtype": samples.dtype.name, **profile}) as dataset:
        dataset.write(samples)
    return path


def smooth_scene(bands: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """A textured (bands, height, width) float scene, positive, about 100 … 1500."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:height, 0:width]
    shared = sum(
        np.sin(rows * f + rng.uniform(0, 6)) * np.cos(cols * f * 1.3 + rng.uniform(0, 6)) for f in (0.02, 0.07, 0.3)
    )
    texture = rng.normal(0, 0.15, (height, width))
    gains = np.linspace(0.7, 1.3, bands)[:, None, None]
    return 600 + 150 * gains * (shared + texture) + 30 * rng.normal(0, 1, (bands, 1, 1))


@dataclass(frozen=True)
class Pair:
    """Two files of one scene."""

    ms: Path
    pan: Path

    @property
    def flags(self) -> Sequence[str]:
        return ["--ms", str(self.ms), "--pan", str(self.pan)]


@pytest.fixture
def make_pair(tmp_path: Path) -> Callable[..., Pair]:
    """Write a consistent pair: MS pixels are means of their PAN-size pixels."""

    def make(
        shape: tuple[int, int] = (64, 80), bands: int = 4, ratio: int = 4, dtype: str = "uint16", **profile: object
    ) -> Pair:
        height, width = shape[0] * ratio, shape[1] * ratio
        scene = smooth_scene(bands, height, width)
        ms = scene.reshape(bands, shape[0], ratio, shape[1], ratio).mean((2, 4))
        pan = scene.mean(0)
        corner = (500000.0, 5700000.0)
        fine = Affine(0.5, 0, corner[0], 0, -0.5, corner[1])
        ms_path = write_raster(tmp_path / "ms.tif", ms.round().astype(dtype), fine @ Affine.scale(ratio), **profile)
        pan_path = write_raster(tmp_path / "pan.tif", pan.round().astype(dtype), fine, **profile)
        return Pair(ms_path, pan_path)

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real imagery, named by FUSION_REAL_DATA; tests that need it are skipped without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FUSION_REAL_DATA", default))
    if not (folder / "pairs").is_dir():
        pytest.skip(f"no real imagery in {folder}; set FUSION_REAL_DATA")
    return folder
