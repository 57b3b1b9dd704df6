"""How fast the indices are, as ratios measured in one run.

    python tests/benchmarks/metrics_speed.py [--size 2048]

1. Q2n against a straightforward numpy port of its definition (the tests' oracle), both on one thread.
2. The whole reduced-resolution suite against the fusion that it judges (observe, fuse and write with `--fast`), both
   on all cores, on a scene of size x size with 4 bands.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch are loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "metrics"), str(HERE)]

from against_gdal import write_scene  # noqa: E402
from naive_q2n import naive_q2n_map  # noqa: E402

from fusioncli.io.scene import PairRequest  # noqa: E402
from fusioncli.metrics.cut import Cut  # noqa: E402
from fusioncli.metrics.q2n import Q2n  # noqa: E402
from fusioncli.metrics.suites import SuiteSettings, suite  # noqa: E402
from fusioncli.models.catalogue import FAST  # noqa: E402
from fusioncli.workflows.fuse import run_fusion  # noqa: E402
from fusioncli.workflows.memory import available_cores  # noqa: E402
from fusioncli.workflows.plan import plan_fusion  # noqa: E402
from fusioncli.workflows.requests import FuseRequest, MethodRequest, OutputRequest  # noqa: E402
from fusioncli.workflows.workers import in_order  # noqa: E402


def best(work: Callable[[], object], runs: int = 3) -> float:
    """Shortest wall time of a few runs, seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def images(size: int, bands: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A random reference and a noisy copy, (1, bands, size, size) float32 DN."""
    rng = np.random.default_rng(0)
    reference = torch.from_numpy(rng.integers(100, 1500, (1, bands, size, size)).astype(np.float32))
    return reference, (reference + 20 * torch.randn_like(reference)).clamp(0, 2047)


def compare_q2n(size: int) -> None:
    """Print the ratio for 8 bands."""
    reference, fused = images(size, 8)
    arrays = [image[0].permute(1, 2, 0).numpy() for image in (reference, fused)]
    torch.set_num_threads(1)
    ours = best(lambda: Q2n().update(reference, fused).compute())
    naive = best(lambda: naive_q2n_map(*arrays), runs=1)
    print(f"Q2n, {size} x {size} x 8, one thread: naive {naive:.2f} s, ours {ours:.3f} s: {naive / ours:.1f} times")


def compare_suite(size: int) -> None:
    """Print the ratio for 4 bands."""
    reference, fused = images(size, 4)
    cores = available_cores()

    def measure() -> None:
        total = suite("reduced-resolution", SuiteSettings(4, 2047.0))
        cuts = list(Cut.whole(size, size).pieces(512, total.align_px, total.halo_px))

        def part(cut: Cut) -> object:
            rows, cols = cut.read.slices(cut.scene)
            piece = {"reference": reference[..., rows, cols], "fused": fused[..., rows, cols]}
            return suite("reduced-resolution", SuiteSettings(4, 2047.0)).update(piece, cut=cut)

        for found in in_order("measuring", cuts, part, cores, lambda *_: None):
            total.merge(found)
        total.compute()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder, size)
        request = FuseRequest(
            PairRequest((str(folder / "ms.tif"),), str(folder / "pan.tif")),
            OutputRequest(folder / "out.tif", overwrite=True),
            MethodRequest(FAST),
        )
        fusing = best(lambda: run_fusion(plan_fusion(request), lambda *_: None))
    measuring = best(measure)
    print(f"suite of 11 indices, {size} x {size} x 4, {cores} threads: {measuring:.2f} s; fusion {fusing:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    options = parser.parse_args()
    compare_q2n(options.size)
    compare_suite(options.size)
