"""Full resolution: indices without reference, and the fused image brought back to the MS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from fusioncli.core import gaps
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.layer import Layer
from fusioncli.io.scene import ScenePair
from fusioncli.ops import toolbox
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate import reproject
from fusioncli.workflows.evaluate.fused import Fuser, method_names
from fusioncli.workflows.evaluate.measure import Figures, Images, View
from fusioncli.workflows.evaluate.report import EvalReport, columns, undefined_notes
from fusioncli.workflows.evaluate.request import PairEvaluation
from fusioncli.workflows.evaluate.scene_job import SceneJob
from fusioncli.workflows.evaluate.views import Derived, check_size, mask, open_layer, tensor
from fusioncli.workflows.evaluate.wald import whole_cells
from fusioncli.workflows.workers import Progress

MODE = "full resolution"


def evaluate_full(request: PairEvaluation, progress: Progress) -> EvalReport:
    """Measure fused images of a pair without reference: given files, or methods applied on the spot.

    Raises:
        DataError: unusable files, a fused image that is not on the grid of the pair, no valid pixel.
        UsageError: unknown names, or a peak that nobody states.
    """
    methods = () if request.fused else method_names(request.methods)
    job = SceneJob.open(request)
    border_px = request.settings.border(with_reference=False)
    on_pan, on_ms = (job.yardstick(suite, progress) for suite in ("full-resolution", "reprojection"))
    on_ms = replace(on_ms, tile_px=...)
