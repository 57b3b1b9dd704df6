"""One picture per pair of real imagery at reduced resolution: truth, PAN, three fusions and their error maps.

    python tests/benchmarks/result_sheets.py $FUSION_REAL_DATA OUT [--pair NAME] [--panel PX] [--suffix .jpg]

For every pair in $FUSION_REAL_DATA/pairs, OUT/NAME.png shows the true MS, the upsampled MS (`exp`), the classical
method of lowest ERGAS and the default network; below them the degraded PAN and the absolute errors. Images and figures
are those of `fusion eval --reduced-res`, with the sensors that docs/results.md names. A scene larger than 256 px is
shown where the default errs most. `spot_otbtf_tiny` is left out: its bands have a mean near zero.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fusioncli.core.tiling import Rect
from fusioncli.io.environment import gdal_environment
from fusioncli.io.scene import PairRequest
from fusioncli.models.catalogue import METHODS, REFINER
from fusioncli.workflows.evaluate.fused import Fuser
from fusioncli.workflows.evaluate.peak import STATED, Peak
from fusioncli.workflows.evaluate.request import EvalSettings, PairEvaluation
from fusioncli.workflows.evaluate.scene_job import SceneJob
from fusioncli.workflows.evaluate.views import against_reference
from fusioncli.workflows.evaluate.wald import Wald, truth, truth_cells
from fusioncli.workflows.memory import Resources

CROP_PX, CROP_STEP_PX = 256, 16
GAP_PX, LINE_PX, LETTER_PX = 12, 24, 9
CLASSICAL = tuple(method.name for method in METHODS)
MEM_LIMIT_MB = 1400
HEAT = np.array([(0, 0, 0), (60, 15, 110), (190, 55, 85), (250, 150, 30), (255, 255, 190)])
HEAT_AT = np.linspace(0, 1, len(HEAT))


class Scene(NamedTuple):
    """A pair: its sensor's preset, its red, green and blue band from 0 (some files begin with red), its credit."""

    sensor: str | None
    rgb: tuple[int, int, int] = (2, 1, 0)
    credit: str = ""


SCENES = {
    "l8_madrid": Scene("LANDSAT8", (0, 1, 2), "Landsat 8, courtesy of the U.S. Geological Survey."),
    "sn6_wv2_1": Scene("WV2", credit="Made from the SpaceNet Dataset by SpaceNet Partners, CC BY-SA 4.0."),
    "cpe_cropland": Scene("SPOT6", (0, 1, 2)),
    "cpe_urban": Scene("PLEIADES"),
    "pnn_ik": Scene("IKONOS"),
    "pnn_ge1": Scene("GE1"),
    "dgif_3": Scene(None),
    "qb_full": Scene("QB"),
    "qb_rr_train": Scene("QB"),
    "wv3_zpnn_tiny": Scene("WV3", (4, 2, 1)),
}


class Fused(NamedTuple):
    """An image (bands, h, w), its error (h, w), 0 where there is no data, both DN, and the figures of all of it."""

    samples: np.ndarray
    error: np.ndarray
    values: Mapping[str, float | None]


def fuse(folder: Path, scene: Scene) -> tuple[np.ndarray, np.ndarray, dict[str, Fused]]:
    """Truth (bands, h, w), degraded PAN (1, h, w), and what every method makes of the degraded pair."""

    def quiet(*_: object) -> None: ...

    settings = EvalSettings(peak=None if scene.sensor else Peak(2047.0, STATED), resources=Resources(1, MEM_LIMIT_MB))
    pair = PairRequest((str(folder / "ms.tif"),), str(folder / "pan.tif"))
    job = SceneJob.open(PairEvaluation(pair, scene.sensor, settings=settings))
    cells, made = truth_cells(job.pair), {}
    whole, reference = Rect(0, 0, cells.height, cells.width), truth(job.pair, cells)
    yardstick = job.yardstick("reduced-resolution", quiet)
    with TemporaryDirectory(prefix="fusion-sheets-") as name:
        degraded = Wald(job.pair, cells, job.sensor, settings.protocol).degrade_into(Path(name), quiet)
        fuser = Fuser(degraded, job.sensor, settings.protocol, settings.resources, Path(name), quiet)
        for method in (*CLASSICAL, REFINER):
            with fuser.fused(method) as image:
                view = against_reference(reference, image, job.peak, settings.factor)
                images, valid = view.read(whole)
                values = yardstick.measure(view).values
            error = (images["fused"] - images["reference"]).abs().mean(1)
            error = error if valid is None else error.where(valid[0], 0.0)
            made[method] = Fused(images["fused"][0].numpy(), error[0].numpy(), values)
        return reference(whole)[0], degraded.pan.read(whole)[0], made


