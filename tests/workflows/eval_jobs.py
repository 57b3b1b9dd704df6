"""Golden scenes as files, and evaluations in this process without a word, shared by the tests of `evaluate`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from conftest import Pair, write_raster
from golden_scenes import RATIO, golden_scene

from fusioncli.core.sensors import find_sensor
from fusioncli.io.scene import PairRequest
from fusioncli.ops import toolbox
from fusioncli.workflows.evaluate.full import evaluate_full
from fusioncli.workflows.evaluate.protocol import CENTRED, EvalProtocol
from fusioncli.workflows.evaluate.reduced import evaluate_reduced
from fusioncli.workflows.evaluate.report import EvalReport
from fusioncli.workflows.evaluate.request import EvalSettings, PairEvaluation
from fusioncli.workflows.memory import Resources

GOLDEN = json.loads((Path(__file__).parent / "golden_evaluation.json").read_text())


def silent(stage: str, done: int, total: int) -> None:
    """No progress."""


def settings(protocol: EvalProtocol = CENTRED, **changes: object) -> EvalSettings:
    """Two threads, no GPU."""
    return EvalSettings(**{"protocol": protocol, "resources": Resources(2, 1400, "cpu"), **changes})


def golden_files(folder: Path, name: str) -> tuple[Path, Pair]:
    """Truth, and MS and PAN as the reference toolbox simulates them, without georeferencing."""
    gt, pan, _ = golden_scene(name)
    truth = gt.transpose(2, 0, 1)
    gains = find_sensor(GOLDEN[name]["sensor"]).for_bands(len(truth)).ms_mtf
    low = toolbox.mtf_degrade(torch.from_numpy(truth.astype(float))[None], gains, RATIO)
    ms = np.floor(low[0].numpy() + 0.5).astype("uint16")
    return write_raster(folder / "gt.tif", truth), Pair(
        write_raster(folder / "ms.tif", ms), write_raster(folder / "pan.tif", pan[None])
    )


def evaluation(pair: Pair, how: EvalSettings, *methods: str, fused: tuple[Path, ...] = (), sensor: str | None = None):
    return PairEvaluation(
        PairRequest((str(pair.ms),), str(pair.pan)), sensor, methods, tuple(str(path) for path in fused), how
    )


def _run(work, pair: Pair, how: EvalSettings, *methods: str, **options) -> EvalReport:
    return work(evaluation(pair, how, *methods, **options), silent)


reduced, full = partial(_run, evaluate_reduced), partial(_run, evaluate_full)
