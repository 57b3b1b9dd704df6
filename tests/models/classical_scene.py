"""A small scene and its sensor, shared by the tests of the classical methods."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from golden_scenes import scene

from fusioncli.models.catalogue import METHODS
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import FusionModel, SceneMethod, Window
from fusioncli.models.registry import build
from fusioncli.ops.sampling import CentredSampling

RATIO = 4
OPTICS = Optics((0.34, 0.32, 0.30, 0.22), 0.15, (0.2, 0.3, 0.3, 0.2))
SAMPLING = CentredSampling(RATIO, 4.0, "lanczos")
NAMES = [method.name for method in METHODS]
SCENE_NAMES = [name for name in NAMES if isinstance(build(name, SAMPLING, OPTICS), SceneMethod)]


@lru_cache
def truth(height: int = 128, width: int = 192) -> tuple[torch.Tensor, torch.Tensor]:
    """Ground truth (1, 4, H, W) and PAN (1, 1, H, W), float64, DN."""
    gt, pan = scene(11, height, width, 4)
    return torch.from_numpy(gt.transpose(2, 0, 1)[None].astype(float)), torch.from_numpy(pan[None, None] * 1.0)


def pair(height: int = 128, width: int = 192) -> tuple[torch.Tensor, torch.Tensor]:
    """The truth's MS, degraded and rounded, and PAN."""
    gt, pan = truth(height, width)
    return SAMPLING.degrade(gt, OPTICS.ms_mtf).round(), pan.clone()


def whole(ms: torch.Tensor, pan: torch.Tensor, valid: torch.Tensor | None = None) -> Window:
    """One window that is all core."""
    return Window(ms, pan, valid, (slice(0, pan.shape[-2]), slice(0, pan.shape[-1])), pan.shape[-1] // ms.shape[-1])


def ready(model: FusionModel | SceneMethod, window: Window) -> FusionModel:
    """The model, fitted to the window if it needs that."""
    return model.fit(model.observe(window)) if isinstance(model, SceneMethod) else model


def tiles(ms: torch.Tensor, pan: torch.Tensor, core_px: int, halo_px: int) -> list[Window]:
    """Windows with a margin that is mirrored at the scene's border, as the engine makes them."""
    halo = -(-halo_px // RATIO)
    big_ms, big_pan = (
        torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (h, h), (h, h)), "symmetric"))
        for x, h in ((ms, halo), (pan, halo * RATIO))
    )
    side = core_px // RATIO
    core = (slice(halo * RATIO, halo * RATIO + core_px),) * 2
    return [
        Window(
            big_ms[..., row : row + side + 2 * halo, col : col + side + 2 * halo],
            big_pan[
                ...,
                row * RATIO : (row + side + 2 * halo) * RATIO,
                col * RATIO : (col + side + 2 * halo) * RATIO,
            ],
            None,
            core,
            RATIO,
        )
        for row in range(0, ms.shape[-2], side)
        for col in range(0, ms.shape[-1], side)
    ]
