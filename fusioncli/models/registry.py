"""From a method's name to the model: the one place that knows every class."""

from __future__ import annotations

from fusioncli.models.catalogue import find_method
from fusioncli.models.classical.base import Optics
from fusioncli.models.classical.bdsd import BandDependentDetail
from fusioncli.models.classical.brovey import Brovey, BroveyHaze
from fusioncli.models.classical.interpolation import Interpolation
from fusioncli.models.classical.pyramid import Additive, FullScale, Modulated, ModulatedRegressed
from fusioncli.models.classical.substitution import GramSchmidt, GramSchmidtAdaptive
from fusioncli.models.contract import FusionModel, SceneMethod
from fusioncli.ops.sampling import Sampling

_CLASSES = {
    cls.name: cls
    for cls in (
        Interpolation,
        Brovey,
        GramSchmidt,
        GramSchmidtAdaptive,
        BroveyHaze,
        BandDependentDetail,
        Additive,
        FullScale,
        Modulated,
        ModulatedRegressed,
    )
}


def build(name: str, sampling: Sampling, optics: Optics) -> FusionModel | SceneMethod:
    """The model of one line of the catalogue.

    Args:
        name: as in `fusioncli.models.catalogue`, case-insensitive.
        sampling: operators between the MS grid and the PAN grid.
        optics: the sensor's, one MTF gain and one PAN weight per MS band.

    Returns:
        A model that can fuse at once (`exp`, `brovey`), or a method that must observe the scene first.

    Raises:
        UsageError: unknown name.
    """
    return _CLASSES[find_method(name).name](sampling, optics)
