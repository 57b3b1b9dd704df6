"""Coefficients from streamed moments: least squares, gains, and what to say when nothing determines them."""

from __future__ import annotations

import numpy as np

from fusioncli.errors import DataError
from fusioncli.models.statistics import Moments, Statistics

_RANK_CUTOFF = 1e-13  # of the largest eigenvalue of the scaled normal equations: below it, round-off
_FLAT_CUTOFF = 1e-12  # of the squared mean: a smaller variance is round-off of a constant


def moments_of(statistics: Statistics, key: str, pan: int) -> Moments:
    """The moments called `key`, once it is sure that they determine something.

    Args:
        statistics: merged over the scene.
        key: which of them.
        pan: index of the channel that holds PAN, in whatever low-passed form.

    Raises:
        DataError: no valid pixel, or a constant PAN.
    """
    moments = statistics[key]
    assert isinstance(moments, Moments)
    if moments.count == 0:
        raise DataError(
            "no pixel holds data in PAN and in every MS band at once",
            "compare the extents and nodata values: fusion info FILE",
        )
    if moments.covariance[pan, pan] <= _FLAT_CUTOFF * moments.mean[pan] ** 2:
        raise DataError(
            f"PAN is constant ({moments.mean[pan]:g}) at all {moments.count} valid pixels: no detail",
            "check the file given to --pan and its nodata value: fusion info FILE",
        )
    return moments


def least_squares(gram: np.ndarray, cross: np.ndarray, cutoff: float = _RANK_CUTOFF) -> np.ndarray:
    """Minimise |A x - b| from gram = AᵀA and cross = Aᵀb; the shortest x where A lacks rank.

    Args:
        gram: (n, n).
        cross: (n,).
        cutoff: directions of less than so much of the largest eigenvalue count for nothing.
    """
    root, right, scale = _square_system(gram, cross, cutoff)
    return np.linalg.lstsq(root, right, rcond=None)[0] / scale


def signed_least_squares(gram: np.ndarray, cross: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """As `least_squares`, with x of the given signs or zero (Lawson and Hanson's NNLS).

    Args:
        gram: (n, n).
        cross: (n,).
        signs: (n,) of ±1.
    """
    from scipy.optimize import nnls  # slow to import, and one method needs it

    root, right, scale = _square_system(gram, cross)
    return signs * nnls(root * signs, right)[0] / scale


def share(part: np.ndarray, whole: float | np.ndarray) -> np.ndarray:
    """Divide part by whole, giving 0 where the whole vanishes: a band that does not vary gets no detail."""
    part, whole = np.broadcast_arrays(part, np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)


def deviation(weights: np.ndarray, covariance: np.ndarray) -> float:
    """Standard deviation of a weighted sum of channels."""
    return float(np.sqrt(max(weights @ covariance @ weights, 0.0)))


def _square_system(
    gram: np.ndarray, cross: np.ndarray, cutoff: float = _RANK_CUTOFF
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R and r with |R z - r| = |A x - b| + constant and z = scale x, of full row rank."""
    scale = np.sqrt(np.diag(gram))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    kept = values > cutoff * max(values[-1], 0.0)
    roots = np.sqrt(values[kept])
    basis = vectors[:, kept].T
    return roots[:, None] * basis, basis @ (cross / scale) / roots, scale
