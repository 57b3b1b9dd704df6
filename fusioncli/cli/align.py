"""`fusion align`: how two rasters lie on each other, and by how much they miss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Option

from fusioncli.cli import parsing, render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions, OutputOptions, PairOptions
from fusioncli.cli.pansharpen import pair_request
from fusioncli.errors import UsageError

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
    from fusioncli.workflows.coregister import WARN_PX, measure_shift, open_registered
    from fusioncli.workflows.requests import OutputRequest

    if correct.correct and output.output is None:
        raise UsageError("--correct needs a file to write to", "add -o aligned_ms.tif")
    if correct.correct and output.output:
        check_writable(parsing.output_path(output.output, [*pair.ms, pair.pan]), output.overwrite, 0)
    render.listen_to_gdal(common)
    with gdal_environment(_MEM_LIMIT_MB, common.gdal_config):
        scene = open_pair(pair_request(pair))
        shift = measure_shift(scene)
        alignment = scene.alignment
        facts = {
            "verdict": str(alignment.verdict),
            "reason": alignment.reason,
            "ratio": [round(value, 6) for value in alignment.gsd_ratio],
            "offset_px": [round(value, 4) for value in alignment.offset_px],
            "overlap_px": [alignment.output.height, alignment.output.width],
            "shift_px": [round(shift.rows_px, 3), round(shift.cols_px, 3)],
            "shift_spread_px": round(shift.spread_px, 3),
            "windows": shift.windows,
        }
        render.notes(scene.notes, common)
        if shift.length_px > WARN_PX and not correct.correct:
            text = f"MS and PAN contents are {shift.length_px:.2f} PAN px apart, more than {WARN_PX}"
            render.notes([f"{text}; consider `pansharpen --coregister` or `align --correct -o FILE`"], common)
        if correct.correct and output.output:
            request = OutputRequest(
                output.output,
                output.overwrite,
                output.dtype,
                parsing.number(output.nodata, "--nodata"),
                output.bit_depth,
                output.cog,
                parsing.pairs(output.co, "--co"),
            )
            moved, _ = open_registered(pair_request(pair), coregister=True)
            with render.progress_bar(common) as progress:
                write_aligned_ms(moved, request, progress)
            facts["output"] = str(output.output)
    last = facts.get("output")
    table = render.table([(name, _words(value)) for name, value in facts.items()])
    render.result(f"{table}\n{last}" if last else table, facts, common)


def _words(value: object) -> object:
    """Pairs of figures as "rows, columns"."""
    return ", ".join(str(item) for item in value) + " (rows, columns)" if isinstance(value, list) else value
