"""PowerCutError jobs: what is finished is kept, what no longer fits is not used, and the result is the same file."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from fusion_jobs import fuse, pixels, plain, plan, run, same_bits

from fusioncli.core import tiling
from fusioncli.errors import DataError
from fusioncli.workflows.fuse import run_fusion

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PART_PX = 50
PARTS = 4 * 5
_PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # CI may start us with Ctrl-C ignored
    "from fusioncli.cli.main import run; run()"
)


class PowerCutError(Exception):
    """Stands for whatever ends a process."""


def interrupt(job, after=6):
    """Run a job, one part at a time, until so many parts are on disk; returns how many there are."""

    def stop(stage, done, total):
        if stage == "fusing" and done == after:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run_fusion(job, stop)
    assert not job.request.output.path.exists()
    return len(finished(job.request.output.path))


def finished(output):
    """Part files that carry their final names."""
    return sorted(output.with_name(output.name + ".parts").glob("*/part_*.tif"))


def rewrite(path, change):
    with rasterio.open(path) as dataset:
        profile, samples = dataset.profile, dataset.read()
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(change(samples))


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.setattr(tiling, "TILE_PX", 64)
    return plain(tmp_path)


class TestParts:
    def test_the_same_job_takes_over_finished_parts(self, pair):
        expected = fuse(pair, "gsa", PART_PX, path=pair.ms.parent / "uninterrupted.tif")
        kept = interrupt(plan(pair, "gsa", PART_PX))
        assert 6 <= kept < PARTS
        report = run(plan(pair, "gsa", PART_PX))
        assert report.reused == kept
        assert same_bits(pixels(report.path), expected)
        assert sorted(file.name for file in pair.ms.parent.iterdir()) == [
            "fused.tif", "ms.tif", "pan.tif", "uninterrupted.tif"
        ]  # fmt: skip

    def test_parts_are_really_taken_over(self, pair):
        """A doctored part shows up in the result."""
        interrupt(plan(pair, "exp", PART_PX))
        rewrite(finished(pair.ms.parent / "fused.tif")[0], lambda samples: np.full_like(samples, 4321))
        fused = pixels(run(plan(pair, "exp", PART_PX)).path)
        assert (fused[:, :PART_PX, :PART_PX] == 4321).all()
        assert (fused[:, PART_PX:] != 4321).all()

    def test_other_threads_and_memory_resume_the_same_job(self, pair):
        """They change no pixel, and running out of memory is a reason to come back with fewer."""
        kept = interrupt(plan(pair, "exp", PART_PX, threads=1))
        job = plan(pair, "exp", PART_PX, threads=2)
        job = replace(job, request=replace(job.request, resources=replace(job.request.resources, mem_limit_mb=2000)))
        assert run(job).reused == kept

    @pytest.mark.parametrize("name", ["ms", "pan"])
    def test_a_changed_input_is_read_again(self, name, pair):
        interrupt(plan(pair, "brovey", PART_PX))
        stale = finished(pair.ms.parent / "fused.tif")
        rewrite(getattr(pair, name), lambda samples: samples[..., ::-1] + 5)
        report = run(plan(pair, "brovey", PART_PX))
        assert report.reused == 0
        assert not any(part.exists() for part in stale)
        assert same_bits(pixels(report.path), fuse(pair, "brovey", path=pair.ms.parent / "fresh.tif"))

    def test_a_touched_input_is_read_again(self, pair):
        """Same size, other time: contents are not compared."""
        interrupt(plan(pair, "exp", PART_PX))
        stat = pair.pan.stat()
        os.utime(pair.pan, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        assert run(plan(pair, "exp", PART_PX)).reused == 0

    @pytest.mark.parametrize("change", [{"dtype": "float32"}, {"nodata": 0.0}, {"bit_depth": 11}])
    def test_other_output_values_are_another_job(self, change, pair):
        interrupt(plan(pair, "exp", PART_PX))
        assert run(plan(pair, "exp", PART_PX, **change)).reused == 0

    def test_another_method_is_another_job(self, pair):
        interrupt(plan(pair, "exp", PART_PX))
        report = run(plan(pair, "brovey", PART_PX))
        assert report.reused == 0
        assert not finished(report.path)

    def test_no_resume_starts_anew(self, pair):
        interrupt(plan(pair, "exp", PART_PX))
        rewrite(finished(pair.ms.parent / "fused.tif")[0], lambda samples: np.full_like(samples, 4321))
        report = run(plan(pair, "exp", PART_PX, resume=False))
        assert report.reused == 0
        assert (pixels(report.path) != 4321).all()

    def test_a_short_part_is_made_again(self, pair):
        """As a power cut may leave it."""
        kept = interrupt(plan(pair, "exp", PART_PX))
        part = finished(pair.ms.parent / "fused.tif")[1]
        part.write_bytes(part.read_bytes()[:1000])
        report = run(plan(pair, "exp", PART_PX))
        assert report.reused == kept - 1
        assert same_bits(pixels(report.path), fuse(pair, "exp", path=pair.ms.parent / "fresh.tif"))

    def test_parts_without_any_data_are_remembered(self, pair):
        rewrite(pair.pan, lambda samples: np.where(np.arange(200)[:, None] < 100, 0, samples))
        with rasterio.open(pair.pan, "r+") as dataset:
            dataset.nodata = 0
        expected = fuse(pair, "exp", PART_PX, path=pair.ms.parent / "uninterrupted.tif")
        interrupt(plan(pair, "exp", PART_PX), after=8)
        report = run(plan(pair, "exp", PART_PX))
        assert report.reused >= 8  # the first ten hold no data
        assert same_bits(pixels(report.path), expected)
        assert (expected[:, :100] == 0).all() and (expected[:, 100:] > 0).all()

    def test_an_unusable_input_leaves_nothing(self, pair):
        pan = pair.pan.read_bytes()
        pair.pan.write_bytes(pan[: len(pan) // 2])
        with pytest.raises(DataError, match=r"pan\.tif: .*rows"):
            run(plan(pair, "exp", PART_PX))
        assert sorted(file.name for file in pair.ms.parent.iterdir()) == ["ms.tif", "pan.tif"]

    def test_a_finished_job_keeps_nothing_to_resume(self, pair):
        run(plan(pair, "exp", PART_PX))
        assert run(plan(pair, "exp", PART_PX)).reused == 0


class TestProcess:
    """The real command, really killed: a 1024 px tile is computed for each of 16 parts, so there is time to do it."""

    PARTS = 16

    def start(self, pair, output):
        command = [sys.executable, "-c", _PROGRAM, *self.arguments(pair, output)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while len(finished(output)) < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return process

    def arguments(self, pair, output):
        flags = ["-o", str(output), "--method", "mtf-glp-hpm", "--part-size", "256", "--threads", "1", "--json"]
        return ["pansharpen", *pair.flags, *flags]

    def test_kill_then_run_again_equals_an_uninterrupted_run(self, tmp_path, fusion):
        pair, output = plain(tmp_path, 1000, 20), tmp_path / "killed.tif"
        process = self.start(pair, output)
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        assert not output.exists()
        kept = finished(output)
        assert 3 <= len(kept) < self.PARTS
        again = fusion(*self.arguments(pair, output))
        assert again.code == 0, again.stderr
        assert again.json["reused_parts"] == len(kept)
        assert again.json["parts"] == self.PARTS
        uninterrupted = fusion(*self.arguments(pair, tmp_path / "whole.tif"))
        assert uninterrupted.json["reused_parts"] == 0
        assert (tmp_path / "whole.tif").read_bytes() == output.read_bytes()
        assert sorted(file.name for file in tmp_path.iterdir()) == ["killed.tif", "ms.tif", "pan.tif", "whole.tif"]

    def test_ctrl_c_keeps_parts_and_says_so(self, tmp_path, fusion):
        pair, output = plain(tmp_path, 1000, 20), tmp_path / "stopped.tif"
        process = self.start(pair, output)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        assert process.returncode == 130
        assert stdout == ""
        assert "same command resumes" in stderr and "Traceback" not in stderr
        assert not output.exists()
        kept = finished(output)
        assert 3 <= len(kept) < self.PARTS
        again = fusion(*self.arguments(pair, output))
        assert again.code == 0, again.stderr
        assert again.json["reused_parts"] == len(kept)
        assert same_bits(pixels(output), fuse(pair, "mtf-glp-hpm", path=tmp_path / "whole.tif"))
