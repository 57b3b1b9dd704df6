"""Every method in the toolbox's sampling against figures of the reference Matlab toolbox, run under Octave."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from classical_scene import ready, whole
from golden_scenes import scene

from fusioncli.core.tiling import Untiled
from fusioncli.models.classical.base import Optics
from fusioncli.models.registry import build
from fusioncli.ops import toolbox
from fusioncli.ops.sampling import ToolboxSampling

GOLDEN = json.loads((Path(__file__).parent / "golden_fusion.json").read_text())
CASES = [(name, method) for name, case in GOLDEN.items() for method in case["methods"]]


@lru_cache
def inputs(name):
    case = GOLDEN[name]
    gt, pan = scene(case["seed"], case["height"], case["width"], case["bands"])
    gt = torch.from_numpy(gt.transpose(2, 0, 1)[None].astype(float))
    ms = torch.floor(toolbox.mtf_degrade(gt, case["ms_mtf"], 4) + 0.5)  # halves away from zero, as uint16()
    return ms, torch.from_numpy(pan[None, None].astype(float))


@pytest.mark.parametrize(("name", "method"), CASES)
def test_equals_the_reference(name, method):
    case, golden = GOLDEN[name], GOLDEN[name]["methods"][method]
    ms, pan = inputs(name)
    optics = Optics(tuple(case["ms_mtf"]), case["pan_mtf"], (1 / case["bands"],) * case["bands"])
    model = ready(build(method, ToolboxSampling(4), optics), whole(ms, pan))
    assert model.card.rule == Untiled()
    fused = model.fuse(ms, pan)[0].numpy()
    np.testing.assert_allclose(fused[:, case["rows"], case["cols"]].T, golden["samples"], rtol=1e-8)
    bands = fused.reshape(len(fused), -1)
    figures = {"mean": bands.mean(1), "std": bands.std(1, ddof=1), "min": bands.min(1), "max": bands.max(1)}
    for key in figures.keys() & golden.keys():
        np.testing.assert_allclose(figures[key], golden[key], rtol=1e-8, err_msg=key)
