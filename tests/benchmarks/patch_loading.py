"""How many patches a second one core turns into batches, from a warm cache.

    python tests/benchmarks/patch_loading.py [--patches 3000] [--batch 32] [--runs 7]

Writes a patch file as `fusion simulate` does (8 bands, 64 x 64 px: gt, ms, lms and pan), maps it, and reads it in
random order into float32 batches in units of value_max. Also: the same file as published ones are (float64, no
attributes), which is converted in memory. Prints the best run by CPU time, which other programs on the machine disturb
least, and by the clock.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import PatchLayout, PatchNumbers
from fusioncli.io.patches import open_patches
from fusioncli.workflows.training_data import PatchSet, load_patches

SHAPES = {"gt": (8, 64, 64), "ms": (8, 16, 16), "lms": (8, 64, 64), "pan": (1, 64, 64)}
PAN_NAMES = ("gt", "ms", "lms", "pan")
FACTS = PatchFacts(value_max=2047.0, ratio=4)


@dataclass(frozen=True)
class Pick:
    """One patch of one epoch."""

    epoch: int
    index: int


def write_ours(path: Path, count: int) -> None:
    """Random 11-bit numbers in 16 bit."""
    rng = np.random.default_rng(0)
    layout = PatchLayout(count, SHAPES, PatchNumbers("uint16", 2047.0), FACTS)
    with layout.write(path, overwrite=True) as writer:
        for _ in range(count):
            writer.append({name: rng.integers(0, 2048, (1, *shape), np.uint16) for name, shape in SHAPES.items()})


def write_published(path: Path, ours: Path) -> None:
    """The same numbers as float64."""
    with h5py.File(ours) as source, h5py.File(path, "w") as target:
        for name in SHAPES:
            target[name] = source[name][()].astype(np.float64)


def load(path: Path, augmented: bool) -> PatchSet:
    """All patches of a file."""
    return PatchSet(load_patches(open_patches(path, PAN_NAMES), PAN_NAMES, FACTS), FACTS, 4, 0, 64, augmented)


def epoch_of(data: PatchSet, batch_size: int) -> Callable[[], int]:
    """One pass over all patches; returns how many were read."""

    def read() -> int:
        picks = [Pick(1, int(index)) for index in data.order(1)]
        for start in range(0, len(picks), batch_size):
            data.batch(picks[start : start + batch_size])
        return len(picks)

    return read


def best(work: Callable[[], int], runs: int) -> tuple[float, float]:
    """Patches per second of CPU time and of the clock, each the best of some runs after one to warm up."""
    work()
    rates = []
    for _ in range(runs):
        cpu, wall = time.process_time(), time.perf_counter()
        count = work()
        rates.append((count / (time.process_time() - cpu), count / (time.perf_counter() - wall)))
    return max(rate for rate, _ in rates), max(rate for _, rate in rates)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        ours, published = Path(folder, "ours.h5"), Path(folder, "published.h5")
        write_ours(ours, asked.patches)
        write_published(published, ours)
        print(f"{'file':<34}{'per CPU second':>16}{'by the clock':>14}")
        for label, path, augmented in (
            ("ours, flipped and rotated", ours, True),
            ("ours, as they are", ours, False),
            ("published, flipped and rotated", published, True),
        ):
            cpu, wall = best(epoch_of(load(path, augmented), asked.batch), asked.runs)
            print(f"{label:<34}{cpu:>16,.0f}{wall:>14,.0f}")


if __name__ == "__main__":
    main()
