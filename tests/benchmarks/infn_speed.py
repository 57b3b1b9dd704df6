"""What the exact fast form of INFN's query saves: multiplications and time, both forms in one run.

    python tests/benchmarks/infn_speed.py [--size 256] [--runs 3] [--threads 1]

The query is what lies between the encoders and the head: neighbours, weights and the perceptron. The slow form is the
tests' oracle, which gathers the features of four neighbours and puts each through the whole perceptron. Multiplications
are counted by torch while it computes on the meta device; times are medians of runs taken in turn, in float32, without
gradients, and both results are compared before. The last columns are the whole network. Ratio 4 has whole cells, 2.5
has not. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))

import naive_infn

from fusioncli.config.architectures import InfnOptions
from fusioncli.models.infn.network import Infn
from fusioncli.models.infn.positions import Placement

BANDS, GUIDE_BANDS = 31, 3


class Contest:
    """Both forms of one network on random features."""

    def __init__(self, width: int, ratio: Fraction, size: int, device: str) -> None:
        torch.manual_seed(0)
        cells = round(size / ratio)
        self.network = Infn(BANDS, GUIDE_BANDS, InfnOptions(width=width)).to(device).requires_grad_(False)
        self.latent = torch.rand(1, 2 * width, cells, cells, device=device)
        self.guide = torch.rand(1, width, size, size, device=device)
        fine = torch.rand(1, BANDS + GUIDE_BANDS, size, size, device=device)
        self.images = torch.rand(1, BANDS, cells, cells, device=device), fine[:, :BANDS], fine[:, BANDS:]
        self.places = naive_infn.places(size, Fraction(size, cells))
        self.lattice = Placement.of_ratio(size / cells, size / cells).lattice((cells, cells), (size, size))

    def naive(self) -> Tensor:
        """The query as it is defined."""
        return naive_infn.query(self.network, self.latent, self.guide, self.places, self.places)[0]

    def fast(self) -> Tensor:
        """The query as it is computed."""
        return self.network.query(self.latent, self.guide, self.lattice)

    def whole(self) -> Tensor:
        """The network."""
        return self.network(*self.images)


def gmac(function: Callable[[], Tensor]) -> float:
    """10⁹ multiplications with an addition."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() / 2e9


def seconds(functions: list[Callable[[], Tensor]], runs: int) -> list[float]:
    """Median wall time of each, all of them in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(runs):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    """Count, compare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="side of the MSI, px")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"MSI {options.size} x {options.size}, {BANDS} + {GUIDE_BANDS} bands, {options.threads} thread(s)\n")
    print("| width | ratio | query GMAC slow | fast | ratio | query s slow | fast | ratio | net GMAC | net s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for width in (64, 128):
        for ratio in (Fraction(4), Fraction(5, 2)):
            counted = Contest(width, ratio, options.size, "meta")
            naive, fast, net = (gmac(f) for f in (counted.naive, counted.fast, counted.whole))
            timed = Contest(width, ratio, options.size, "cpu")
            assert torch.allclose(timed.naive(), timed.fast(), atol=1e-4)
            slow_s, fast_s, net_s = seconds([timed.naive, timed.fast, timed.whole], options.runs)
            query = (
                f"{naive:.2f} | {fast:.2f} | {naive / fast:.2f} | {slow_s:.2f} | {fast_s:.2f} | {slow_s / fast_s:.2f}"
            )
            print(f"| {width} | {float(ratio):g} | {query} | {net:.1f} | {net_s:.2f} |", flush=True)


if __name__ == "__main__":
    main()
