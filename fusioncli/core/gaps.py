"""Pixels without data: filled before a filter sees them, so that no border of nodata bleeds into the picture."""

from __future__ import annotations

import numpy as np


def fill_gaps(samples: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Give every missing sample the value of the nearest valid one of its band.

    A filter of reach r gives the same result at a valid pixel as on any larger window, provided the window reaches
    2 r beyond it: the nearest valid pixel of a missing one within r lies within 2 r.

    Args:
        samples: (bands, h, w).
        valid: (bands, h, w) bool.

    Returns:
        A filled copy; a band without any valid pixel is all zeros.
    """
    from scipy import ndimage  # slow to import, and most scenes have no gap

    filled = np.where(valid, samples, np.float32(0))
    nearest = None
    for i, band_valid in enumerate(valid):
        if band_valid.all() or not band_valid.any():
            continue
        if nearest is None or not np.array_equal(band_valid, valid[i - 1]):
            nearest = np.asarray(
                ndimage.distance_transform_edt(~band_valid, return_distances=False, return_indices=True)
            )
        filled[i] = filled[i][nearest[0], nearest[1]]
    return filled


def spread(valid: np.ndarray, ratio: int) -> np.ndarray:
    """Validity of MS pixels on the PAN grid: (bands, h, w) to (bands, h·ratio, w·ratio)."""
    return valid.repeat(ratio, -2).repeat(ratio, -1)
