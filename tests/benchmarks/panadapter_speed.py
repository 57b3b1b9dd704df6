"""How fast PanAdapter fuses: tiles in batches beside one by one, beside the machine's matrix products, and a scene.

    python tests/benchmarks/panadapter_speed.py [--presets small ipt] [--scenes small] [--size 1024] [--batch 16]
                                                [--runs 3] [--threads 1] [--device auto] [--workdir DIR]

Weights are random: speed does not depend on them. First table: tiles of 64 x 64 PAN px, of 4 bands at ratio 4, as the
network gets them. `one by one` is the plain call, float32, a tile at a time. `as fused` is what `fusion pansharpen`
does: float32, as many tiles at a time as the engine takes of such a network. `--batch` adds so many at a time (none on
a CPU unless it is given), on a GPU also under bf16 autocast, which the engine does not use. All forms and a square
matrix product (bf16 on CUDA, float32 on a CPU) are timed in turn, as often as `runs` says, and medians are compared.
Operations are counted by torch, two for a multiplication with an addition; the share is of those that the matrix
product does in the same time, also where a form is float32 and the product bf16.

Second table: a scene of size x size PAN px through the whole of `fusion pansharpen` but its start: read, upsampled,
fused, blended, written by one worker. The time inside the network is that of the same run; what lies above it is the
price of tiling. Tiles overlap, so that they hold more pixels than the scene. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from against_gdal import RATIO, write_scene
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Rect, Tiling
from fusioncli.io.scene import PairRequest
from fusioncli.models.networks import build_network
from fusioncli.models.panadapter.network import PanAdapter
from fusioncli.models.panadapter.presets import IPT, SMALL
from fusioncli.models.trained import Trained
from fusioncli.models.weights import save_weights
from fusioncli.workflows.fuse import run_fusion
from fusioncli.workflows.memory import Resources, pick_device, windows_at_once
from fusioncli.workflows.plan import plan_fusion
from fusioncli.workflows.requests import FuseRequest, MethodRequest, OutputRequest

BANDS, TILE_PX = 4, 64
PRESETS = {"small": SMALL, "ipt": IPT}
PRODUCT = {"cuda": (8192, torch.bfloat16), "cpu": (1024, torch.float32)}
"""Side and type of the matrix product."""


@dataclass(frozen=True)
class Form:
    """One way to call a network.

    Attributes:
        name: for the table.
        tiles: at a time.
        mixed: bf16 autocast.
    """

    name: str
    tiles: int
    mixed: bool = False


def config_of(preset: str) -> ModelConfig:
    """The preset for the benchmark's bands and ratio."""
    return ModelConfig(arch="panadapter", bands=BANDS, ratio=RATIO, options=PanAdapterOptions(**PRESETS[preset]))


def network_of(preset: str, device: torch.device) -> PanAdapter:
    """Random weights, frozen."""
    torch.manual_seed(0)
    with device:
        network = build_network(config_of(preset)).eval().requires_grad_(False)
    assert isinstance(network, PanAdapter)
    return network


