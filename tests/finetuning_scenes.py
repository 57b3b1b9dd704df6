"""A scene on disk large enough to learn from, and weights of small networks that know nothing yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from affine import Affine
from conftest import Pair, write_raster

from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.models.networks import build_network
from fusioncli.models.weights import save_weights

FINE = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)
VALUE_MAX = 2047.0
PNN = {"arch": "pnn", "options": {"widths": (6,), "kernels_px": (5, 3)}}


def write_scene(folder: Path, shape=(176, 64), bands=4, ratio=4, place=FINE, gain=1.0) -> Pair:
    """MS of (bands, *shape) px: multiples of one texture, which PAN shows at the finer scale; detail is learnable."""
    rng = np.random.default_rng(7)
    height, width = shape[0] * ratio, shape[1] * ratio
    rows, cols = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / (0.01 + np.hypot(rows, cols))
    texture = np.fft.irfft2(spectrum, s=(height, width))
    pan = 700 + 180 * (texture / texture.std()).clip(-3, 3)
    ms = pan.reshape(shape[0], ratio, shape[1], ratio).mean((1, 3)) * np.linspace(0.7, 1.2, bands)[:, None, None]
    folder.mkdir(parents=True, exist_ok=True)
    return Pair(
        write_raster(folder / "ms.tif", (gain * ms).round().astype("uint16"), place @ Affine.scale(ratio)),
        write_raster(folder / "pan.tif", (gain * pan).round().astype("uint16"), place),
    )


def write_base(path: Path, model=PNN, bands=4, ratio=4, off=0.03, **facts) -> Path:
    """Weights that are a little (`off`) off those of a fresh network, which gives the upsampled MS."""
    config = ModelConfig.model_validate({**model, "bands": bands, "ratio": ratio})
    torch.manual_seed(1)
    network = build_network(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += off * torch.randn_like(parameter)
    known = {"value_max": VALUE_MAX, "upsampler": "lanczos", "sensor": "QB", **facts}
    save_weights(path, network.state_dict(), Identity.of_model(config, **known))
    return path
