"""Write the pairs that docs/results.md measures the cube methods on, from the folder of real imagery.

Usage: python tests/benchmarks/hyperspectral_scenes.py $FUSION_REAL_DATA OUT

For what learns from a scene, OUT/degraded holds each pair as `fusion eval` degrades it, beside the truth.

`paris` and `paris_pan` are two sensors (Hyperion, ALI); `s2` is one instrument at two resolutions. The MSI of `jasper`,
`moffett` and `enmap` is simulated from the cube: Gaussian responses as wide as Sentinel-2's bands, 1 % noise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine

from fusioncli.ops.sampling import CentredSampling

GAIN = 0.3
OWN_RATIO = {"paris_pan": 3, "s2": 2}
RATIO = 4  # of the others, whose images have pixels of one size
PASS_NM = ((458, 523), (543, 578), (650, 680), (698, 713), (733, 748))
PASS_NM += ((773, 793), (785, 899), (855, 875), (1565, 1655), (2100, 2280))


def write(path: Path, samples: np.ndarray, gsd_m: float) -> None:
    """A georeferenced GeoTIFF of (bands, h, w)."""
    count, height, width = samples.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": samples.dtype.name}
    transform = Affine(gsd_m, 0, 450000, 0, -gsd_m, 5400000)
    with rasterio.open(path, "w", **profile, crs="EPSG:32631", transform=transform) as dataset:
        dataset.write(samples)


def seen(cube: np.ndarray, centres_nm: np.ndarray, bands: int) -> np.ndarray:
    """The cube through the first so many responses, with noise of 1 % of each band's deviation."""
    low, high = np.array(PASS_NM[:bands], float).T
    curves = np.exp(-0.5 * ((centres_nm - (low + high)[:, None] / 2) / ((high - low)[:, None] / 2.355)) ** 2)
    image = np.tensordot(curves / curves.sum(1, keepdims=True), cube, 1)
    noise = np.random.default_rng(0).normal(size=image.shape)
    return (image + 0.01 * noise * image.std((1, 2), keepdims=True)).astype("float32")


def array(path: Path, factor: float = 1.0) -> np.ndarray:
    """(h, w, bands) as (bands, h, w), DN."""
    return np.ascontiguousarray(np.load(path).astype("float32").transpose(2, 0, 1)) * np.float32(factor)


def simulated(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """Cubes, the centres of their bands, and how many MSI bands they get."""
    aviris = np.delete(np.linspace(380, 2500, 224), [*range(3), *range(107, 112), *range(153, 166), *range(219, 224)])
    with rasterio.open(folder / "hsi/enmap_potsdam/cube.tif") as dataset:
        enmap = dataset.read().astype("float32")
    good = enmap.std((1, 2)) > 0
    centres = np.loadtxt(folder / "srf/enmap.csv", delimiter=",", skiprows=1)[:, 0]
    return {
        "jasper": (array(folder / "hsi/jasper/cube.npy"), aviris, 10),
        "moffett": (array(folder / "hsi/moffett/cube.npy", 1e4)[:, :48, :48], np.linspace(400, 2500, 184), 4),
        "enmap": (enmap[good], centres[good], 10),
    }


def main(folder: Path, out: Path) -> None:
    """Write all."""
    (out / "degraded").mkdir(parents=True, exist_ok=True)
    for name, (cube, centres_nm, bands) in simulated(folder).items():
        write(out / f"{name}_hsi.tif", cube, 30)
        write(out / f"{name}_msi.tif", seen(cube, centres_nm, bands), 30)
    paris = folder / "hsi/paris_hyperion"
    write(out / "paris_hsi.tif", array(paris / "cube.npy", 1e4), 30)
    write(out / "paris_msi.tif", array(paris / "msi_ali_30m.npy", 1e4), 30)
    write(out / "paris_pan_hsi.tif", array(paris / "hs_for_pan_72x58.npy", 1e4), 30)
    write(out / "paris_pan_msi.tif", np.load(paris / "pan_ali_10m_216x174.npy").astype("float32")[None] * 1e4, 10)
    for name, source, gsd_m in (("s2_hsi", "im20", 20), ("s2_msi", "im10", 10)):
        with rasterio.open(folder / f"hsi/s2_t33uub/{source}.tif") as dataset:
            write(out / f"{name}.tif", dataset.read(), gsd_m)
    for path in sorted(out.glob("*_hsi.tif")):
        degrade(out, path.stem.removesuffix("_hsi"))


def degrade(folder: Path, name: str) -> None:
    """Write a pair one scale coarser; one whose images have pixels of one size keeps its MSI."""
    cube, msi = (read(folder / f"{name}_{kind}.tif") for kind in ("hsi", "msi"))
    ratio = OWN_RATIO.get(name, RATIO)
    sampling = CentredSampling(ratio, ratio)
    height, width = (size // ratio * ratio for size in cube.shape[-2:])
    truth = cube[..., :height, :width]
    if name in OWN_RATIO:
        msi = sampling.degrade(msi[..., : height * ratio, : width * ratio], (GAIN,) * msi.shape[1])
    coarse = sampling.degrade(truth, (GAIN,) * truth.shape[1])
    images = {"truth": truth, "msi": msi[..., :height, :width], "hsi": coarse}
    for kind, image in images.items():
        write(folder / "degraded" / f"{name}_{kind}.tif", image[0].numpy(), 30 * (ratio if kind == "hsi" else 1))


def read(path: Path) -> torch.Tensor:
    """(1, bands, h, w) float32."""
    with rasterio.open(path) as dataset:
        return torch.from_numpy(dataset.read().astype("float32"))[None]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
