"""`fusion align`: how two rasters lie on each other, and by how much they miss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from fusioncli.cli import render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions, OutputOptions, PairOptions
from fusioncli.cli.pansharpen import output_request, pair_request
from fusioncli.errors import DataError, UsageError

if TYPE_CHECKING:
    from fusioncli.core.grid import Alignment
    from fusioncli.io.scene import PairRequest
    from fusioncli.workflows.coregister import Shift

_MEM_LIMIT_MB = 1400


@dataclass(frozen=True)
class CorrectOptions:
    """What to do about a shift."""

    correct: Annotated[
        bool,
        Option("--correct", help="Write the MS to -o with the shift taken out, on a grid that fits PAN."),
    ] = False


@takes_groups
def align(pair: PairOptions, correct: CorrectOptions, output: OutputOptions, common: CommonOptions) -> None:
    """Print how MS and PAN lie on each other: verdict, ratio, offset and the residual shift of their contents.

    Example: fusion align --ms scene_ms.tif --pan scene_pan.tif --correct -o aligned_ms.tif
    """
    from fusioncli.io.environment import gdal_environment
    from fusioncli.io.files import check_writable
    from fusioncli.io.scene import open_pair
    from fusioncli.workflows.align import write_aligned_ms

    target = None
    if correct.correct:
        if output.output is None:
            raise UsageError("--correct needs a file to write to", "add -o aligned_ms.tif")
        target = output_request(output, output.output, [*pair.ms, pair.pan])
        check_writable(target.path, target.overwrite, 0)
    render.listen_to_gdal(common)
    with gdal_environment(_MEM_LIMIT_MB, common.gdal_config):
        request = pair_request(pair)
        scene = open_pair(request)
        render.notes(scene.notes, common)
        shift = _shift(request, common, needed=target is not None)
        facts = _alignment_facts(scene.alignment) | _shift_facts(shift)
        if target and shift:
            moved = open_pair(replace(request, shift_px=(shift.rows_px, shift.cols_px)))
            with render.progress_bar(common) as progress:
                write_aligned_ms(moved, target, progress)
            facts["output"] = str(target.path)
    table = render.table([(name, _words(value)) for name, value in facts.items()])
    render.result(f"{table}\n{target.path}" if target else table, facts, common)


def _alignment_facts(alignment: Alignment) -> dict[str, Any]:
    return {
        "verdict": str(alignment.verdict),
        "reason": alignment.reason,
        "ratio": [round(value, 6) for value in alignment.gsd_ratio],
        "offset_px": [round(value, 4) for value in alignment.offset_px],
        "overlap_px": [alignment.output.height, alignment.output.width],
    }


def _shift(request: PairRequest, common: CommonOptions, needed: bool) -> Shift | None:
    """The shift of the contents, with advice where it is not to be taken out.

    Unless it is needed, it may be unknown: a scene too small or too plain to tell still has a verdict.
    """
    from fusioncli.workflows.coregister import WARN_PX, apart, find_shift

    try:
        shift = find_shift(request)
    except DataError as error:
        if needed:
            raise
        render.notes([error.message], common)
        return None
    if not needed and shift.length_px > WARN_PX:
        advice = "consider `pansharpen --coregister` or `align --correct -o FILE`"
        render.notes([f"{apart(shift.length_px)}; {advice}"], common)
    return shift


def _shift_facts(shift: Shift | None) -> dict[str, Any]:
    if shift is None:
        return {"shift_px": None, "shift_spread_px": None, "windows": 0}
    return {
        "shift_px": shift.rounded,
        "shift_spread_px": round(shift.spread_px, 3),
        "windows": shift.windows,
    }


def _words(value: object) -> object:
    """Pairs of figures as "rows, columns"."""
    return ", ".join(str(item) for item in value) + " (rows, columns)" if isinstance(value, list) else value
