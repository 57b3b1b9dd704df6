"""However a scene is cut, and in whatever order the tiles come, an index is the one of the whole scene."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from metric_scenes import SETTINGS, fresh, inputs, names
from pytest import approx
from torch import Tensor

from fusioncli.core.tiling import Rect
from fusioncli.metrics import contract
from fusioncli.metrics.contract import Metric
from fusioncli.metrics.cut import Cut
from fusioncli.metrics.q2n import Q2n
from fusioncli.metrics.suites import full_resolution, reduced_resolution

HEIGHT, WIDTH = 149, 141  # no multiple of a block, and not square


@pytest.fixture
def images() -> dict[str, Tensor]:
    return {name: image[..., :HEIGHT, :WIDTH] for name, image in inputs("ikonos").items() if image.shape[-1] >= WIDTH}


@pytest.fixture
def mask() -> Tensor:
    """Lone invalid pixels, and one block with a few more."""
    rng = np.random.default_rng(5)
    valid = rng.random((HEIGHT, WIDTH)) > 3e-4
    valid[70:75, 100:140] = False
    return torch.from_numpy(valid)[None, None]


def random_cuts(metric: Metric, rng: np.random.Generator) -> list[Cut]:
    """Lines at random multiples of the alignment, a halo that is at least what the index needs, random order."""
    rows, cols = (random_lines(size, metric.align_px, rng) for size in (HEIGHT, WIDTH))
    scene = Rect(0, 0, HEIGHT, WIDTH)
    halo_px = metric.halo_px + int(rng.integers(0, 3))
    cuts = [
        Cut(scene, Rect(top, left, bottom, right), halo_px)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(cols)
    ]
    return [cuts[i] for i in rng.permutation(len(cuts))]


def random_lines(size: int, align_px: int, rng: np.random.Generator) -> list[int]:
    inner = rng.integers(1, size // align_px, 4) * align_px
    return [0, *sorted({int(line) for line in inner}), size]


def tile(images: dict[str, Tensor], cut: Cut) -> dict[str, Tensor]:
    rows, cols = cut.read.slices(cut.scene)
    return {name: image[..., rows, cols] for name, image in images.items()}


def streamed(metric: Metric, images: dict[str, Tensor], mask: Tensor | None, cuts: list[Cut]) -> Iterator[None]:
    for cut in cuts:
        valid = None if mask is None else mask[(..., *cut.read.slices(cut.scene))]
        part = tile(images, cut)
        metric.update(*(part[name] for name in metric.inputs), mask=valid, cut=cut)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", names())
def test_any_cut_gives_the_whole(
    name: str, masked: bool, images: dict, mask: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    valid = mask if masked else None
    with monkeypatch.context() as patched:
        patched.setitem(contract._PIECE_VALUES, "cpu", 2**40)
        whole = fresh(name).update(*(images[x] for x in fresh(name).inputs), mask=valid).compute()
    for seed in range(2):
        rng = np.random.default_rng(seed)
        cuts = random_cuts(fresh(name), rng)
        one, other = fresh(name), fresh(name)
        streamed(one, images, valid, cuts[::2])
        streamed(other, images, valid, cuts[1::2])
        assert one.merge(other).compute() == approx(whole, rel=1e-11, abs=1e-13)


def test_overlapping_blocks_stream_too(images: dict) -> None:
    metric = Q2n(block_px=32, shift_px=12)
    whole = Q2n(block_px=32, shift_px=12).update(images["reference"], images["fused"]).compute()
    streamed(metric, images, None, random_cuts(metric, np.random.default_rng(0)))
    assert metric.compute() == approx(whole, rel=1e-12)
    assert Q2n(block_px=32, shift_px=12).quality_map(images["reference"], images["fused"]).mean().item() == approx(
        whole, rel=1e-12
    )


@pytest.mark.parametrize("make", [reduced_resolution, full_resolution])
def test_a_suite_streams_in_threads(make, images: dict, mask: Tensor) -> None:
    whole = make(SETTINGS).update(images, mask).compute()
    suites = [make(SETTINGS) for _ in range(3)]
    cuts = list(Cut.whole(HEIGHT, WIDTH).pieces(64, suites[0].align_px, suites[0].halo_px))

    def work(index: int) -> None:
        for cut in cuts[index::3]:
            suites[index].update(tile(images, cut), mask[(..., *cut.read.slices(cut.scene))], cut)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    total = make(SETTINGS)
    for suite in suites:
        total.merge(suite)
    assert total.compute() == approx(whole, rel=1e-11)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", names())
def test_cuda_gives_the_same(name: str, images: dict, mask: Tensor) -> None:
    own = [images[x] for x in fresh(name).inputs]
    on_cpu = fresh(name).update(*own, mask=mask).compute()
    on_gpu = fresh(name).update(*(x.cuda() for x in own), mask=mask.cuda())
    assert on_gpu.compute() == approx(on_cpu, rel=1e-10)
    assert fresh(name).update(*own, mask=mask).merge(on_gpu).compute() == approx(on_cpu, rel=1e-10)
