"""From a method's name to the model: the one place that knows every class."""

from __future__ import annotations

from pathlib import Path

from fusioncli.errors import UsageError
from fusioncli.io.downloads import PACKAGED
from fusioncli.models.catalogue import REFINER, WEIGHTS_SUFFIX, find_method
from fusioncli.models.classical.base import Optics
from fusioncli.models.classical.bdsd import BandDependentDetail
from fusioncli.models.classical.brovey import Brovey, BroveyHaze
from fusioncli.models.classical.interpolation import Interpolation
from fusioncli.models.classical.pyramid import Additive, FullScale, Modulated, ModulatedRegressed
from fusioncli.models.classical.substitution import GramSchmidt, GramSchmidtAdaptive
from fusioncli.models.consistent import BackProjection
from fusioncli.models.contract import FusionModel, SceneMethod
from fusioncli.models.hyperspectral.cnmf import CoupledUnmixing
from fusioncli.models.hyperspectral.detail import HyperDetail
from fusioncli.models.hyperspectral.hypersharpening import HyperModulated, HyperSubstitution
from fusioncli.models.refiner.scene import SceneRefiner
from fusioncli.models.trained import load_trained
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
        HyperSubstitution,
        HyperModulated,
        HyperDetail,
        CoupledUnmixing,
    )
}

_WAYS = "the file: --method FILE.safetensors"


def build(
    name: str, sampling: Sampling, optics: Optics, base: Path | None = None, guide_bands: int = 1
) -> FusionModel | SceneMethod:
    """The model of one line of the catalogue.

    Args:
        name: as in `fusioncli.models.catalogue`, case-insensitive; or the path of a file of weights.
        sampling: operators between the MS grid and the PAN grid.
        optics: the sensor's, one MTF gain and one PAN weight per MS band.
        base: of the weights, where they are an adapter; None to look for it.
        guide_bands: PAN bands of the scene, which weights must have been made for.

    Returns:
        A model that can fuse at once (`exp`, `brovey`, networks), or a method that must observe the scene first.

    Raises:
        UsageError: unknown name, or that of a network without weights.
        DataError: weights that are unusable or made for other images.
    """
    name = find_method(name).name
    if name == REFINER:
        name = str(packaged_weights(sampling.ratio))
    if name.endswith(WEIGHTS_SUFFIX):
        trained = load_trained(Path(name), len(optics.ms_mtf), sampling, base=base, guide_bands=guide_bands)
        if not trained.identity.model().options.starts_classical:
            return trained
        correction = None if sampling.literal else BackProjection(sampling, optics.ms_mtf, exact=False)
        return SceneRefiner(trained, correction)
    if name not in _CLASSES:
        raise UsageError(f"{name} is a network and needs weights", f"train them (fusion train) and give {_WAYS}")
    return _CLASSES[name](sampling, optics)


def packaged_weights(ratio: int) -> Path:
    """The packaged weights for any sensor at a ratio.

    Raises:
        UsageError: there are none.
    """
    path = PACKAGED / f"generic-pansharpen-x{ratio}{WEIGHTS_SUFFIX}"
    if not path.is_file():
        there = ", ".join(sorted(file.stem.rpartition("x")[2] for file in PACKAGED.glob(f"generic-*{WEIGHTS_SUFFIX}")))
        raise UsageError(
            f"{REFINER} has packaged weights for the ratios {there or 'none'}, the scene has {ratio}",
            f"train them: fusion train generic-pansharpen --set model.ratio={ratio}",
        )
    return path
