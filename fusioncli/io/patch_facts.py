"""What a patch file says about itself: attributes of the HDF5 file, all of them absent in published ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PatchFacts:
    """How patches were made; None, "" or () where a file does not say.

    Attributes:
        sensor: short name of the sensor.
        value_max: DN that is mapped to 1; no sample is larger.
        ratio: PAN pixels per MS pixel, along either axis.
        upsampler: how `lms` or `hsi_up` was made of `ms` or `hsi`.
        phase: where the sample of an MS pixel lies, PAN px from the centre of its first PAN pixel: (ratio - 1) / 2 is
            the centre of the MS pixel; the reference toolbox has floor(ratio / 2).
        protocol: how images were degraded.
        bands: names of the bands.
        sources: names of the files that the patches were cut from, or what was drawn.
        licence: of the imagery.
        version: software that wrote the file.
    """

    sensor: str = ""
    value_max: float | None = None
    ratio: int | None = None
    upsampler: str = ""
    phase: float | None = None
    protocol: str = ""
    bands: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    licence: str = ""
    version: str = ""

    @classmethod
    def read(cls, attributes: Mapping[str, Any]) -> PatchFacts:
        """From the attributes of a file; foreign ones are ignored."""
        names = [field.name for field in fields(cls) if field.name in attributes]
        return cls(**{name: _READ.get(name, str)(attributes[name]) for name in names})

    def attributes(self) -> dict[str, Any]:
        """As attributes of a file: texts, numbers and lists of texts."""
        stated = {name: value for name, value in asdict(self).items() if value not in (None, "", ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in stated.items()}


def _texts(value: object) -> tuple[str, ...]:
    items = np.atleast_1d(np.asarray(value, object))
    return tuple(item.decode() if isinstance(item, bytes) else str(item) for item in items)


def _number(value: object) -> float:
    return float(np.asarray(value).item())


_READ: dict[str, Any] = {
    "value_max": _number,
    "ratio": lambda value: round(_number(value)),
    "phase": _number,
    "bands": _texts,
    "sources": _texts,
}
