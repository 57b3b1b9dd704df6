"""`fusion simulate`: training patches from scenes, drawn scenes, and the sample scene."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import typer

from fusioncli.cli import parsing, render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions
from fusioncli.cli.simulate_options import (
    CuttingOptions,
    DemoOptions,
    DrawingOptions,
    PatchOutputOptions,
    PlaceOptions,
    SceneOptions,
    WorkOptions,
)
from fusioncli.cli.vocabulary import cube_words, in_cube_words
from fusioncli.errors import UsageError

if TYPE_CHECKING:
    from fusioncli.io.patch_writer import PatchLayout
    from fusioncli.io.scene import PairRequest
    from fusioncli.workflows.simulate.areas import Cutting
    from fusioncli.workflows.simulate.request import CubeRequest, PatchOutput, SceneRequest

simulate = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")

_CACHE_MB = 1400
_CUBE_RATIO = 4


@simulate.callback()
@takes_groups
def from_scenes(
    place: PlaceOptions,
    scenes: SceneOptions,
    cutting: CuttingOptions,
    output: PatchOutputOptions,
    work: WorkOptions,
    common: CommonOptions,
) -> None:
    """Training patches: cut from scenes by Wald's protocol, or drawn.

    Validation patches come from areas of their own. The last lines of stdout are the paths of the files.

    Example: fusion simulate --ms scene_ms.tif --pan scene_pan.tif -o train.h5 --validation val.h5
    """
    if place.context.invoked_subcommand is not None:
        return
    from fusioncli.io.environment import gdal_environment
    from fusioncli.workflows.simulate.plan import plan_cubes, plan_pairs
    from fusioncli.workflows.simulate.request import CubeRequest
    from fusioncli.workflows.simulate.write import write_patches

    render.listen_to_gdal(common)
    with cube_words() if scenes.hsi else nullcontext(), gdal_environment(_CACHE_MB, common.gdal_config):
        request = _request(scenes, cutting, output, work)
        with render.progress_bar(common) as progress:
            plan = plan_cubes(request, progress) if isinstance(request, CubeRequest) else plan_pairs(request, progress)
        render.notes([in_cube_words(note) if scenes.hsi else note for note in plan.notes], common)
        if not work.dry_run:
            with render.progress_bar(common) as progress:
                write_patches(plan, progress)
    _show([plan.layout(plan.training), plan.layout(plan.validation)], request.output, work, common)


@simulate.command("synthetic")
@takes_groups
def from_drawings(
    drawing: DrawingOptions,
    cutting: CuttingOptions,
    output: PatchOutputOptions,
    work: WorkOptions,
    common: CommonOptions,
) -> None:
    """Draw scenes and cut them: unlimited, without licences, with the truth at full resolution.

    Example: fusion simulate synthetic --sensor WV3 --scenes 200 -o train.h5 --validation val.h5
    """
    from fusioncli.workflows.memory import available_cores
    from fusioncli.workflows.simulate.drawing import DrawingRequest
    from fusioncli.workflows.simulate.synthetic import SyntheticRequest, plan_synthetic, write_synthetic

    if bool(drawing.sensor) == drawing.random_sensors:
        raise UsageError(
            "scenes are drawn for named sensors, or for random ones", "add --sensor NAME or --random-sensors"
        )
    wanted = DrawingRequest(
        size_px=drawing.size,
        sensors=tuple(drawing.sensor),
        random_bands=drawing.bands if drawing.random_sensors else 0,
        ratio=drawing.ratio,
        seed=drawing.seed,
        misregistration_px=drawing.misregistration,
        cutting=_cutting(cutting, output),
        protocol=cutting.protocol,
    )
    processes = parsing.threads(work.threads) or available_cores()
    request = SyntheticRequest(_patch_output(output), drawing.scenes, wanted, processes)
    plan = plan_synthetic(request)
    if not work.dry_run:
        with render.progress_bar(common) as progress:
            write_synthetic(plan, progress)
    layouts = [plan.layout(count) for count in (plan.training_scenes, plan.validation_scenes)]
    _show(layouts, request.output, work, common)


@simulate.command("demo")
@takes_groups
def demo(options: DemoOptions, common: CommonOptions) -> None:
    """Write the sample scene: scene_ms.tif and scene_pan.tif, a drawn pair without licence.

    Example: fusion simulate demo -o /tmp
    """
    from fusioncli.workflows.simulate.demo import write_demo

    with render.progress_bar(common) as progress:
        paths = [str(path) for path in write_demo(options.output, options.overwrite, progress)]
    render.result("\n".join(paths), {"files": paths}, common)


def _request(
    scenes: SceneOptions, cutting: CuttingOptions, output: PatchOutputOptions, work: WorkOptions
) -> SceneRequest | CubeRequest:
    """The whole job, as the user gave it."""
    from fusioncli.workflows.memory import available_cores
    from fusioncli.workflows.simulate.request import CubeRequest, SceneRequest

    threads = parsing.threads(work.threads) or available_cores()
    if bool(scenes.hsi) == bool(scenes.ms or scenes.pan):
        raise UsageError(
            "simulate takes pairs (--ms and --pan) or hyperspectral scenes (--hsi)",
            "try: fusion simulate --ms FILE --pan FILE -o train.h5, or fusion simulate synthetic --help",
        )
    shared = {
        "output": _patch_output(output),
        "cutting": _cutting(cutting, output),
        "sensor": scenes.sensor,
        "protocol": cutting.protocol,
        "threads": threads,
    }
    if not scenes.hsi:
        pairs = deal_pairs(scenes.ms, scenes.pan, scenes.src_nodata, scenes.ignore_georef)
        return SceneRequest(pairs=pairs, coregister=scenes.coregister, **shared)
    if (scenes.srf is None) == (not scenes.msi):
        raise UsageError(
            "--hsi needs either the spectral responses of an MSI or an MSI that was recorded",
            "add --srf FILE or --msi FILE",
        )
    if scenes.coregister:
        raise UsageError("--coregister measures the shift between MS and PAN", "leave it out with --hsi")
    if scenes.srf is None:
        pairs = deal_pairs(scenes.hsi, scenes.msi, scenes.src_nodata, scenes.ignore_georef, cube=True)
        return SceneRequest(pairs=pairs, ratio=scenes.ratio, **shared)
    nodata, ratio = parsing.number(scenes.src_nodata, "--src-nodata"), scenes.ratio or _CUBE_RATIO
    return CubeRequest(cubes=scenes.hsi, responses=scenes.srf, ratio=ratio, nodata=nodata, **shared)


def deal_pairs(
    ms: Sequence[str], pan: Sequence[str], src_nodata: str | None, ignore_georef: bool, cube: bool = False
) -> Sequence[PairRequest]:
    """MS files dealt out evenly to the PAN files, in order; or cubes to the sharper images beside them."""
    from fusioncli.io.scene import PairRequest

    if not pan or not ms or len(ms) % len(pan):
        raise UsageError(
            f"{len(ms)} --ms and {len(pan)} --pan do not make pairs",
            "give --ms and --pan once per pair; or as many band files for every --pan",
        )
    share, nodata = len(ms) // len(pan), parsing.number(src_nodata, "--src-nodata")
    return [
        PairRequest(tuple(ms[number * share :][:share]), one, nodata, ignore_georef=ignore_georef, cube=cube)
        for number, one in enumerate(pan)
    ]


def _cutting(cutting: CuttingOptions, output: PatchOutputOptions) -> Cutting:
    from fusioncli.workflows.simulate.areas import Cutting

    share = cutting.validation_share if output.validation else 0.0
    return Cutting(cutting.patch, cutting.stride or cutting.patch, share)


def _patch_output(output: PatchOutputOptions) -> PatchOutput:
    from fusioncli.workflows.evaluate.peak import STATED, Peak
    from fusioncli.workflows.simulate.request import PatchOutput

    top = parsing.peak_dn(output.data_range, output.bit_depth)
    peak = None if top is None else Peak(top, STATED)
    return PatchOutput(output.output, output.validation, output.overwrite, output.dtype, peak, output.licence)


def _show(layouts: Sequence[PatchLayout], output: PatchOutput, work: WorkOptions, common: CommonOptions) -> None:
    """The files that were written, or with --dry-run those that would be."""
    facts: dict[str, Any] = {
        "files": {
            str(path): {"patches": layout.count, "mb": round(layout.bytes / 1e6, 1)}
            for path, layout in zip(output.paths, layouts, strict=False)
        },
        "shapes": {name: list(shape) for name, shape in layouts[0].shapes.items()},
        "dtype": layouts[0].numbers.dtype,
        **layouts[0].facts.attributes(),
    }
    if work.dry_run:
        files = [(path, f"{file['patches']} patches, {file['mb']} MB") for path, file in facts["files"].items()]
        rest = [(name, value) for name, value in facts.items() if name != "files"]
        render.result(render.table([*files, *rest]), facts, common)
    else:
        render.result("\n".join(map(str, output.paths)), facts, common)
