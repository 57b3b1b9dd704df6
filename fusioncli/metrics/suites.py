"""The sets of indices that papers print together, streamed over a scene in one go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from fusioncli.errors import UsageError
from fusioncli.metrics.cc import Cc
from fusioncli.metrics.contract import Metric, count_tile
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.d_lambda import DLambda
from fusioncli.metrics.d_lambda_k import DLambdaK
from fusioncli.metrics.d_rho import DRho
from fusioncli.metrics.d_s import DS
from fusioncli.metrics.ergas import Ergas
from fusioncli.metrics.hqnr import Hqnr
from fusioncli.metrics.psnr import PsnrBandMean, PsnrPooled
from fusioncli.metrics.q2n import Q2n
from fusioncli.metrics.qnr import Qnr
from fusioncli.metrics.reprojection import RErgas, RQ2n, RSam, RUiqi
from fusioncli.metrics.rmse import RmseBandMean, RmsePooled
from fusioncli.metrics.sam import Sam
from fusioncli.metrics.scc import Scc
from fusioncli.metrics.ssim import Ssim
from fusioncli.metrics.uiqi import Uiqi


@dataclass(frozen=True)
class SuiteSettings:
    """What the indices of a suite have to be told.

    Attributes:
        ratio: MS pixel size over PAN pixel size.
        data_range: peak value in DN, for PSNR and SSIM.
    """

    ratio: int
    data_range: float


class Suite:
    """Several indices of the same image; what they share, such as D_s in QNR and HQNR, is counted once."""

    def __init__(self, *metrics: Metric) -> None:
        self.metrics = metrics
        self._leaves = tuple(dict.fromkeys(leaf for metric in metrics for leaf in metric.leaves()))
        self.inputs = tuple(dict.fromkeys(name for leaf in self._leaves for name in leaf.inputs))
        self.halo_px = max(leaf.halo_px for leaf in self._leaves)
        self.align_px = math.lcm(*(leaf.align_px for leaf in self._leaves))

    def update(self, images: Mapping[str, Tensor], mask: Tensor | None = None, cut: Cut | None = None) -> Self:
        """Add one tile; `images` holds the suite's `inputs` by name, the rest is as in `Metric.update`."""
        count_tile(self._leaves, images, mask, cut)
        return self

    def merge(self, other: Self) -> Self:
        """Add what the same suite has counted elsewhere."""
        for mine, theirs in zip(self._leaves, other._leaves, strict=True):
            mine.absorb(theirs)
        return self

    def compute(self) -> dict[str, float]:
        """Every index by name; raises DataError as `Metric.compute` does."""
        return {metric.name: metric.compute() for metric in self.metrics}


def reduced_resolution(settings: SuiteSettings) -> Suite:
    """Against the true image, as pansharpening papers do after Wald's protocol."""
    return Suite(
        Sam(),
        Ergas(settings.ratio),
        Q2n(),
        Uiqi(),
        Scc(),
        *_fidelity(settings),
        Ssim(settings.data_range),
        Cc(),
    )


def hyperspectral(settings: SuiteSettings) -> Suite:
    """Against the true image, as papers on CAVE and Harvard do; without Q2n, which needs DN."""
    return Suite(
        PsnrBandMean(settings.data_range),
        Ssim(settings.data_range),
        Sam(),
        Ergas(settings.ratio),
        RmsePooled(),
        Cc(),
    )


def full_resolution(settings: SuiteSettings) -> Suite:
    """Without reference, on the PAN grid."""
    d_lambda, d_s, d_lambda_k = DLambda(), DS(), DLambdaK()
    return Suite(
        d_lambda,
        d_s,
        Qnr(d_lambda, d_s),
        d_lambda_k,
        Hqnr(d_lambda_k, d_s),
        DRho(max(1, settings.ratio // 2)),
    )


def reprojection(settings: SuiteSettings) -> Suite:
    """Without reference, on the MS grid."""
    return Suite(RSam(), RErgas(settings.ratio), RQ2n(), RUiqi())


SUITES: dict[str, Callable[[SuiteSettings], Suite]] = {
    "reduced-resolution": reduced_resolution,
    "hyperspectral": hyperspectral,
    "full-resolution": full_resolution,
    "reprojection": reprojection,
}


def suite(name: str, settings: SuiteSettings) -> Suite:
    """A fresh suite by name (UsageError when there is none of that name)."""
    if name not in SUITES:
        raise UsageError(f"there is no suite {name!r}", f"choose one of {', '.join(SUITES)}")
    return SUITES[name](settings)


def _fidelity(settings: SuiteSettings) -> tuple[Metric, ...]:
    peak = settings.data_range
    return (PsnrPooled(peak), PsnrBandMean(peak), RmsePooled(), RmseBandMean())
