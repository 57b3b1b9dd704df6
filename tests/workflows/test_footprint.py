"""The peak memory of a whole process: within the plan, and flat when the scene grows."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from affine import Affine
from conftest import Pair, write_raster
from fusion_jobs import FINE

TEXTURE_PX = 256


@pytest.fixture
def write_scene(tmp_path):
    """A pair of any size, from one square repeated."""
    rng = np.random.default_rng(0)
    pan = rng.integers(100, 1500, (1, TEXTURE_PX, TEXTURE_PX)).astype("uint16")
    ms = rng.integers(100, 1500, (4, TEXTURE_PX // 4, TEXTURE_PX // 4)).astype("uint16")

    def write(side):
        times = (1, side // TEXTURE_PX, side // TEXTURE_PX)
        return Pair(
            write_raster(tmp_path / f"ms{side}.tif", np.tile(ms, times), FINE @ Affine.scale(4), tiled=True),
            write_raster(tmp_path / f"pan{side}.tif", np.tile(pan, times), FINE, tiled=True),
        )

    return write


def run_alone(pair):
    """The command in a process of its own: what it said, and its peak memory in MB."""
    program = "from fusioncli.cli.main import run; run()"
    flags = ["-o", str(pair.ms.with_name("fused.tif")), "--overwrite", "--threads", "1", "--method", "gsa", "--json"]
    command = [sys.executable, "-c", program, "pansharpen", *pair.flags, *flags, "--mem-limit", "700"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return json.loads(said), usage.ru_maxrss / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_memory_is_flat_when_the_scene_grows_fourfold(write_scene):
    small, small_mb = run_alone(write_scene(2048))
    large, large_mb = run_alone(write_scene(4096))
    assert large["output_mb"] == pytest.approx(4 * small["output_mb"], rel=0.01)
    assert large["memory_mb"] == small["memory_mb"] <= 700
    assert large_mb < large["memory_mb"]
    assert large_mb - small_mb < 0.8 * (
        large["output_mb"] - small["output_mb"]
    )  # in float32 it would be twice the latter
