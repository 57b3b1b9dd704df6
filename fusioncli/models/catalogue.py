"""Every `--method`, with one line each. No torch here: help, completion and errors need the names only."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from fusioncli.errors import UsageError

AUTO = "auto"
FAST = "mtf-glp-fs"
"""The best compromise of ERGAS and SAM among the classical methods on real pairs of eight sensors (docs/results.md)."""
FAST_FOR_CUBES = "hyper-lmmse"
"""The lowest ERGAS of the methods for cubes on six scenes (docs/results.md)."""


@dataclass(frozen=True)
class Method:
    """One line of `fusion pansharpen --help`.

    Attributes:
        name: what `--method` takes.
        title: what it is, in a few words.
        reference: the publication it implements.
    """

    name: str
    title: str
    reference: str


METHODS: tuple[Method, ...] = (
    Method("exp", "MS upsampled, no PAN detail", "plain interpolation"),
    Method("brovey", "weighted Brovey ratio", "Gillespie et al., Remote Sens. Environ. 22, 1987"),
    Method("gs", "Gram-Schmidt", "Laben and Brower, US patent 6011875, 2000"),
    Method("gsa", "Gram-Schmidt adaptive", "Aiazzi et al., IEEE TGRS 45(10), 2007"),
    Method("bt-h", "optimised Brovey with haze correction", "Lolli et al., IEEE GRSL 14(12), 2017"),
    Method("bdsd-pc", "band-dependent detail, physically constrained", "Vivone, IEEE TGRS 57(9), 2019"),
    Method("mtf-glp", "MTF-matched Laplacian pyramid, additive", "Aiazzi et al., PE&RS 72(5), 2006"),
    Method("mtf-glp-fs", "MTF-GLP, full-scale regression", "Vivone et al., IEEE TIP 27(7), 2018"),
    Method("mtf-glp-hpm", "MTF-GLP, high-pass modulation", "Vivone et al., IEEE GRSL 11(5), 2014"),
    Method("mtf-glp-hpm-r", "MTF-GLP-HPM, regression-based haze", "Vivone et al., IEEE TGRS 56(3), 2018"),
)

CUBE_METHODS: tuple[Method, ...] = (
    Method("hyper-lmmse", "detail by linear MMSE, back-projected", "after Hardie et al., IEEE TIP 13(9), 2004"),
    Method("hyper-mtf-glp-hpm", "MTF-GLP-HPM, a guide per band", "Selva et al., IEEE JSTARS 8(6), 2015"),
    Method("hyper-gsa", "GSA, a guide per band", "Selva et al., IEEE JSTARS 8(6), 2015"),
    Method("cnmf", "coupled unmixing, one sweep", "after Yokoya et al., IEEE TGRS 50(2), 2012"),
)
"""Methods that sharpen a hyperspectral cube by an image of any number of bands."""

REFINER = "refiner"
"""The network that comes with weights for any sensor."""

NETWORKS: tuple[Method, ...] = (
    Method(REFINER, "residual network on classical fusions, any sensor", "docs/models"),
    Method("pnn", "three-layer network, a trained baseline", "Masi et al., Remote Sens. 8(7), 2016"),
    Method("infn", "implicit neural feature fusion, for fusion hsi-fuse", "Wu et al., IEEE TCI 10, 2024"),
    Method("panadapter", "adapters on frozen EDSR and IPT", "Wu et al., AAAI 2025"),
)
"""Methods that need a file of weights beside their name; but for `refiner`, which has packaged ones."""
WEIGHTS_SUFFIX = ".safetensors"


def find_method(name: str) -> Method:
    """Look a method up by name, case-insensitive; a file of weights is a method of its own.

    Raises:
        UsageError: unknown name; the hint gives the nearest.
    """
    if name.endswith(WEIGHTS_SUFFIX):
        return Method(name, "network with these weights", "")
    by_name = {method.name: method for method in (*METHODS, *CUBE_METHODS, *NETWORKS)}
    if found := by_name.get(name.lower().replace("_", "-")):
        return found
    near = difflib.get_close_matches(name.lower(), by_name, n=1) or ["exp"]
    known = ", ".join(by_name)
    raise UsageError(f"no method is called '{name}'", f"did you mean '{near[0]}'? Known: {known}")
