"""How the guide's bands see the spectrum that the cube has measured: given, or regressed from the pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusioncli.models.classical.regression import share, signed_least_squares
from fusioncli.models.statistics import Moments


@dataclass(frozen=True)
class Response:
    """guide = weights · cube + offset, on the cube's grid.

    Attributes:
        weights: (M, B), all >= 0.
        offset: (M,), DN of the guide.
        explained: (M,), share of each guide band's variance that the line accounts for.
    """

    weights: np.ndarray
    offset: np.ndarray
    explained: np.ndarray


def fit_response(moments: Moments, bands: int, known: np.ndarray | None = None) -> Response:
    """The response, by non-negative least squares with an intercept (after Yokoya et al., IEEE JSTARS 6(2), 2013).

    Args:
        moments: of the cube's bands, then the lowered guide's.
        bands: of the cube.
        known: (M, B) spectral responses, of which only scale and offset are fitted; None to fit everything.
    """
    covariance, mean = moments.covariance, moments.mean
    gram = covariance[:bands, :bands]
    rows = []
    for number, cross in enumerate(covariance[bands:, :bands]):
        if known is None:
            rows.append(signed_least_squares(gram, cross, np.ones(bands)))
        else:
            shape = known[number]
            rows.append(shape * max(0.0, float(share(shape @ cross, shape @ gram @ shape))))
    weights = np.array(rows)
    cross = covariance[bands:, :bands]
    explained = 2 * (weights * cross).sum(1) - ((weights @ gram) * weights).sum(1)
    variance = np.diag(covariance)[bands:]
    return Response(weights, mean[bands:] - weights @ mean[:bands], share(explained, variance))
