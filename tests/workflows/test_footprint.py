"""The peak memory of a whole process: within the plan, and flat when the scene grows."""

import json
import subprocess
import sys
from operator import itemgetter

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
    """The command in a process of its own: what it said, and its peak memory in MB.

    Read from the process itself, because the figure that a parent gets includes what the parent held when it forked.
    """
    program = (
        "import sys; from pathlib import Path; from fusioncli.cli.main import main; code = main(sys.argv[1:]);"
        "status = Path('/proc/self/status').read_text();"
        "print(status.split('VmHWM:')[1].split()[0], file=sys.stderr); sys.exit(code)"
    )
    flags = ["-o", str(pair.ms.with_name("fused.tif")), "--overwrite", "--threads", "1", "--method", "gsa", "--json"]
    command = [sys.executable, "-c", program, "pansharpen", *pair.flags, *flags, "--mem-limit", "700", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), int(done.stderr.split()[-1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat_when_the_scene_grows_fourfold(write_scene):
    (small, small_mb), (large, large_mb) = (
        min((run_alone(pair) for _ in range(2)), key=itemgetter(1)) for pair in map(write_scene, (2048, 4096))
    )  # peaks vary by some tens of MB from run to run
    assert large["output_mb"] == pytest.approx(4 * small["output_mb"], rel=0.01)
    assert large["memory_mb"] == small["memory_mb"] <= 700
    assert large_mb < large["memory_mb"]
    # GDAL's cache fills by some tens of MB; the scene itself, held in float32, would be twice this bound
    assert large_mb - small_mb < large["output_mb"] - small["output_mb"]
