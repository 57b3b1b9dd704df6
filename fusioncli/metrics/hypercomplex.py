"""Products of hypercomplex numbers, as the index Q2n multiplies them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=8)
def sign_table(n: int) -> np.ndarray:
    """Signs s with e_i e_j = s[i, j] e_(i xor j) for the n units of a hypercomplex algebra.

    Pairs multiply as (a, b)(c, d) = (a c - d* b, a* d* + c b*), * being the conjugate, which negates every
    unit but the
    first: a doubling in the manner of Cayley and Dickson (Garzelli and Nencini 2009), whose order matters
        from n = 8.

    Args:
        n: a power of two.

    Returns:
        (n, n) int8 of ±1, read-only.
    """
    if n == 1:
        signs = np.ones((1, 1), np.int8)
    else:
        half = sign_table(n // 2)
        conjugate = np.where(np.arange(n // 2) == 0, 1, -1).astype(np.int8)
        rows, cols = conjugate[:, None], conjugate[None, :]
        signs = np.block([[half, rows * half * cols], [rows * half.T, -half.T * cols]])
    signs.flags.writeable = False
    return signs