def worst(error: np.ndarray) -> tuple[slice, slice]:
    """The crop with the largest mean error; all of a small image."""
    starts = [range(0, max(1, side - CROP_PX + 1), CROP_STEP_PX) for side in error.shape]
    crops = [(slice(row, row + CROP_PX), slice(column, column + CROP_PX)) for row in starts[0] for column in starts[1]]
    return max(crops, key=lambda crop: float(error[crop].mean()))


def stretched(image: np.ndarray, like: np.ndarray) -> np.ndarray:
    """(3 or 1, h, w) as 8 bit (h, w, 3), from the 1st to the 99th percentile of each band of another."""
    low, high = np.nanpercentile(like, (1, 99), (1, 2))[..., None, None]
    unit = np.clip(np.nan_to_num((image - low) / (high - low)), 0, 1)
    return np.broadcast_to(np.rint(255 * unit).astype(np.uint8), (3, *image.shape[1:])).transpose(1, 2, 0)


def heat(unit: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 and beyond, black to pale yellow: (h, w) to 8 bit (h, w, 3)."""
    return np.stack([np.interp(unit, HEAT_AT, channel) for channel in HEAT.T], -1).astype(np.uint8)


def sheet(name: str, true: np.ndarray, pan: np.ndarray, made: Mapping[str, Fused], panel_px: int) -> Image.Image:
    """Two rows of four panels, a line of text above and below each, and a legend."""
    scene, rgb = SCENES[name], list(SCENES[name].rgb)
    classical = min(CLASSICAL, key=lambda method: made[method].values["ERGAS"] or np.inf)
    shown = {method: made[method] for method in ("exp", classical, REFINER)}
    area = worst(made[REFINER].error)
    cut = (slice(None), *area)
    errors = [each.error[area] for each in shown.values()]
    top, colour, grey = float(np.percentile(errors, 99)), true[rgb][cut], pan[cut]
    height, width = grey.shape[1:]
    zoom = max(1, panel_px // max(height, width))
    upper = [stretched(image, colour) for image in (colour, *(each.samples[rgb][cut] for each in shown.values()))]
    lower = [stretched(grey, grey), *(heat(error / top) for error in errors)]
    rows = [
        ["truth (MS)", "upsampled (exp)", f"best classical ({classical})", f"default ({REFINER})"],
        [each.repeat(zoom, 0).repeat(zoom, 1) for each in upper],
        [name, *(f"ERGAS {each.values['ERGAS']:#.4g}   SAM {each.values['SAM']:#.4g}" for each in shown.values())],
        ["PAN, degraded", *(f"error of {method}" for method in shown)],
        [each.repeat(zoom, 0).repeat(zoom, 1) for each in lower],
        [""],
        ["", heat(np.tile(np.linspace(0, 1, zoom * width), (LINE_PX, 1))), f"0 … {top:.4g} DN or more"],
    ]
    note = (
        f"Error: |fused - truth|, mean over bands, one scale; {top:.4g} DN are {top / np.nanmean(true[cut]):.0%} of the"
        f" truth's mean. ERGAS, SAM: all {true.shape[1]} x {true.shape[2]} px. Shown: {height} x {width} from row"
        f" {area[0].start}, column {area[1].start}, x{zoom}; bands {'-'.join(str(i + 1) for i in rgb)} as RGB, 1st to"
        f" 99th percentile of the truth. {scene.credit}"
    )
    step_px = zoom * width + GAP_PX
    return drawn([*rows, *([line] for line in textwrap.wrap(note, 4 * step_px // LETTER_PX))], step_px)


def drawn(rows: Sequence[Sequence[str | np.ndarray]], step_px: int) -> Image.Image:
    """Texts and 8 bit pictures (h, w, 3) in columns `step_px` apart; a text may run on over empty columns."""
    heights = [max(LINE_PX if isinstance(each, str) else len(each) for each in row) for row in rows]
    canvas = Image.new("RGB", (GAP_PX + step_px * max(map(len, rows)), sum(heights) + GAP_PX), "white")
    draw, font, y = ImageDraw.Draw(canvas), ImageFont.load_default(0.7 * LINE_PX), 0
    for row, height in zip(rows, heights, strict=True):
        for x, content in zip(range(GAP_PX, canvas.width, step_px), row, strict=False):
            if isinstance(content, str):
                draw.text((x, y + 3), content, "black", font)
            else:
                canvas.paste(Image.fromarray(content), (x, y))
        y += height
    return canvas


def main() -> None:
    """Write every sheet, or one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pair", choices=SCENES)
    parser.add_argument("--panel", type=int, default=512, help="largest side of a panel, px")
    parser.add_argument("--suffix", choices=(".png", ".jpg"), default=".png")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in [options.pair] if options.pair else SCENES:
        with gdal_environment(MEM_LIMIT_MB, {}):
            result = fuse(options.data / "pairs" / name, SCENES[name])
        path = options.out / (name + options.suffix)
        sheet(name, *result, options.panel).save(path, quality=85, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