def images(count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """MS, upsampled MS and PAN of tiles."""
    cells, fine = TILE_PX // RATIO, (TILE_PX, TILE_PX)
    sizes = (count, BANDS, cells, cells), (count, BANDS, *fine), (count, 1, *fine)
    ms, lms, pan = (torch.rand(size, device=device) for size in sizes)
    return ms, lms, pan


def gflop(network: PanAdapter, device: torch.device) -> float:
    """Operations for a tile, 10⁹."""
    counted = sdpa_kernel(SDPBackend.MATH)  # the counter overlooks other attentions on a CPU
    with torch.no_grad(), counted, FlopCounterMode(display=False) as counter:
        network(*images(1, device))
    return counter.get_total_flops() / 1e9


def seconds(functions: list[Callable[[], Tensor]], runs: int, device: torch.device) -> list[float]:
    """Median wall time of each, all of them in turn, after one that warms up."""
    times: list[list[float]] = [[] for _ in functions]
    for run in range(runs + 1):
        for function, taken in zip(functions, times, strict=True):
            finish(device)
            start = time.perf_counter()
            function()
            finish(device)
            if run:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def finish(device: torch.device) -> None:
    """Wait for what has been started."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forms_of(network: PanAdapter, batch: int | None, device: torch.device) -> list[Form]:
    """What is compared; the first is the yardstick."""
    cut = Tiling.of(Rect(0, 0, 1024, 1024), RATIO, network.rule(4 * RATIO), BANDS, False)
    forms = [Form("one by one", 1), Form("as fused", windows_at_once(cut, network.width))]
    on_gpu = device.type == "cuda"
    if batch is not None or on_gpu:
        forms.append(Form("in batches", batch or 16))
        forms += [Form("in batches, bf16", batch or 16, mixed=True)] if on_gpu else []
    return forms


def compare_tiles(preset: str, options: argparse.Namespace, device: torch.device) -> None:
    """Print the rows of a preset in the first table."""
    network = network_of(preset, device)
    forms = forms_of(network, options.batch, device)

    def call(form: Form, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=form.mixed):
            return network(*inputs)

    side, dtype = PRODUCT[device.type]
    matrix = torch.rand(side, side, device=device).to(dtype)
    calls = [partial(call, form, images(form.tiles, device)) for form in forms]
    times = seconds([*calls, lambda: matrix @ matrix], options.runs, device)
    peak, work = 2 * side**3 / times[-1] / 1e9, gflop(network, device)
    for form, taken in zip(forms, times[:-1], strict=True):
        tile_s = taken / form.tiles
        rates = f"{TILE_PX**2 / tile_s / 1e6:.3g} | {times[0] / tile_s:.2f} | {work:.1f} | {work / tile_s / peak:.0%}"
        print(f"| {preset} | {form.name} | {form.tiles} | {1e3 * tile_s:.2f} | {rates} of {peak:.0f} |", flush=True)


def fuse_scene(preset: str, options: argparse.Namespace, device: torch.device, folder: Path) -> None:
    """Print the row of a preset in the second table."""
    config = config_of(preset)
    weights = folder / f"{preset}.safetensors"
    network = network_of(preset, torch.device("cpu"))
    save_weights(weights, network.state_dict(), Identity.of_model(config, value_max=2047.0))
    plan = plan_fusion(
        FuseRequest(
            PairRequest((str(folder / "ms.tif"),), str(folder / "pan.tif")),
            OutputRequest(folder / "fused.tif", overwrite=True, cog=False, options={"COMPRESS": "NONE"}),
            MethodRequest(weights=weights),
            Resources(threads=1, mem_limit_mb=8000, device=str(device)),
        )
    )
    assert isinstance(plan.model, Trained)
    spent = stopwatch(plan.model.network, device)
    start = time.perf_counter()
    run_fusion(plan, lambda stage, done, total: None)
    wall_s, model_s = time.perf_counter() - start, sum(spent)
    tiles = list(plan.tiling.tiles(plan.tiling.scene))
    scene_mp, tiles_mp = options.size**2 / 1e6, len(tiles) * TILE_PX**2 / 1e6
    print(
        f"| {preset} | {options.size} | {tiles_mp / scene_mp:.2f} | {wall_s:.2f} | {model_s:.2f} | "
        f"{wall_s / model_s:.3f} | {scene_mp / wall_s:.3g} |",
        flush=True,
    )


def stopwatch(network: nn.Module, device: torch.device) -> list[float]:
    """Seconds of every call of the network, or of a copy of it, from now on."""
    spent: list[float] = []

    def start(*_: object) -> None:
        finish(device)
        spent.append(-time.perf_counter())

    def stop(*_: object) -> None:
        finish(device)
        spent[-1] += time.perf_counter()

    network.register_forward_pre_hook(start)
    network.register_forward_hook(stop)
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="*", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--scenes", nargs="*", choices=PRESETS, default=["small"], help="presets that fuse a scene")
    parser.add_argument("--size", type=int, default=1024, help="side of the scene, PAN px")
    parser.add_argument("--batch", type=int, default=None, help="another number of tiles at a time")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the first table, on a CPU")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workdir", type=Path, default=None)
    options = parser.parse_args()
    device = pick_device(options.device)
    torch.set_num_threads(options.threads)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {options.threads} thread(s)"
    print(f"{name}; {BANDS} bands, ratio {RATIO}; median of {options.runs} runs\n")
    print("| network | form | tiles at a time | ms per tile | MP/s | ratio | GFLOP per tile | share of GFLOP/s |")
    print("|---|---|---|---|---|---|---|---|")
    for preset in options.presets:
        compare_tiles(preset, options, device)
    if not options.scenes:
        return
    print("\n| network | scene px | px in tiles / px | wall s | in the network s | ratio | MP/s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.workdir) as folder:
        write_scene(Path(folder), options.size)
        for preset in options.scenes:
            fuse_scene(preset, options, device, Path(folder))


if __name__ == "__main__":
    main()
