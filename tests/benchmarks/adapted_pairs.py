"""What fitting a network to a scene gains on ground that it has not seen, beside every classical method.

    python tests/benchmarks/adapted_pairs.py $FUSION_REAL_DATA WORKDIR [--pair NAME] [--base FILE] [--minutes 2]
                                             [--one-way]

Every pair of real imagery that is large enough, and whose PAN is a whole multiple of its MS, is cut into two halves.
`fusion finetune` fits the base (the packaged weights of the ratio) to one half, `fusion eval --reduced-res` measures
all classical methods, the base and the adapter on the other half, and the other way round, unless only `--one-way` is
asked for; figures are means of both.
Prints a Markdown table and the seconds that a fit took. WORKDIR keeps halves and adapters: what is there is not redone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import rasterio
from rasterio.windows import Window

from fusioncli.models.catalogue import METHODS
from fusioncli.models.registry import packaged_weights

SENSORS = {
    "cpe_cropland": "SPOT6",
    "cpe_urban": "PLEIADES",
    "pnn_ik": "IKONOS",
    "pnn_ge1": "GE1",
    "qb_full": "QB",
    "dgif_3": "GENERIC",
}
CLASSICAL = [method.name for method in METHODS]
INDICES = {"ERGAS": min, "SAM": min, "Q2n": max}
Figures = Mapping[str, Mapping[str, float]]


class Pair(NamedTuple):
    """Two files."""

    ms: Path
    pan: Path


def fusion(*arguments: object) -> str:
    """What a command prints."""
    command = ["fusion", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def halves(pair: Path, folder: Path) -> tuple[Pair, Pair]:
    """The upper and the lower half, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    upper, lower = (Pair(folder / f"{part}_ms.tif", folder / f"{part}_pan.tif") for part in ("upper", "lower"))
    for place, name in enumerate(("ms.tif", "pan.tif")):
        with rasterio.open(pair / name) as whole:
            middle = whole.height // 2
            for half, top in ((upper, 0), (lower, middle)):
                window = Window(0, top, whole.width, middle)  # pyright: ignore[reportCallIssue] - attrs class
                profile = {**whole.profile, "height": middle}  # none is georeferenced
                with rasterio.open(half[place], "w", **profile) as part:
                    part.write(whole.read(window=window))
    return upper, lower


def fitted(half: Pair, sensor: str, base: Path, minutes: float) -> tuple[Path, float]:
    """The adapter of a half, and the seconds that it took (0 if it was there)."""
    path, start = half.ms.with_name(f"{half.ms.stem}_{base.stem}.safetensors"), time.perf_counter()
    shutil.copy(base, path.parent)  # where the adapter is looked at, its base is looked for
    if path.is_file():
        return path, 0.0
    fusion("finetune", *_flags(half, sensor), "--base", base, "-o", path, "--minutes", minutes, "-q")
    return path, time.perf_counter() - start


def measured(pair: Pair, sensor: str, methods: Sequence[object]) -> Figures:
    """Indices of each method on a pair."""
    chosen = [flag for method in methods for flag in ("--method", method)]
    rows = json.loads(fusion("eval", "--reduced-res", *_flags(pair, sensor), *chosen, "--json", "-q"))["rows"]
    return {row["image"]: row["values"] for row in rows}


def _flags(half: Pair, sensor: str) -> tuple[object, ...]:
    return "--ms", half.ms, "--pan", half.pan, "--sensor", sensor


def row(pair: Path, folder: Path, base: Path | None, minutes: float, ways: int) -> str:
    """A line of the table."""
    sensor, both = SENSORS[pair.name], halves(pair, folder)
    with rasterio.open(both[0].ms) as ms, rasterio.open(both[0].pan) as pan:
        chosen = base or packaged_weights(pan.height // ms.height)
    found: list[list[float]] = []
    seconds = 0.0
    for learned, unseen in (both, both[::-1])[:ways]:
        adapter, took = fitted(learned, sensor, chosen, minutes)
        seconds = max(seconds, took)
        figures = measured(unseen, sensor, [*CLASSICAL, chosen, adapter])
        *classical, plain, tuned = figures.values()
        best = [best(each[index] for each in classical) for index, best in INDICES.items()]
        found.append([*best, *(plain[index] for index in INDICES), *(tuned[index] for index in INDICES)])
    mean = [sum(values) / len(values) for values in zip(*found, strict=True)]
    best, plain, tuned = mean[:3], mean[3:6], mean[6:]
    cells = [f"{b:.4g} | {p:.4g} | {t:.4g}" for b, p, t in zip(best, plain, tuned, strict=True)]
    gains = [f"{100 * (tuned[0] / other - 1):+.1f} %" for other in (best[0], plain[0])]
    return f"| `{pair.name}` | {' | '.join(cells)} | {' | '.join(gains)} | {seconds:.0f} |"


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--pair", action="append", choices=SENSORS)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--one-way", action="store_true")
    asked = parser.parse_args()
    columns = [f"{index} {of}" for index in INDICES for of in ("best classical", "base", "adapted")]
    print(f"| pair | {' | '.join(columns)} | ERGAS to classical | to base | seconds |")
    print("|---|" + "---:|" * (len(columns) + 3))
    for name in asked.pair or SENSORS:
        ways = 1 if asked.one_way else 2
        print(row(asked.data / "pairs" / name, asked.workdir / name, asked.base, asked.minutes, ways), flush=True)


if __name__ == "__main__":
    main()
