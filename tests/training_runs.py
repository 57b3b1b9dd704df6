"""Small training runs: patches on disk, a recipe of a few steps, and a listener that remembers."""

from pathlib import Path

import h5py
import numpy as np

from fusioncli.config.load import dump_recipe, load_recipe, load_stages
from fusioncli.workflows.train.request import TrainRequest

VALUE_MAX = 2047


def write_patches(path, count=10, bands=4, side_px=32, seed=0, value_max=VALUE_MAX, ratio=4, **changed):
    """Patches whose detail is learnable: bands are multiples of one texture, which PAN shows. `changed` arrays win."""
    rng = np.random.default_rng(seed)
    texture = rng.random((count, 1, side_px, side_px)) * 800 + 200
    gt = (texture * np.linspace(0.6, 1.4, bands)[:, None, None]).round().astype(np.uint16)
    cells = side_px // ratio
    ms = gt.reshape(count, bands, cells, ratio, cells, ratio).mean((3, 5)).round().astype(np.uint16)
    lms = ms.repeat(ratio, 2).repeat(ratio, 3)
    images = {"gt": gt, "ms": ms, "lms": lms, "pan": texture.round().astype(np.uint16), **changed}
    with h5py.File(path, "w") as file:
        file.attrs.update({"sensor": "QB", "ratio": ratio, "upsampler": "lanczos", "licence": "CC0-1.0"})
        if value_max is not None:
            file.attrs["value_max"] = value_max
        for name, image in images.items():
            file[name] = image
    return images


def write_cubes(path, foreign=False, guide_bands=2, **options):
    """Patches whose MSI shows the texture of all bands."""
    images = write_patches(path, **({"bands": 6, "count": 6, "side_px": 24} | options))
    names = {"gt": "GT", "ms": "LRHSI", "lms": "HSI_up", "pan": "RGB"} if foreign else {"ms": "hsi", "lms": "hsi_up"}
    with h5py.File(path, "r+") as file:
        for name in [*file]:
            image = file.pop(name)[()]
            if name == "pan":
                image, name = np.concatenate([image] * guide_bands, 1), names.get(name, "msi")
            file[names.get(name, name)] = image / 2047.0 if foreign else image
        if foreign:
            file.attrs.clear()
    return images


def settings(folder: Path, **changed):
    """Texts of `--set` for a run of a second or two."""
    chosen = {
        "data.train": str(folder / "train.h5"),
        "data.validation": str(folder / "validation.h5"),
        "data.patch_px": 16,
        "data.batch_size": 4,
        "model.options.widths": [6],
        "model.options.kernels_px": [5, 3],
        "training.steps": 12,
        "training.ema_decay": 0,
        "schedule.warmup_steps": 2,
        "validation.every_steps": 4,
        "validation.metrics": ["SAM", "ERGAS"],
        "checkpoint.every_steps": 5,
    } | {name.replace("__", "."): value for name, value in changed.items()}
    return [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in chosen.items()]


def request(folder: Path, run: str = "run", devices: int = 1, resume: bool = True, **changed):
    """A run of the patches in `folder`, on the CPU."""
    recipe = load_recipe("pnn-small", settings(folder, **changed))
    return TrainRequest(recipe, folder / run, devices, "cpu", resume)


class CrashError(Exception):
    """What a listener raises to end a run as abruptly as a crash."""


class Witness(list):
    """Remembers events; ends the run at the first that `fatal` is true of."""

    def __init__(self, fatal=lambda event: False):
        super().__init__()
        self.fatal = fatal

    def __call__(self, event):
        self.append(event)
        if self.fatal(event):
            raise CrashError

    def of(self, kind):
        return [event for event in self if isinstance(event, kind)]


STAGES = """
[[stages]]
name = "coarse"
loss = "l2"

[[stages]]
name = "fine"
[stages.optimiser]
learning_rate = 5e-4
[stages.training]
steps = 9
"""


def staged(folder: Path, **changed):
    """The recipes of a run in two stages, which `settings` describes but for the second one's rate and steps."""
    path = folder / "staged.toml"
    path.write_text(dump_recipe(load_recipe("pnn-small", settings(folder, **changed))) + STAGES, encoding="utf-8")
    return load_stages(path)
