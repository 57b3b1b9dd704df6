"""A small cube and the image that sharpens it, mixed from a few spectra, shared by the tests of the cube methods."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from fusioncli.models.catalogue import CUBE_METHODS
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import FusionModel, SceneMethod, Window
from fusioncli.models.registry import build
from fusioncli.ops.sampling import CentredSampling

RATIO = 4
BANDS, GUIDE_BANDS = 20, 4
NAMES = [method.name for method in CUBE_METHODS]
SAMPLING = CentredSampling(RATIO, 4.0, "lanczos")
OPTICS = Optics((0.3,) * BANDS, 0.15, (1 / BANDS,) * BANDS)


def responses() -> np.ndarray:
    """(M, B), rows of sum 1."""
    place = np.arange(BANDS)
    rows = np.exp(-0.5 * ((place - np.array([2, 7, 12, 17])[:, None]) / 1.5) ** 2)
    return rows / rows.sum(1, keepdims=True)


@lru_cache
def truth(height: int = 64, width: int = 96) -> torch.Tensor:
    """(1, B, H, W) float64, DN, positive: five materials in fields, with texture."""
    rng = np.random.default_rng(5)
    place = np.linspace(0, 1, BANDS)
    spectra = np.array([600 + 500 * np.sin(2 + 3 * k + (2 + k) * place) for k in range(5)])
    noise = np.array([gaussian_filter(rng.normal(size=(height, width)), 2.0, mode="wrap") for _ in spectra])
    shares = np.exp(3 * noise / noise.std((1, 2), keepdims=True))
    shares /= shares.sum(0)
    shade = 1 + 0.1 * gaussian_filter(rng.normal(size=(height, width)), 1.0) / 0.28
    return torch.from_numpy((np.tensordot(spectra.T, shares, 1) * shade).clip(1))[None]


def pair(height: int = 64, width: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """The cube, degraded and rounded, and the guide seen through the responses."""
    gt = truth(height, width)
    guide = torch.einsum("mb,nbhw->nmhw", torch.from_numpy(responses()), gt)
    return SAMPLING.degrade(gt, OPTICS.ms_mtf).round(), guide.round()


def whole(ms: torch.Tensor, guide: torch.Tensor, valid: torch.Tensor | None = None) -> Window:
    """One window that is all core."""
    return Window(ms, guide, valid, (slice(0, guide.shape[-2]), slice(0, guide.shape[-1])), RATIO)


def cut(ms: torch.Tensor, guide: torch.Tensor, core_px: int, halo_px: int) -> list[Window]:
    """Square windows in row-major order, with a margin that is mirrored at the scene's border."""
    halo = -(-halo_px // RATIO)
    wide = [
        torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (h, h), (h, h)), "symmetric"))
        for x, h in ((ms, halo), (guide, halo * RATIO))
    ]
    side, inner = core_px // RATIO, slice(halo * RATIO, halo * RATIO + core_px)
    return [
        Window(
            wide[0][..., row : row + side + 2 * halo, col : col + side + 2 * halo],
            wide[1][
                ...,
                row * RATIO : (row + side + 2 * halo) * RATIO,
                col * RATIO : (col + side + 2 * halo) * RATIO,
            ],
            None,
            (inner, inner),
            RATIO,
        )
        for row in range(0, ms.shape[-2], side)
        for col in range(0, ms.shape[-1], side)
    ]


def method(name: str, optics: Optics = OPTICS) -> SceneMethod:
    """One of the cube methods, before it has seen a scene."""
    model = build(name, SAMPLING, optics)
    assert isinstance(model, SceneMethod)
    return model


def ready(name: str, ms: torch.Tensor, guide: torch.Tensor, optics: Optics = OPTICS) -> FusionModel:
    """Fitted to a scene in one window."""
    model = method(name, optics)
    return model.fit(model.observe(whole(ms, guide)))
