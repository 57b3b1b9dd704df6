"""Which method suits a scene: each fuses a few windows of it at reduced resolution, where the truth is known.

Wald et al., "Fusion of satellite images of different spatial resolutions", PE&RS 63(6), 1997. The amount of work is
fixed, whatever the size of the scene, and so is the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import inf, isfinite

import numpy as np
import torch
from torch.nn.functional import max_pool2d

from fusioncli import __version__
from fusioncli.core.rects import finer
from fusioncli.core.sensors import Sensor
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.downloads import cache_folder
from fusioncli.io.files import whole_file
from fusioncli.io.parts import job_digest
from fusioncli.io.patch_writer import PatchNumbers
from fusioncli.io.scene import ScenePair
from fusioncli.metrics.ergas import Ergas
from fusioncli.metrics.sam import Sam
from fusioncli.models.contract import FusionModel, SceneMethod, Window, fuse_image
from fusioncli.models.statistics import Statistics, merge
from fusioncli.workflows.evaluate.protocol import find_protocol
from fusioncli.workflows.simulate.pair import PairSource
from fusioncli.workflows.workers import in_order

_WINDOW_PX = 192  # MS px of the scene along either axis
_MARGIN_CELLS = 4  # around a window, where interpolation does not see the scene's border …
_ROOMY_CELLS = 24  # … unless the scene is so small that it is all border
LEAST_CELLS = 6
"""Of a window, along either axis."""
_LEAST_SHARE = 0.25  # of a window, that holds data
_THREADS = 2
_NUMBERS = PatchNumbers("float32", inf)

Models = Mapping[str, FusionModel | SceneMethod]


@dataclass(frozen=True)
class Score:
    """How a method did.

    Attributes:
        method: its name.
        ergas: of all windows together; infinite where it failed.
        sam: likewise, degrees.
    """

    method: str
    ergas: float
    sam: float


@dataclass(frozen=True)
class _Sample:
    """A window of the degraded scene and its truth, (1, B, H, W)."""

    window: Window
    truth: torch.Tensor


def compare(pair: ScenePair, sensor: Sensor, models: Models, within: Rect | None = None) -> list[Score]:
    """Methods from the best to the worst; [] for a scene too small to tell.

    Args:
        pair: the aligned scene.
        sensor: figures for its bands.
        models: by name.
        within: pixels of the degraded MS that are compared; None for the scene, but for its border where there is room.

    Raises:
        DataError: an input is damaged.
    """
    source = PairSource(pair, sensor, find_protocol("centred"), inf, "")
    try:
        cells = source.cells
    except DataError:  # smaller than one cell
        return []
    margin = _MARGIN_CELLS if within or min(cells.height, cells.width) >= _ROOMY_CELLS else 0
    areas = windows(within or cells.grow(-margin), _WINDOW_PX // pair.alignment.ratio)
    samples = [sample for area in areas if (sample := _sample(source, area, margin)) is not None]
    if not samples:
        return []

    def judge(name: str) -> Score:
        return Score(name, *_figures(models[name], samples))

    found = in_order("comparing", list(models), judge, _THREADS, lambda *_: None)
    return sorted(found, key=lambda score: score.ergas)


Compare = Callable[[ScenePair, Sensor, Models], list[Score]]


def compare_once(pair: ScenePair, sensor: Sensor, models: Models) -> list[Score]:
    """As `compare`; what was found for the same files, methods and sensor before is looked up."""
    files = [file.path for file in (*pair.ms.files, *pair.pan.files)]
    cards = [(name, model.card) for name, model in models.items()]
    digest = job_digest(files, [__version__, repr((pair.alignment, sensor, cards))])
    path = cache_folder() / "selfchecks" / f"{digest}.json"
    with suppress(OSError, ValueError, TypeError):
        return [Score(**score) for score in json.loads(path.read_text(encoding="utf-8"))]
    scores = compare(pair, sensor, models)
    with suppress(OSError, DataError):  # nowhere to keep it: it is found again
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps([asdict(score) for score in scores]), encoding="utf-8")
    return scores


def windows(cells: Rect, side: int) -> list[Rect]:
    """One or two windows along either axis, in the middle of as many equal pieces; [] if there is no room.

    Args:
        cells: pixels of the degraded MS that may be in one.
        side: of a window, cells.
    """
    places = [_places(*axis, side) for axis in ((cells.row0, cells.row1), (cells.col0, cells.col1))]
    return [Rect(top, left, bottom, right) for top, bottom in places[0] for left, right in places[1]]


def _places(start: int, stop: int, side: int) -> list[tuple[int, int]]:
    length = stop - start
    if length < LEAST_CELLS:
        return []
    pieces, side = (2, side) if length >= 2 * side else (1, min(side, length))
    firsts = (start + (2 * piece + 1) * length // (2 * pieces) - side // 2 for piece in range(pieces))
    return [(first, first + side) for first in firsts]


def _sample(source: PairSource, area: Rect, margin: int) -> _Sample | None:
    """A window with a margin, and its truth; None if hardly any of it holds data."""
    ratio = source.pair.alignment.ratio
    around = area.grow(margin)
    found = source.images(around, _NUMBERS)
    images = {name: torch.from_numpy(np.ascontiguousarray(image))[None] for name, image in found.items()}
    known = None
    if (cells := source.valid(around)) is not None:
        far = torch.from_numpy(cells)[None, None].float()  # a gap spoils what filters see of it, so far away
        kept = -max_pool2d(-far, 2 * source.margin + 1, stride=1)
        if kept.mean() < _LEAST_SHARE:
            return None
        known = kept.repeat_interleave(ratio, -1).repeat_interleave(ratio, -2).bool()
    core = finer(area, ratio).slices(finer(around, ratio))
    return _Sample(Window(images["ms"], images["pan"], known, core, ratio), images["gt"])


def _figures(model: FusionModel | SceneMethod, samples: Sequence[_Sample]) -> tuple[float, float]:
    """ERGAS and SAM."""
    try:
        fitted = model if isinstance(model, FusionModel) else model.fit(_observed(model, samples))
        indices = Ergas(samples[0].window.ratio), Sam()
        for sample in samples:
            rows, cols = sample.window.core
            with torch.inference_mode():
                fused = fuse_image(fitted, sample.window.ms, sample.window.pan)
            mask = None if sample.window.valid is None else sample.window.valid[..., rows, cols]
            for index in indices:
                index.update(sample.truth[..., rows, cols].double(), fused[..., rows, cols].double(), mask=mask)
        ergas, sam = (index.compute() for index in indices)
    except DataError:  # no data, or nothing to see in these windows
        return inf, inf
    return ergas if isfinite(ergas) else inf, sam


def _observed(method: SceneMethod, samples: Sequence[_Sample]) -> Statistics:
    statistics = method.observe(samples[0].window)
    for sample in samples[1:]:
        statistics = merge(statistics, method.observe(sample.window))
    return statistics
