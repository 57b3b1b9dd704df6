"""Which method `--method auto` takes, and why; and whether weights go with a method."""

from __future__ import annotations

from collections.abc import Callable
from math import isinf
from pathlib import Path

from pydantic import ValidationError

from fusioncli.config.architectures import PANSHARPENING
from fusioncli.core.sensors import Sensor
from fusioncli.errors import DataError, UsageError
from fusioncli.io.downloads import PACKAGED, cache_folder
from fusioncli.io.scene import ScenePair
from fusioncli.io.weights import read_header, weight_files
from fusioncli.models.catalogue import AUTO, FAST, FAST_FOR_CUBES, NETWORKS, WEIGHTS_SUFFIX, find_method
from fusioncli.models.contract import FusionModel, SceneMethod
from fusioncli.ops.sampling import sampling_for
from fusioncli.workflows.selfcheck import Compare, compare_once

_CLASSICAL = (FAST, "mtf-glp-hpm", "gsa", "bt-h")  # the best of each family
ANY_SENSOR = {"GENERIC", "RANDOM"}
"""Weights of such sensors are meant for any."""

Build = Callable[[str], FusionModel | SceneMethod]


def choose_method(
    name: str, weights: Path | None = None, cube: bool = False, adapter: Path | None = None
) -> tuple[str, str]:
    """Resolve a method name.

    Args:
        name: of a method, or "auto".
        weights: of a network; with "auto", their own one is taken.
        cube: whether a hyperspectral cube is to be sharpened.
        adapter: of a network's weights.

    Returns:
        The method, which is the path of the adapter or the weights where there are any, or "auto" where the scene has
        to be looked at (`elect`); and a sentence that says why it was chosen ("" when the user named it).

    Raises:
        UsageError: unknown name, or a method that takes no weights or no adapter.
        DataError: the weights are unusable, or of another network.
    """
    if adapter is not None:
        return _adapter(name, weights, adapter), ""
    if weights is not None:
        return _network(name, weights), ""
    if name.lower() != AUTO:
        return find_method(name).name, ""
    if cube:
        return FAST_FOR_CUBES, (
            f"method {FAST_FOR_CUBES}: the lowest ERGAS of the methods for cubes on six scenes (docs/results.md)"
        )
    return AUTO, ""


def elect(
    pair: ScenePair, sensor: Sensor, upsampler: str, build: Build, check: Compare = compare_once
) -> tuple[str, str]:
    """The method that does best on a few windows of the scene at reduced resolution, and a sentence that says so.

    Classical methods stand against all packaged and cached weights that fit the scene. Where it is too small to tell,
    the packaged ones are taken, which did best on pieces of real scenes as small (docs/results.md). Nothing is compared
    where the upsampler has the reference toolbox's phase, which the degraded scene has not.

    Args:
        pair: the aligned scene.
        sensor: figures for its bands.
        upsampler: of the job.
        build: makes the model of a name.
        check: compares the methods.

    Raises:
        DataError: an input is damaged.
    """
    if sampling_for(upsampler, 2, 2.0).literal:
        return FAST, f"method {FAST}: methods are not compared with --upsampler {upsampler}"
    names = [*_CLASSICAL, *map(str, fitting_weights(pair.bands, pair.alignment.ratio, sensor.name))]
    scores = check(pair, sensor, {name: build(name) for name in names})
    if not scores or isinf(scores[0].ergas):
        packaged = [name for name in names if Path(name).parent == PACKAGED]
        name = FAST if scores or not packaged else packaged[0]
        return name, f"method {Path(name).stem}: the scene is too small or too full of gaps to compare methods on it"
    best, *others = (f"{Path(score.method).stem} {score.ergas:.4g}" for score in scores)
    return scores[0].method, (
        f"method {best.replace(' ', ': expected ERGAS ')}, the least of windows at reduced resolution "
        f"({', '.join(others)})"
    )


def fitting_weights(bands: int, ratio: int, sensor: str) -> list[Path]:
    """Packaged and cached weights, no adapters, for pansharpening such a scene."""
    files = weight_files([PACKAGED, cache_folder()])
    return [path for path in files if _fits(path, bands, ratio, sensor)]


def _fits(path: Path, bands: int, ratio: int, sensor: str) -> bool:
    try:
        identity = read_header(path).identity
        options = identity.model().options
    except (DataError, ValidationError):  # not ours; `fusion weights ls` says so
        return False
    known = set((identity.sensor or "").split())
    return (
        identity.kind != "adapter"
        and options.inputs == PANSHARPENING
        and identity.ratio == ratio
        and (options.any_bands or identity.bands == bands)
        and (options.any_bands or sensor in known or bool(known & ANY_SENSOR))
    )


def _network(name: str, weights: Path) -> str:
    if weights.suffix != WEIGHTS_SUFFIX:
        hint = "see what there is: fusion weights ls"
        raise UsageError(f"--weights takes a file {WEIGHTS_SUFFIX}, got {weights}", hint)
    if name.lower() == AUTO:
        return str(weights)
    method = find_method(name)
    if method not in NETWORKS:
        raise UsageError(f"{method.name} takes no weights", "leave out --method, or --weights")
    if (arch := read_header(weights).identity.arch) != method.name:
        raise DataError(f"{weights} holds weights of {arch}, not of {method.name}", "leave out --method")
    return str(weights)


def base_of(name: str, weights: Path | None) -> Path | None:
    """The file that an adapter is laid over, if the user named it: as the weights, or as the method."""
    return Path(name) if weights is None and name.endswith(WEIGHTS_SUFFIX) else weights


def _adapter(name: str, weights: Path | None, adapter: Path) -> str:
    for option, path in (("--adapter", adapter), ("--weights", weights)):
        if path is not None and path.suffix != WEIGHTS_SUFFIX:
            raise UsageError(f"{option} takes a file {WEIGHTS_SUFFIX}, got {path}", "make an adapter: fusion finetune")
    identity = read_header(adapter).identity
    if identity.kind != "adapter":
        raise UsageError(f"{adapter} holds the weights of a whole network, no adapter", f"--weights {adapter}")
    if name.lower() == AUTO:
        return str(adapter)
    method = find_method(name)
    if name.endswith(WEIGHTS_SUFFIX):
        if weights is not None:
            raise UsageError(f"{name} and {weights} cannot both be the base", "leave out --method, or --weights")
    elif method not in NETWORKS:
        raise UsageError(f"{method.name} takes no adapter", "leave out --method, or --adapter")
    elif identity.arch != method.name:
        raise DataError(f"{adapter} is an adapter of {identity.arch}, not of {method.name}", "leave out --method")
    return str(adapter)
