"""Methods on smooth and on sharp MS: drawn scenes whose MS has one MTF gain or another, truth of ordinary optics.

    python tests/benchmarks/smooth_and_sharp.py [--scenes 6] [--ratio 4] [--method NAME …] [--gains 0.05 …]
    python tests/benchmarks/smooth_and_sharp.py --fused FILE … --pan FILE

An MS that was resampled on its way to the user is smooth, one whose MTF was compensated sharp; reduced resolution does
not show what that does to a method, because it makes the MS coarser with a gain of its own. Here the scenes are drawn,
of seeds that no recipe uses, each for another random sensor, PAN up to half a pixel beside the MS. Methods take the
sensor to be an ordinary one (gain 0.3) except in rows `…, gain known`; networks are corrected through the gain that the
pair shows, as `fusion pansharpen` does it. ERGAS and SAM are means over the scenes;
sharpness is the mean absolute difference between neighbours in a row, over that of the truth: 1 is right, less is
soft. Prints a Markdown table.

With `--fused` it prints how sharp real products are beside their PAN, band by band: the same differences, each image's
in units of its own deviation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import rasterio
import torch
from torch import Tensor

from fusioncli.core.sensors import SENSORS
from fusioncli.core.synthetic.cameras import random_sensor
from fusioncli.core.synthetic.shots import Framing, shoot
from fusioncli.metrics.ergas import ergas
from fusioncli.metrics.sam import sam
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import FusionModel, Window
from fusioncli.models.hyperspectral.blur import View, fit_blur
from fusioncli.models.refiner.scene import SceneRefiner
from fusioncli.models.registry import build
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import sampling_for
from fusioncli.workflows.optics import through_shown_gain

BANDS, SEED, SIDE_PX, BORDER_PX = 4, 991, 252, 12
PAN_GAIN = 0.15
KNOWN = ", gain known"
METHODS = ("exp", "mtf-glp-fs", "mtf-glp-fs" + KNOWN, "mtf-glp-hpm", "bt-h", "refiner")


class Shown(NamedTuple):
    """One scene, as tensors (1, C, H, W)."""

    ms: Tensor
    pan: Tensor
    truth: Tensor


def draw(number: int, gain: float, ratio: int, side_px: int = SIDE_PX) -> Shown:
    """A scene whose MS has a gain at its Nyquist; everything else follows from the number and the size."""
    rng = np.random.default_rng([SEED, number])
    sensor = replace(random_sensor(rng, BANDS, ratio), ms_mtf=(gain,) * BANDS)
    shot = shoot(rng, sensor, Framing(side_px, side_px, misregistration_px=0.5, coarse=True))
    return Shown(*(torch.from_numpy(image.astype(np.float32))[None] for image in (shot.ms, shot.pan, shot.truth)))


def fused(method: str, scene: Shown, gain: float, ratio: int) -> Tensor:
    """What a method makes of a scene."""
    believed = gain if method.endswith(KNOWN) else DEFAULT_MS_GAIN
    optics = Optics((believed,) * BANDS, PAN_GAIN, (1 / BANDS,) * BANDS)
    model = build(method.removesuffix(KNOWN), sampling_for("lanczos", ratio, ratio), optics)
    if isinstance(model, SceneRefiner) and model.correction is not None:
        blur = fit_blur([View(scene.ms[0].numpy(), scene.pan[0].numpy())], ratio, ratio)
        sensor = SENSORS["GENERIC"].for_bands(BANDS)
        model = replace(model, correction=through_shown_gain(model.correction, sensor, blur))
    if not isinstance(model, FusionModel):
        whole = slice(0, SIDE_PX), slice(0, SIDE_PX)
        model = model.fit(model.observe(Window(scene.ms, scene.pan, None, whole, ratio)))
    with torch.inference_mode():
        return model.fuse(scene.ms, scene.pan)


def figures(image: Tensor, truth: Tensor, ratio: int) -> tuple[float, float, float]:
    """ERGAS, SAM and sharpness, without a border."""
    image, truth = (x[..., BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX].double() for x in (image, truth))
    return ergas(truth, image, ratio=ratio), sam(truth, image), step(image) / step(truth)


def step(image: Tensor) -> float:
    """Mean absolute difference between neighbours in a row."""
    return float(image.diff(dim=-1).abs().mean())


def beside_pan(path: str, pan_path: str) -> list[float]:
    """Sharpness of each band of a product."""
    bands, (pan,) = (torch.from_numpy(rasterio.open(each).read().astype(np.float64)) for each in (path, pan_path))
    return [step(band / band.std()) / step(pan / pan.std()) for band in bands]


def row(method: str, scenes: Sequence[Sequence[Shown]], gains: Sequence[float], ratio: int) -> str:
    """A line of the table."""
    cells = [f"| {method}"]
    for gain, some in zip(gains, scenes, strict=True):
        found = [figures(fused(method, scene, gain, ratio), scene.truth, ratio) for scene in some]
        cells.append(" / ".join(f"{value:.3g}" for value in np.mean(found, 0)))
    return " | ".join(cells) + " |"


def main() -> None:
    """Draw, fuse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--ratio", type=int, default=4)
    parser.add_argument("--method", action="append", help="a name or a file of weights; may be given several times")
    parser.add_argument("--gains", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.3, 0.45, 0.6])
    parser.add_argument("--fused", nargs="+", default=[], help="products to measure instead")
    parser.add_argument("--pan", help="of the products")
    options = parser.parse_args()
    for path in options.fused:
        print(path, " ".join(f"{value:.2f}" for value in beside_pan(path, options.pan)))
    if options.fused:
        return
    gains, ratio = options.gains, options.ratio
    scenes = [[draw(number, gain, ratio) for number in range(options.scenes)] for gain in gains]
    print("| ERGAS / SAM / sharpness | " + " | ".join(f"gain {gain:g}" for gain in gains) + " |")
    print("|---" * (len(gains) + 1) + "|")
    for method in options.method or METHODS:
        print(row(method, scenes, gains, ratio), flush=True)


if __name__ == "__main__":
    main()
