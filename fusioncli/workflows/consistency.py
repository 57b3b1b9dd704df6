"""Does a fused cube agree with what it was made of: seen through the guide's response, and degraded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
import torch
from torch import Tensor

from fusioncli.core import gaps
from fusioncli.core.rects import cells_around, cells_within, finer
from fusioncli.core.tiling import Rect
from fusioncli.io.layer import Layer
from fusioncli.io.raster import describe
from fusioncli.io.scene import ScenePair
from fusioncli.models.hyperspectral.response import fit_response
from fusioncli.models.statistics import Moments
from fusioncli.ops.sampling import Sampling, sampling_for
from fusioncli.workflows.plan import FusePlan
from fusioncli.workflows.spectra import read_pair_response

_PER_SIDE = 3
_WINDOW_CELLS = 24


@dataclass(frozen=True)
class Consistency:
    """Mean absolute difference over mean absolute value, in a few windows spread over the scene.

    Attributes:
        msi: of the fused cube, seen through the response (given, or regressed on these windows), from the MSI.
        hsi: of the fused cube, degraded, from the HSI.
        windows: how many.
    """

    msi: float
    hsi: float
    windows: int

    @property
    def text(self) -> str:
        """One sentence."""
        return (
            f"in {self.windows} sampled windows the result differs from MSI by {self.msi:.2%} when seen through its "
            f"spectral response, and from HSI by {self.hsi:.2%} when degraded"
        )


@dataclass(frozen=True)
class _Sampled:
    """Pixels (bands, n) of one window that are valid all over: on the cube's grid, and on the fine one."""

    small: np.ndarray
    lowered: np.ndarray
    fused: np.ndarray
    guide: np.ndarray


def check_consistency(plan: FusePlan) -> Consistency | None:
    """Compare a finished job's file with its inputs; None where no window is complete (DataError: damaged files)."""
    pair, srf = plan.pair, plan.request.method.srf
    sampling = sampling_for(plan.request.method.upsampler, pair.alignment.ratio, pair.alignment.mean_gsd_ratio)
    fused = _fused_layer(plan)
    windows = [_look(pair, fused, window, sampling, plan.sensor.ms_mtf) for window in _windows(pair)]
    found = [window for window in windows if window is not None]
    if not found:
        return None
    bands = pair.bands
    moments = reduce(add, (Moments.of(torch.from_numpy(each.small)) for each in found))
    response = fit_response(moments, bands, None if srf is None else read_pair_response(srf, pair))
    seen = [response.weights @ each.fused + response.offset[:, None] for each in found]
    return Consistency(
        _relative(seen, [each.guide for each in found]),
        _relative([each.lowered for each in found], [each.small[:bands] for each in found]),
        len(found),
    )


def _fused_layer(plan: FusePlan) -> Layer:
    """The product, without the bands that are empty in it."""
    file = describe(str(plan.request.output.path))
    kept = tuple(band for place, band in enumerate(file.bands) if place not in plan.product.empty)
    return Layer((replace(file, bands=kept),))


def _windows(pair: ScenePair) -> Iterator[Rect]:
    """Cells of the cube, in a few squares spread over the output."""
    cells = cells_within(pair.alignment.output_in_scene, pair.alignment.ratio)
    height, width = (min(_WINDOW_CELLS, max(1, n // _PER_SIDE)) for n in (cells.height, cells.width))
    if cells.empty:
        return
    for row in sorted({round(n) for n in np.linspace(cells.row0, cells.row1 - height, _PER_SIDE)}):
        for col in sorted({round(n) for n in np.linspace(cells.col0, cells.col1 - width, _PER_SIDE)}):
            yield Rect(row, col, row + height, col + width)


def _look(pair: ScenePair, fused: Layer, cells: Rect, sampling: Sampling, gains: tuple[float, ...]) -> _Sampled | None:
    """One window, with the margin that degrading needs; invalid cells are left out."""
    ratio, output = sampling.ratio, pair.alignment.output_in_scene
    margin = sampling.blur_reach_px(min(gains)) * (2 if fused.masked else 1)
    window = finer(cells_around(finer(cells, ratio).grow(margin), ratio), ratio)
    samples = pair.read(window)
    made, made_valid = fused.read(window.shift(-output.row0, -output.col0))
    if made_valid is not None:
        made = gaps.fill_gaps(made, made_valid)
    valid = np.ones((window.height, window.width), bool)
    for each in (samples.valid, made_valid):
        valid &= True if each is None else each.all(0)
    cells_valid = valid.reshape(window.height // ratio, ratio, window.width // ratio, ratio)
    whole = np.asarray(cells_valid.all((1, 3)))
    core, fine_core = cells.slices(cells_around(window, ratio)), finer(cells, ratio).slices(window)
    kept, fine_kept = whole[core], whole.repeat(ratio, 0).repeat(ratio, 1)[fine_core]
    if not kept.any():
        return None
    guide, image = _tensor(samples.pan), _tensor(made)
    gain = (sum(gains) / len(gains),) * pair.guide_bands
    small = np.concatenate([samples.ms, sampling.degrade(guide, gain)[0].numpy()])
    lowered = sampling.degrade(image, gains)[0].numpy()
    return _Sampled(
        small[:, *core][:, kept],
        lowered[:, *core][:, kept],
        made[:, *fine_core][:, fine_kept],
        samples.pan[:, *fine_core][:, fine_kept],
    )


def _tensor(samples: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples, np.float64))[None]


def _relative(found: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Σ |found - wanted| / Σ |wanted|."""
    wrong = sum(float(np.abs(a - b).sum()) for a, b in zip(found, wanted, strict=True))
    return wrong / max(sum(float(np.abs(b).sum()) for b in wanted), 1e-30)
