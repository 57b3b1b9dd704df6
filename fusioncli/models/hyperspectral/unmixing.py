"""Non-negative factors of spectra: endmembers and abundances, by multiplicative updates (torch, channels x pixels)."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-12  # keeps quotients finite; spectra are of the order of 1


def pick_endmembers(spectra: Tensor, count: int) -> Tensor:
    """The most extreme spectra, one after the other, each far from the span of those before it.

    Successive projection (Araújo et al., Chemom. Intell. Lab. Syst. 57(2), 2001): deterministic, and what vertex
    component analysis does with random directions.

    Args:
        spectra: (B, n), n >= count.
        count: how many.

    Returns:
        (B, count).
    """
    rest, chosen = spectra.clone(), []
    for _ in range(count):
        energy = rest.square().sum(0)
        best = int(energy.argmax())
        chosen.append(best)
        direction = rest[:, best] / energy[best].sqrt().clamp(min=_TINY)
        rest -= torch.outer(direction, direction @ rest)
    return spectra[:, chosen].clone()


def update_abundances(endmembers: Tensor, spectra: Tensor, abundances: Tensor, steps: int) -> Tensor:
    """Abundances that bring endmembers · abundances closer to the spectra (Lee and Seung, 2001), pixel by pixel.

    Args:
        endmembers: (C, p), >= 0.
        spectra: (C, n), >= 0.
        abundances: (p, n), > 0: where to start from. What the spectra leave open stays near it.
        steps: of the update.

    Returns:
        (p, n).
    """
    gram, target = endmembers.T @ endmembers, endmembers.T @ spectra
    for _ in range(steps):
        abundances = abundances * target / (gram @ abundances).add_(_TINY)
    return abundances


def factorise(spectra: Tensor, endmembers: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
    """Non-negative matrix factorisation that starts at given endmembers.

    Args:
        spectra: (B, n), >= 0.
        endmembers: (B, p), >= 0.
        rounds: of alternating updates.

    Returns:
        Endmembers (B, p) and abundances (p, n).
    """
    count, pixels = endmembers.shape[1], spectra.shape[1]
    abundances = update_abundances(endmembers, spectra, even_abundances(count, pixels, spectra), 300)
    for _ in range(rounds):
        endmembers = endmembers * (spectra @ abundances.T) / (endmembers @ (abundances @ abundances.T) + _TINY)
        abundances = update_abundances(endmembers, spectra, abundances, 3)
    return endmembers, update_abundances(endmembers, spectra, abundances, 100)


def even_abundances(count: int, pixels: int, like: Tensor) -> Tensor:
    """The same share of every endmember: (count, pixels), of the type of `like`."""
    return like.new_full((count, pixels), 1.0 / count)
