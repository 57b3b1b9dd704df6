"""Where the MS samples the PAN grid, measured: the phase search of the reprojection indices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusioncli.metrics.d_rho import local_correlation
from fusioncli.ops.reprojection import Phase, sample, unit_sum_filter

_HALF_WIDTH_PX = 2


def search_phases(ms: Tensor, pan: Tensor, gain: float, ratio: int) -> tuple[Phase, ...]:
    """For each band the phase at which PAN, filtered and decimated, correlates best with it locally.

    Scarpa and Ciotola 2022, as published: one kernel for all bands, that of the first; of equal phases the first in
    column-major order.

    Args:
        ms: (1, C, h, w).
        pan: (1, 1, h·ratio, w·ratio).
        gain: of the first MS band.
        ratio: scale between the grids.
    """
    low = unit_sum_filter(pan, (gain,), ratio)
    phases = [(row, col) for col in range(ratio) for row in range(ratio)]
    agreement = torch.stack(
        [local_correlation(ms, sample(low, ratio, [phase]), _HALF_WIDTH_PX).mean((0, 2, 3)) for phase in phases]
    )
    return tuple(phases[int(best)] for best in agreement.argmax(0))


def lower_at_phases(fused: Tensor, gains: Sequence[float], ratio: int, phases: Sequence[Phase]) -> Tensor:
    """Fused on the MS grid: each band through its unit-sum kernel, sampled at its phase."""
    return sample(unit_sum_filter(fused, gains, ratio), ratio, phases)
