"""Do the two images of a cube's pair see the same spectrum: what wavelengths and given responses say."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from fusioncli.core.sensors import Sensor, find_sensor, fit_sensor
from fusioncli.errors import DataError, UsageError
from fusioncli.io.responses import read_responses
from fusioncli.io.scene import PairRequest, ScenePair

_MARGIN = 0.05  # of the wavelength: half the width of a broad band whose centre lies just outside

_SEEN = 0.1  # of the height of one response: less than that is the foot of a band elsewhere


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
        path: as `read_responses` takes it, with a column for every band of the cube's files; or a sensor's name, where
            no file has it.
        pair: the aligned scene.

    Raises:
        DataError: no such table, of another number of bands, or a cube without wavelengths for a sensor's pass bands.
    """
    if not path.exists():
        with suppress(UsageError):  # then it is a file that is missing
            return _pass_band_responses(find_sensor(str(path)), pair)
    table = read_responses(path, len(pair.all_bands))
    if len(table) != pair.guide_bands:
        raise DataError(
            f"{path} holds responses of {len(table)} bands, MSI has {pair.guide_bands}",
            "one row per MSI band is needed",
        )
    return np.delete(table, sorted(pair.left_out), axis=1)


def _pass_band_responses(sensor: Sensor, pair: ScenePair) -> np.ndarray:
    """Gaussians as wide at half their height as the published pass bands, at the wavelengths of the cube's bands."""
    files = pair.pan.files
    names = [band.name or band.colour.name for file in files for band in file.bands]
    fitted = fit_sensor(sensor, [file.path for file in files], pair.guide_bands, names)
    ranges = (sensor.pan_nm,) if pair.guide_bands == 1 else fitted.ranges_nm
    if fitted.note or not np.isfinite(ranges).all():  # a number of bands alone does not say which they are
        raise DataError(
            f"{sensor.name} has {len(sensor.bands)} bands, MSI has {pair.guide_bands}, and nothing says which",
            "give the MSI in the bands and the order of its sensor, or a table: --srf FILE",
        )
    centres = [band.wavelength_nm for file in pair.ms.files for band in file.bands]
    if not all(centres):
        raise DataError(
            f"the responses of {sensor.name} are known by wavelength, and HSI states none",
            "add the wavelengths to its header, or give a table: --srf FILE",
        )
    low, high = np.array(ranges, float).T[..., None]
    table = np.exp2(-((2 * (np.array(centres, float) - (low + high) / 2) / (high - low)) ** 2))
    seen = table.sum(1, keepdims=True)
    if not (seen > _SEEN).all():
        blind = ", ".join(str(number) for number, each in enumerate(seen[:, 0], 1) if not each > _SEEN)
        raise DataError(
            f"HSI has no band in the light of MSI bands {blind} of {sensor.name}",
            "leave those bands out of the MSI, or let the response be regressed: without --srf",
        )
    return table / seen
