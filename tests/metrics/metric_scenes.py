"""Golden scenes as tensors, the figures known of them, and one instance of every index."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from golden_scenes import RATIO, TOP_DN, golden_scene
from torch import Tensor

from fusioncli.metrics.contract import Streamed
from fusioncli.metrics.suites import SUITES, SuiteSettings
from fusioncli.ops import toolbox

GOLDEN = json.loads((Path(__file__).parent / "golden_metrics.json").read_text())
SETTINGS = SuiteSettings(RATIO, TOP_DN)
GAINS = {
    "wv3": (0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315),
    "ikonos": (0.26, 0.28, 0.29, 0.28),
    "qb": (0.34, 0.32, 0.30, 0.22),
    "hsi": (0.3,) * 31,
}


def nchw(image: np.ndarray) -> Tensor:
    """(h, w) or (h, w, bands) to (1, C, h, w), dtype kept."""
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1)))[None]


def names() -> list[str]:
    """Every index that holds sums, by name."""
    return list(_fresh())


def fresh(name: str) -> Streamed:
    """An index of that name that has counted nothing."""
    return _fresh()[name]


def _fresh() -> dict[str, Streamed]:
    suites = (suite(SETTINGS) for suite in SUITES.values())
    return {leaf.name: leaf for suite in suites for metric in suite.metrics for leaf in metric.leaves()}


@lru_cache(maxsize=4)
def observed(name: str) -> MappingProxyType[str, Tensor]:
    """What the sensor would have seen of a golden scene, by the toolbox's protocol: gt, pan, ms, lms, pan_degraded."""
    gt, pan, _ = (nchw(image) for image in golden_scene(name))
    ms = (toolbox.mtf_degrade(gt.double(), GAINS[name], RATIO) + 0.5).floor()
    lms = toolbox.interp23tap(ms, RATIO)
    pan_degraded = toolbox.interp23tap(toolbox.imresize(pan.double(), 1 / RATIO), RATIO)
    return MappingProxyType({"gt": gt, "pan": pan, "ms": ms, "lms": lms, "pan_degraded": pan_degraded})


def candidate(name: str, image: str) -> Tensor:
    """What is judged: the truth itself (GT), a poor fusion result (DEG) or the upsampled MS (EXP)."""
    if image == "DEG":
        return nchw(golden_scene(name)[2])
    return observed(name)["gt" if image == "GT" else "lms"]


@lru_cache(maxsize=2)
def inputs(name: str) -> MappingProxyType[str, Tensor]:
    """Images of one size for the inputs of every index, the poor fusion result being what is judged."""
    fused = candidate(name, "DEG")
    filtered = toolbox.mtf_filter(fused, GAINS[name], RATIO)
    return MappingProxyType(
        {**observed(name), "reference": observed(name)["gt"], "fused": fused, "fused_filtered": filtered}
        | {"ms": observed(name)["gt"], "fused_lowered": filtered}
    )
