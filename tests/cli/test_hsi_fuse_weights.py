"""`fusion hsi-fuse --weights` with a small INFN: any cut the same bytes, and refusals in words of cubes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from conftest import Outcome, smooth_scene, write_raster
from raster_files import rewritten, samples_of
from refusals import assert_refused
from safetensors.torch import load_file

from fusioncli.cli import parsing
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core import tiling
from fusioncli.models.infn.network import Infn
from fusioncli.models.networks import build_network
from fusioncli.models.weights import save_weights
from fusioncli.ops.sampling import sampling_for

FINE = Affine(10, 0, 500000.0, 0, -10, 5700000.0)
OPTIONS = {"width": 6, "blocks": 1, "hidden": [8], "latent": 4}
BANDS, GUIDE_BANDS, RATIO, VALUE_MAX = 6, 2, 2, 4095.0
Fusion = Callable[..., Outcome]


def write_infn(path: Path, bands: int = BANDS, guide_bands: int = GUIDE_BANDS, ratio: int = RATIO) -> Path:
    """As if trained: no weight is 0, and what is added to the upsampled HSI is some hundred DN."""
    config = ModelConfig.model_validate(
        {"arch": "infn", "bands": bands, "guide_bands": guide_bands, "ratio": ratio, "options": OPTIONS}
    )
    torch.manual_seed(0)
    network = cast(Infn, build_network(config))
    torch.nn.init.normal_(cast(torch.nn.Conv2d, network.head[-1]).weight, std=0.1)
    identity = Identity.of_model(config, value_max=VALUE_MAX, upsampler="lanczos", sensor="GENERIC")
    save_weights(path, network.state_dict(), identity)
    return path


@pytest.fixture(autouse=True)
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags of a scene of 144 x 160 MSI px in the working folder, beside infn.safetensors."""
    monkeypatch.chdir(tmp_path)
    fine = smooth_scene(BANDS, 144, 160)
    hsi = fine.reshape(BANDS, 144 // RATIO, RATIO, 160 // RATIO, RATIO).mean((2, 4))
    write_raster(Path("hsi.tif"), hsi.round().astype("uint16"), FINE @ Affine.scale(RATIO))
    write_raster(Path("msi.tif"), fine[[0, 4]].round().astype("uint16"), FINE)
    write_infn(Path("infn.safetensors"))
    return ["--hsi", "hsi.tif", "--msi", "msi.tif"]


def fuse(fusion: Fusion, cube: list[str], output: str, *flags: object) -> np.ndarray:
    outcome = fusion("hsi-fuse", *cube, "-o", output, "--dtype", "float32", *flags)
    assert (outcome.code, outcome.stdout.strip()[-len(output) :]) == (0, output), outcome.stderr
    return samples_of(Path(output))


@pytest.mark.parametrize(
    "flags",
    [
        ["--weights", "infn.safetensors"],
        ["--method", "infn.safetensors"],
        ["--method", "infn", "--weights", "infn.safetensors"],
    ],
)
def test_it_is_the_network(fusion: Fusion, cube: list[str], flags: list[str]) -> None:
    """In the middle, where no border is seen, against a call of the network itself."""
    fused = fuse(fusion, cube, "fused.tif", *flags)
    config = ModelConfig.model_validate(
        {"arch": "infn", "bands": BANDS, "guide_bands": GUIDE_BANDS, "ratio": RATIO, "options": OPTIONS}
    )
    network = build_network(config)
    network.load_state_dict(load_file("infn.safetensors"))
    hsi, msi = (torch.from_numpy(samples_of(Path(f"{name}.tif"))[None].astype("float32")) for name in ("hsi", "msi"))
    up = sampling_for("lanczos", RATIO, float(RATIO)).upsample(hsi)
    with torch.no_grad():
        wanted = VALUE_MAX * network(*(image / VALUE_MAX for image in (hsi, up, msi)))[0].numpy()
    inner = (slice(None), slice(40, -40), slice(40, -40))
    assert np.abs(wanted - up[0].numpy())[inner].max() > 20
    np.testing.assert_allclose(fused[inner], wanted[inner], atol=1e-5 * VALUE_MAX)
    with rasterio.open("fused.tif") as dataset:
        tags = dataset.tags()
    assert tags["FUSION_METHOD"] == "infn" and tags["FUSION_WEIGHTS"].startswith("infn.safetensors sha256:")


def test_any_part_size_gives_the_same_bytes(fusion: Fusion, cube: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With gaps in both files and several tiles."""
    monkeypatch.setattr(tiling, "TILE_PX", 64)
    monkeypatch.setattr(parsing, "MIN_PART_PX", 1)
    hsi, msi = (samples_of(Path(f"{name}.tif")) for name in ("hsi", "msi"))
    hsi[3, 10:14, 20:24] = 0
    msi[:, 90:100, 60:80] = 0
    rewritten(Path("hsi.tif"), "h.tif", hsi, nodata=0)
    rewritten(Path("msi.tif"), "m.tif", msi, nodata=0)
    holed = ["--hsi", "h.tif", "--msi", "m.tif", "--weights", "infn.safetensors", "--no-cog"]
    whole = fuse(fusion, holed, "whole.tif", "--part-size", 4000, "--threads", 1)
    parts = fuse(fusion, holed, "parts.tif", "--part-size", 60, "--threads", 3)
    assert whole.tobytes() == parts.tobytes()
    assert (whole[:, 92:98, 62:78] == 0).all() and (whole[3, 21:27, 41:47] == 0).all()


def test_one_tile_or_many_give_the_same_numbers(
    fusion: Fusion, cube: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fuse(fusion, cube, "whole.tif", "--weights", "infn.safetensors")
    monkeypatch.setattr(tiling, "TILE_PX", 32)
    tiled = fuse(fusion, cube, "tiled.tif", "--weights", "infn.safetensors")
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * VALUE_MAX)


def test_evaluation_takes_weights(fusion: Fusion, cube: list[str]) -> None:
    flags = ["--method", "exp", "--method", "infn.safetensors", "--bit-depth", 12, "--json"]
    outcome = fusion("eval", *cube, *flags)
    assert outcome.code == 0, outcome.stderr
    rows = [row["values"]["ERGAS"] for row in outcome.json["rows"]]
    assert len(rows) == 2 and rows[0] != rows[1]


@pytest.mark.parametrize(
    ("made_for", "error"),
    [
        ({"bands": 5}, "was trained for bands 5, the scene has bands 6"),
        ({"guide_bands": 3}, "was trained for MSI bands 3, the scene has MSI bands 2"),
        ({"ratio": 4}, "was trained for ratio 4, the scene has ratio 2"),
    ],
)
def test_weights_for_other_scenes(fusion: Fusion, cube: list[str], made_for: dict, error: str) -> None:
    write_infn(Path("other.safetensors"), **made_for)
    outcome = fusion("hsi-fuse", *cube, "--weights", "other.safetensors", "-o", "fused.tif")
    assert_refused(outcome, 3, error, "(fusion weights ls), or a classical method such as --method hyper-lmmse")


@pytest.mark.parametrize(
    ("flags", "code", "error"),
    [
        (["--method", "infn"], 2, "infn is a network and needs weights"),
        (["--weights", "infn.pth"], 2, "--weights takes a file .safetensors"),
        (["--method", "cnmf", "--weights", "infn.safetensors"], 2, "cnmf takes no weights"),
        (["--method", "pnn", "--weights", "infn.safetensors"], 3, "holds weights of infn, not of pnn"),
        (["--weights", "nowhere.safetensors"], 3, "nowhere.safetensors"),
    ],
)
def test_refusals(fusion: Fusion, cube: list[str], flags: list[str], code: int, error: str) -> None:
    assert_refused(fusion("hsi-fuse", *cube, *flags, "-o", "fused.tif"), code, error)
