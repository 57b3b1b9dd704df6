"""Q2n as its definition reads, pixel by pixel and block by block: the oracle of the closed form, and slow."""

from __future__ import annotations

import numpy as np


def naive_q2n_map(reference: np.ndarray, fused: np.ndarray, block: int = 32) -> np.ndarray:
    """The index of every block; images are (rows, cols, bands) of any size and band count."""
    reference, fused = (_prepared(image, block) for image in (reference, fused))
    rows, cols = (size // block for size in reference.shape[:2])
    quality = np.empty((rows, cols))
    for row in range(rows):
        for col in range(cols):
            window = (slice(row * block, (row + 1) * block), slice(col * block, (col + 1) * block))
            quality[row, col] = _block_quality(reference[window], fused[window])
    return quality


def _prepared(image: np.ndarray, block: int) -> np.ndarray:
    rows, cols, bands = image.shape
    image = np.pad(image, ((0, -rows % block), (0, -cols % block), (0, 0)), "symmetric")
    image = np.clip(np.floor(image + 0.5), 0, 65535)
    return np.pad(image, ((0, 0), (0, 0), (0, 2 ** int(np.ceil(np.log2(bands))) - bands)))


def _block_quality(reference: np.ndarray, fused: np.ndarray) -> float:
    mean, deviation = reference.mean((0, 1)), reference.std((0, 1), ddof=1)
    deviation = np.where(deviation == 0, np.finfo(float).eps, deviation)
    a = (reference - mean) / deviation + 1
    b = np.where(mean == 0, fused + 1, (fused - mean) / deviation + 1)
    b[..., 1:] *= -1
    pixels = a.shape[0] * a.shape[1]
    unbiased = pixels / (pixels - 1)
    energy_a, energy_b = (x.mean((0, 1)) @ x.mean((0, 1)) for x in (a, b))
    total = unbiased * ((a**2).sum(2).mean() + (b**2).sum(2).mean() - energy_a - energy_b)
    bias = 2 * np.sqrt(energy_a * energy_b) / (energy_a + energy_b)
    if total == 0:
        return bias
    covariance = product(a, b).mean((0, 1)) - product(a.mean((0, 1)), b.mean((0, 1)))
    return float(np.linalg.norm(unbiased * covariance * bias * 2 / total))


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hypercomplex product over the last axis, (a, b)(c, d) = (a c - d* b, a* d* + c b*)."""
    half = a.shape[-1] // 2
    if half == 0:
        return a * b
    a, b, c, d = a[..., :half], a[..., half:], b[..., :half], b[..., half:]
    conjugate = np.where(np.arange(half) == 0, 1, -1)
    first = product(a, c) - product(d * conjugate, b)
    second = product(a * conjugate, d * conjugate) + product(c, b * conjugate)
    return np.concatenate([first, second], -1)
