"""Do the two images of a cube's pair see the same spectrum: what wavelengths and given responses say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusioncli.errors import DataError
from fusioncli.io.responses import read_responses
from fusioncli.io.scene import PairRequest, ScenePair

_MARGIN = 0.05  # of the wavelength: half the width of a broad band whose centre lies just outside


def spectral_notes(request: PairRequest, pair: ScenePair) -> list[str]:
    """What a user should know of the spectra of a cube and its sharper image; nothing for MS and PAN."""
    if not request.cube:
        return []
    cube, guide = ([b.wavelength_nm for f in layer.files for b in f.bands] for layer in (pair.ms, pair.pan))
    known = [centre for centre in cube if centre is not None]
    without = [name for name, centres in (("HSI", cube), ("MSI", guide)) if not any(centres)]
    if without:
        return [f"no wavelengths in {' and '.join(without)}: whether both see the same light is not checked"]
    low, high = min(known) * (1 - _MARGIN), max(known) * (1 + _MARGIN)
    outside = {n: nm for n, nm in enumerate(guide, 1) if nm is not None and not low <= nm <= high}
    if not outside:
        return []
    span = f"the spectrum of HSI, {min(known):.0f} … {max(known):.0f} nm"
    bands = ", ".join(f"{number} ({nm:.0f} nm)" for number, nm in outside.items())
    if len(outside) == len(guide):
        return [f"no MSI band lies in {span}: detail is taken from other light, MSI bands {bands}; do not trust it"]
    return [f"MSI bands {bands} lie outside {span}"]


def read_pair_response(path: Path, pair: ScenePair) -> np.ndarray:
    """Spectral responses of the guide's bands, one column per band of the cube that is fused.

    Args:
        path: as `read_responses` takes it, with a column for every band of the cube's files.
        pair: the aligned scene.

    Raises:
        DataError: no such table, or of another number of bands.
    """
    table = read_responses(path, len(pair.all_bands))
    if len(table) != pair.guide_bands:
        raise DataError(
            f"{path} holds responses of {len(table)} bands, MSI has {pair.guide_bands}",
            "one row per MSI band is needed",
        )
    return np.delete(table, sorted(pair.left_out), axis=1)
