"""How a cube sees what its sharper companion sees: point spread and sub-pixel shift, from the pair itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fusioncli.ops.kernels import DEFAULT_MS_GAIN, gaussian_sigma

_COMPONENTS = 8
_CELLS_PER_COMPONENT = 20
_LEAST_CELLS = 100
MARGIN_CELLS = 2
"""Beside a gap or an edge no cell counts: its kernel would look at ground that is not there."""
_SIGMA_RANGE = 0.1, 1.2  # in px of the cube; unlike pictures are fitted best by a wider one
_FARTHEST_CELLS = 4.0
_LARGEST_ERROR_PX = 0.1  # unlike pictures have more, whatever their size
_LEAST_EXPLAINED = 0.5
_STEPS, _SETTLED, _NO_BETTER = 40, 1e-3, 1e-6
_ALIKE = 0.98  # of the largest gain that the grid can show
_NOISE = 1e-8  # of the variance: keeps the logarithm finite where there is no noise at all
_RANK_CUTOFF = 1e-10


@dataclass(frozen=True)
class View:
    """One window of a pair.

    Attributes:
        cube: (B, h, w), DN.
        guide: (M, h·ratio, w·ratio), DN, gaps filled.
        valid: (h, w) bool, cells where both hold data, or None.
    """

    cube: np.ndarray
    guide: np.ndarray
    valid: np.ndarray | None = None


@dataclass(frozen=True)
class Blur:
    """The Gaussian through which the cube's cells see the guide.

    Attributes:
        rows_px: downwards from the centre of a cell to what it sees, guide px: so far the cube has to move.
        cols_px: likewise to the right.
        gain: at the Nyquist frequency of the cube, against the guide.
        explained: share of the variance of the guide's bands, each scaled to 1 and seen through the Gaussian, that a
            linear combination of the cube's components accounts for.
        error_px: standard error of the shift along the worse axis, as if what is not explained were noise.
        cells: how many were looked at.
        at_least: the gain is a bound only: Gaussians that are narrower still see the same px of this grid.
    """

    rows_px: float
    cols_px: float
    gain: float
    explained: float
    error_px: float
    cells: int
    at_least: bool = False

    @property
    def length_px(self) -> float:
        """Euclidean length of the shift, guide px."""
        return float(np.hypot(self.rows_px, self.cols_px))


class _State(NamedTuple):
    """Shift along rows and columns, guide px, and the logarithm of the standard deviation; and how good that is."""

    place: np.ndarray
    loss: float
    slope: np.ndarray
    curvature: np.ndarray
    explained: float


def fit_blur(views: Sequence[View], ratio: int, gsd_ratio: float) -> Blur | None:
    """Shift and width of the Gaussian k that, with some response R, brings decimate(k * guide) closest to R·cube.

    The principle is HySure's (Simões et al., IEEE TGRS 53(6), 2015), which alternates between R and the taps of k. Here
    k has three parameters and R is eliminated: leading components of the cube are regressed on those of the lowered
    guide, and Gauss and Newton's steps (variable projection, Kaufman, BIT 15, 1975) lower the logarithm of the
    determinant of the covariance of what is left. That is maximum likelihood, and Σ log(1 - ρ²) over the canonical
    correlations of both images: no scale of either changes it, so neither a wide kernel nor a small R feigns a fit.

    Args:
        views: windows of the scene, of any sizes.
        ratio: guide px per cell of the grid that the cube is on.
        gsd_ratio: guide px per cell of the sensor, whose Nyquist frequency the gain is for.

    Returns:
        None where the pair does not determine it: too few cells, nothing that varies, or different pictures.
    """
    scene = _Scene.of(views, ratio)
    if scene is None:
        return None
    try:
        found = scene.settle(np.array([0.0, 0.0, np.log(gaussian_sigma(DEFAULT_MS_GAIN, gsd_ratio))]))
        if found is None:
            return None
        places = np.linalg.inv(found.curvature[:2, :2])  # shift and width do not disturb each other
        error_px = float(np.sqrt(np.diag(places).max() / scene.cells))
    except np.linalg.LinAlgError:  # whatever the kernel, the lowered guide is the same
        return None
    if error_px > _LARGEST_ERROR_PX or found.explained < _LEAST_EXPLAINED:
        return None
    rows_px, cols_px, log_sigma = map(float, found.place)
    gain, most = (_gain(each, ratio, gsd_ratio) for each in (log_sigma, np.log(_SIGMA_RANGE[0] * ratio)))
    return Blur(rows_px, cols_px, gain, found.explained, error_px, scene.cells, gain > _ALIKE * most)


@dataclass(frozen=True)
class _Scene:
    """What is compared.

    Attributes:
        guides: (P, H, W) per view, components of the guide.
        kept: (h, w) bool per view.
        cube: (P', cells), components of the cube in the cells that are kept, variance 1.
        ratio: guide px per cell.
    """

    guides: list[np.ndarray]
    kept: list[np.ndarray]
    cube: np.ndarray
    ratio: int

    @property
    def cells(self) -> int:
        """How many are kept."""
        return self.cube.shape[1]

    @classmethod
    def of(cls, views: Sequence[View], ratio: int) -> _Scene | None:
        """None if there is too little to compare."""
        kept = [_kept(view) for view in views]
        cells = sum(int(each.sum()) for each in kept)
        if cells < _LEAST_CELLS:
            return None
        count = min(_COMPONENTS, cells // _CELLS_PER_COMPONENT)
        places = list(zip(views, kept, strict=True))
        every = slice(ratio // 2, None, ratio)  # one px per cell is enough to know the guide's axes by
        cube = _axes(np.concatenate([view.cube[:, each] for view, each in places], 1), count)
        guide = _axes(np.concatenate([view.guide[:, every, every][:, each] for view, each in places], 1), count)
        if not (cube.size and guide.size):
            return None
        seen = np.concatenate([np.tensordot(cube, view.cube[:, each], 1) for view, each in places], 1)
        seen = (seen - seen.mean(1, keepdims=True)) / seen.std(1, keepdims=True)
        return cls([np.tensordot(guide, view.guide, 1) for view in views], kept, seen, ratio)

    def settle(self, place: np.ndarray) -> _State | None:
        """Levenberg and Marquardt's steps until they are small; None if they are not or lead out of range."""
        state, damping = self.at(place), 1e-3
        longest = np.array([self.ratio / 2, self.ratio / 2, 0.3])
        low, high = np.log(np.array(_SIGMA_RANGE) * self.ratio)
        for _ in range(_STEPS):
            step = np.linalg.solve(state.curvature + damping * np.diag(np.diag(state.curvature)), state.slope)
            goal = state.place + step.clip(-longest, longest)
            goal[2] = min(max(goal[2], low), high)
            if np.abs(goal[:2]).max() > _FARTHEST_CELLS * self.ratio:
                return None
            if np.abs(goal - state.place).max() < _SETTLED:
                return state if goal[2] < high else None
            tried = self.at(goal)
            if tried.loss <= state.loss:
                if state.loss - tried.loss < _NO_BETTER:  # the narrowest kernels are all alike
                    return tried
                state, damping = tried, max(damping / 10, 1e-6)
            else:
                damping *= 10
        return None

    def at(self, place: np.ndarray) -> _State:
        """Loss, its slope downhill and its curvature in Gauss and Newton's sense, per cell."""
        lowered, *changes = self._lowered(place)
        basis, triangle = np.linalg.qr(lowered.T)
        weights = np.linalg.lstsq(triangle, basis.T @ self.cube.T, rcond=_RANK_CUTOFF)[0].T
        left = self.cube - weights @ lowered
        covariance = left @ left.T / self.cells + _NOISE * np.eye(len(left))
        inverse = np.linalg.inv(covariance)
        turned = [weights @ change for change in changes]
        turned = [each - (each @ basis) @ basis.T for each in turned]
        weighed = [inverse @ each for each in turned]
        slope = np.array([float((each * left).sum()) for each in weighed]) / self.cells
        curvature = np.array([[float((a * b).sum()) for b in turned] for a in weighed]) / self.cells
        return _State(place, float(np.linalg.slogdet(covariance)[1]), slope, curvature, self._explained(lowered))

    def _lowered(self, place: np.ndarray) -> np.ndarray:
        """The guide through the Gaussian, and its derivatives: (4, P, cells), centred."""
        parts = []
        for guide, kept in zip(self.guides, self.kept, strict=True):
            (rows, *row_changes), (cols, *col_changes) = (
                _gaussian(cells, shift, place[2], self.ratio) for cells, shift in zip(kept.shape, place, strict=False)
            )
            by_row = [each @ guide for each in (rows, *row_changes)]
            lowered, down, wide = (each @ cols.T for each in by_row)
            across, wide_across = (by_row[0] @ each.T for each in col_changes)
            parts.append(np.stack([lowered, down, across, wide + wide_across])[..., kept])
        every = np.concatenate(parts, -1)
        return every - every.mean(-1, keepdims=True)

    def _explained(self, lowered: np.ndarray) -> float:
        """Share of the variance of the lowered guide that the cube accounts for."""
        basis, _ = np.linalg.qr(self.cube.T)
        return float(((lowered @ basis) ** 2).sum() / max((lowered**2).sum(), 1e-300))


def _gaussian(cells: int, shift_px: float, log_sigma: float, ratio: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of weights by which cells see a line of px, and their derivatives by shift and logarithm of the width."""
    centres = (np.arange(cells) + 0.5) * ratio - 0.5 + shift_px
    away = (np.arange(cells * ratio) - centres[:, None]) / np.exp(log_sigma)
    power = -0.5 * away**2
    weights = np.exp(power - power.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    shifted, widened = away / np.exp(log_sigma), away**2
    changes = [weights * (each - (weights * each).sum(1, keepdims=True)) for each in (shifted, widened)]
    return weights, changes[0], changes[1]


def _gain(log_sigma: float, ratio: int, gsd_ratio: float) -> float:
    """Response of the Gaussian, as it is sampled around the centre of a cell, at 1 / (2 gsd_ratio) cycles per px."""
    cells = 2 * int(np.ceil(4 * _SIGMA_RANGE[1])) + 1
    weights = _gaussian(cells, 0.0, log_sigma, ratio)[0][cells // 2]
    away = np.arange(cells * ratio) - (cells * ratio - 1) / 2
    return float(weights @ np.cos(np.pi * away / gsd_ratio))


def _kept(view: View) -> np.ndarray:
    """(h, w): cells with data all around, away from the edges of the window."""
    from scipy.ndimage import binary_erosion  # slow to import, rarely needed

    valid = np.ones(view.cube.shape[1:], bool) if view.valid is None else view.valid
    return binary_erosion(valid, np.ones((2 * MARGIN_CELLS + 1,) * 2), border_value=0)


def _axes(pixels: np.ndarray, count: int) -> np.ndarray:
    """At most `count` principal axes of (bands, n) pixels whose bands are scaled to variance 1: (axes, bands)."""
    spread = pixels.std(1, dtype=np.float64)
    varies = spread > 1e-6 * np.abs(pixels.mean(1, dtype=np.float64))
    scale = np.divide(1, spread, out=np.zeros(len(spread)), where=varies)
    values, vectors = np.linalg.eigh(np.cov(pixels) * np.outer(scale, scale))
    kept = [place for place in range(len(values))[::-1][:count] if values[place] > _RANK_CUTOFF * max(values[-1], 0)]
    return vectors[:, kept].T * scale
