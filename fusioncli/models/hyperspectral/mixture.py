"""Classes of pixels: a Gaussian mixture of an image's bands, of as many classes as the pixels support."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from scipy.linalg import solve_triangular
from torch import Tensor

MOST_CLASSES = 6
_ROUNDS = 30
_LEAST_VARIANCE = 1e-3  # of a class, along any direction; 1 is that of a band over all pixels
_LEAST_COUNT = 1e-6
_FLAT = 1e-6  # of its mean: a band that varies less is constant but for round-off
_LEAST_PX = 4  # per class and number that its mean has, on average


@dataclass(frozen=True)
class Mixture:
    """p(k | x) is proportional to exp(constants[k] - |whitening[k] (x - means[k])|² / 2).

    Attributes:
        constants: (K,).
        means: (K, M).
        whitening: (K, M, M); rows of 0 where bands copy each other.
    """

    constants: np.ndarray
    means: np.ndarray
    whitening: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray) -> Self:
        """By expectation and maximisation, for every number of classes; the Bayesian information criterion chooses.

        Args:
            pixels: (M, n), n >= 1, any unit.
        """
        centre, scale = pixels.mean(1, keepdims=True), pixels.std(1, keepdims=True)
        scale = np.where(scale > _FLAT * np.abs(centre), scale, np.inf)
        scaled = (pixels - centre) / scale
        variances, axes = np.linalg.eigh(scaled @ scaled.T / scaled.shape[1])  # ascending
        kept = variances > _LEAST_VARIANCE**2 * variances.sum()  # what copies others is no more evidence
        kept[-1] = True
        axes = axes.T[kept] * np.where(axes.sum(0) < 0, -1.0, 1.0)[kept, None]
        bands, size = len(axes), pixels.shape[1]
        most = max(1, min(MOST_CLASSES, size // (_LEAST_PX * (bands + 1))))
        fits = [_fitted(axes @ scaled, count) for count in range(1, most + 1)]
        _, found = min(fits, key=lambda fit: fit[0])
        whitening = np.zeros((len(found.means), *axes.shape[1:] * 2))
        whitening[:, :bands] = found.whitening @ axes / scale.T
        means = found.means @ axes * np.where(np.isinf(scale), 0.0, scale).T + centre.T
        return cls(found.constants, means, whitening)

    def shares(self, pixels: np.ndarray) -> np.ndarray:
        """How much of each pixel (M, n) belongs to each class, (K, n)."""
        return self.expected(pixels)[0]

    def expected(self, pixels: np.ndarray) -> tuple[np.ndarray, float]:
        """The shares, and the log likelihood of all pixels but for a constant."""
        tensors = map(torch.from_numpy, (pixels, self.constants, self.means, self.whitening))
        logits = torch.stack(_logits(*tensors)).numpy()
        peak = logits.max(0)
        densities = np.exp(logits - peak)
        total = densities.sum(0)
        return densities / total, float((np.log(total) + peak).sum())


def shares_of(image: Tensor, constants: Tensor, means: Tensor, whitening: Tensor) -> Tensor:
    """As `Mixture.shares`, of every pixel of (N, M, H, W) to (N, K, H, W)."""
    if len(constants) == 1:
        return torch.ones_like(image[:, :1])
    logits = _logits(image.flatten(2), constants, means, whitening)
    return torch.stack(logits, 1).softmax(1).view(len(image), -1, *image.shape[2:])


def _logits(pixels: Tensor, constants: Tensor, means: Tensor, whitening: Tensor) -> list[Tensor]:
    """Logarithm of each class's density but for a constant, of pixels (…, M, n): (…, n)."""
    classes = zip(constants, means, whitening, strict=True)
    return [constant - 0.5 * ((white @ (pixels - mean[:, None])) ** 2).sum(-2) for constant, mean, white in classes]


def _fitted(pixels: np.ndarray, count: int) -> tuple[float, Mixture]:
    """So many classes of (M, n), and the information criterion."""
    mixture, likelihood = _maximised(pixels, _start(pixels, count)), -np.inf
    for _ in range(_ROUNDS if count > 1 else 1):
        shares, likelihood = mixture.expected(pixels)
        mixture = _maximised(pixels, shares)
    bands, size = pixels.shape
    numbers = count * (1 + bands + bands * (bands + 1) / 2)
    return numbers * np.log(size) - 2 * likelihood, mixture


def _start(pixels: np.ndarray, count: int) -> np.ndarray:
    """Shares (K, n), 0 or 1: equal groups along the last axis, that of largest variance."""
    shares = np.zeros((count, pixels.shape[1]))
    for share, group in zip(shares, np.array_split(np.argsort(pixels[-1], kind="stable"), count), strict=True):
        share[group] = 1
    return shares


def _maximised(pixels: np.ndarray, shares: np.ndarray) -> Mixture:
    """The likeliest Gaussians of pixels (M, n) that belong to classes by (K, n)."""
    counts = shares.sum(1) + _LEAST_COUNT
    means = shares @ pixels.T / counts[:, None]
    constants, whitening, identity = [], [], np.eye(len(pixels))
    for mean, share, count in zip(means, shares, counts, strict=True):
        centred = pixels - mean[:, None]
        root = np.linalg.cholesky((centred * share) @ centred.T / count + _LEAST_VARIANCE * identity)
        whitening.append(solve_triangular(root, identity, lower=True))
        constants.append(np.log(count / pixels.shape[1]) - np.log(np.diag(root)).sum())
    return Mixture(np.array(constants), means, np.stack(whitening))
