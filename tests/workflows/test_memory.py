"""The memory budget: fewer workers first, then smaller parts, then a refusal with a limit that would do."""

import re

import pytest
import torch

from fusioncli.core.tiling import Blend, Rect, Tiling, Untiled, Whole
from fusioncli.errors import DataError, UsageError
from fusioncli.io.environment import cache_mb
from fusioncli.workflows import memory
from fusioncli.workflows.memory import Resources, fit_memory, pick_device, windows_at_once


def budget(mem_limit_mb, threads=8, part_px=None, side=8192, bands=4, dtype="uint16", rule=None):
    tiling = Tiling.of(Rect(0, 0, side, side), 4, rule or Whole(40), bands, False)
    return fit_memory(tiling, bands, dtype, Resources(threads, mem_limit_mb, "cpu", part_px))


def test_what_fits_is_left_alone():
    found = budget(100_000)
    assert found.threads == 8
    assert found.memory_mb < 100_000
    assert found.dtype == torch.float32


def test_workers_are_given_up_before_part_size():
    roomy = budget(100_000)
    limits = range(2000, 500, -50)
    found = []
    for limit in limits:
        try:
            found.append(budget(limit))
        except DataError:
            break
        assert found[-1].memory_mb <= limit
    workers = [step.threads for step in found]
    assert workers == sorted(workers, reverse=True) and workers[-1] == 1 < workers[0]
    assert all(step.part_px == roomy.part_px for step in found if step.threads > 1)
    assert found[-1].part_px < roomy.part_px


def test_the_part_size_of_the_user_is_kept():
    assert budget(1400, part_px=300).part_px == 300
    with pytest.raises(DataError):
        budget(1400, part_px=8192)


def test_a_part_is_never_larger_than_the_scene():
    assert budget(1400, part_px=1_000_000, side=512).memory_mb < 1400


@pytest.mark.parametrize("bands", [4, 60, 200])
@pytest.mark.parametrize("limit", [64, 400, 480])
def test_the_refusal_names_a_limit_that_would_do(bands, limit):
    with pytest.raises(DataError, match=f"the limit is {limit} MB") as caught:
        budget(limit, bands=bands)
    found = re.search(r"--mem-limit (\d+)", caught.value.hint)
    assert found is not None
    enough = int(found[1])
    assert budget(enough, bands=bands).memory_mb <= enough
    with pytest.raises(DataError):
        budget(int(enough * 0.97), bands=bands)


def test_a_method_that_needs_the_whole_scene_says_so():
    with pytest.raises(DataError, match="whole scene at once") as caught:
        budget(1400, side=20_000, rule=Untiled())
    assert "--upsampler cubic" in caught.value.hint


def test_more_bands_and_wider_types_need_more():
    small, many, wide = (budget(4000, 1, bands=4), budget(4000, 1, bands=40), budget(4000, 1, dtype="float64"))
    assert small.memory_mb < wide.memory_mb
    assert small.memory_mb < many.memory_mb
    assert wide.dtype == torch.float64


def test_the_cache_of_gdal_is_part_of_it():
    assert budget(1000, 1).memory_mb - budget(800, 1).memory_mb == cache_mb(1000) - cache_mb(800)


def test_the_scene_does_not_matter():
    assert budget(1400, side=4096) == budget(1400, side=65536)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "mps", "cpu:0 "])
def test_unknown_devices(name):
    with pytest.raises(UsageError, match="no device is called"):
        pick_device(name)


def test_known_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda")


def test_a_gpu_that_is_not_there():
    with pytest.raises(UsageError, match="cuda:99 is usable here") as caught:
        pick_device("cuda:99")
    assert "--device cpu" in caught.value.hint


@pytest.mark.parametrize(
    ("rule", "bands", "at_once"),
    [(Blend(64, 16), 4, 16), (Blend(64, 16), 256, 4), (Blend(512, 64), 40, 1), (Whole(40), 4, 1), (Untiled(), 4, 1)],
)
def test_small_windows_are_fused_together(rule, bands, at_once):
    """Whatever the scene, the threads and the memory: as many as their own size allows."""
    for side in (64, 8192):
        assert windows_at_once(Tiling.of(Rect(0, 0, side, side), 4, rule, bands, False), bands) == at_once


def test_their_memory_is_reckoned_with(monkeypatch):
    def need_mb():
        tiling = Tiling.of(Rect(0, 0, 256, 256), 4, Blend(64, 16), 4, False)
        return fit_memory(tiling, 4, "uint16", Resources(8, 4000, "cpu"), 32).memory_mb

    together = need_mb()
    monkeypatch.setattr(memory, "_AT_ONCE", 1)
    assert together - need_mb() == pytest.approx(8 * 15 * 64**2 * (32 * 5 + 3) * 4 / 1e6, abs=1)
