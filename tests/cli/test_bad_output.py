"""Places that cannot be written to: refused before any work where that can be known, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
from conftest import write_raster
from refusals import assert_refused, listing

from fusioncli.workflows import fuse, plan

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

NO_WORK = ("open_registered", "build")
"""Names in the plan module behind which every pixel is read."""


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to open the inputs or build a model fails the test."""

    def touched(*_: object) -> None:
        pytest.fail("the inputs were touched before the output place was checked")

    for name in NO_WORK:
        monkeypatch.setattr(plan, name, touched)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = hasattr(os, "geteuid") and os.geteuid() == 0
    mounted = mounted and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], stderr=subprocess.DEVNULL
    )
    if not mounted:
        pytest.skip("mounting a small tmpfs needs root and the right to mount")
    yield folder
    subprocess.check_call(["umount", folder])


def test_existing_output_is_kept(make_pair, fusion, no_work, tmp_path):
    pair = make_pair()
    output = tmp_path / "fused.tif"
    output.write_text("precious")
    before = listing(tmp_path)
    assert_refused(fusion("pansharpen", *pair.flags, "-o", output), 3, "fused.tif exists already", "--overwrite")
    assert output.read_text() == "precious"
    assert listing(tmp_path) == before


def test_overwrite_replaces(make_pair, fusion, tmp_path):
    pair = make_pair()
    output = tmp_path / "fused.tif"
    output.write_text("precious")
    assert fusion("pansharpen", *pair.flags, "-o", output, "--overwrite").code == 0
    with rasterio.open(output) as dataset:
        assert dataset.shape == (256, 320)
    assert listing(tmp_path) == {"ms.tif", "pan.tif", "fused.tif"}


def test_failed_overwrite_keeps_the_old_file(make_pair, fusion, tmp_path):
    pair = make_pair(nodata=0)
    output = tmp_path / "fused.tif"
    output.write_text("precious")
    os.truncate(pair.pan, pair.pan.stat().st_size // 2)
    assert_refused(fusion("pansharpen", *pair.flags, "-o", output, "--overwrite"), 3, "pan.tif: rows 0")
    assert output.read_text() == "precious"
    assert listing(tmp_path) == {"ms.tif", "pan.tif", "fused.tif"}


def test_existing_aligned_output_is_kept(make_pair, fusion, monkeypatch, tmp_path):
    pair = make_pair()
    output = tmp_path / "aligned.tif"
    output.write_text("precious")
    monkeypatch.setattr("fusioncli.io.scene.open_pair", lambda request: pytest.fail("the inputs were opened"))
    outcome = fusion("align", *pair.flags, "--correct", "-o", output)
    assert_refused(outcome, 3, "aligned.tif exists already", "--overwrite")
    assert output.read_text() == "precious"


@pytest.mark.parametrize("role", ["ms", "pan"])
def test_an_input_is_never_overwritten(make_pair, fusion, role):
    pair = make_pair()
    path = getattr(pair, role)
    content = path.read_bytes()
    outcome = fusion("pansharpen", *pair.flags, "-o", path, "--overwrite")
    assert_refused(outcome, 2, f"{role}.tif is an input", "another name")
    assert path.read_bytes() == content


def test_missing_folder(make_pair, fusion, no_work, tmp_path):
    pair = make_pair()
    before = listing(tmp_path)
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "new" / "fused.tif")
    assert_refused(outcome, 3, "new does not exist", "mkdir -p")
    assert listing(tmp_path) == before


def test_folder_in_place_of_a_file(make_pair, fusion, no_work, tmp_path):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path, "--overwrite")
    assert_refused(outcome, 3, "is a folder", "name a file")


def test_file_in_place_of_a_folder(make_pair, fusion, no_work):
    pair = make_pair()
    assert_refused(fusion("pansharpen", *pair.flags, "-o", pair.ms / "fused.tif"), 3, "ms.tif does not exist")


def test_read_only_folder(make_pair, fusion, no_work, monkeypatch, tmp_path):
    """Root may write to any folder, hence the stand-in for the system's answer."""
    pair = make_pair()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif")
    assert_refused(outcome, 3, "is read-only", "writable folder")
    assert listing(tmp_path) == {"ms.tif", "pan.tif"}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, where no file can be made even by root")
def test_folder_that_refuses_new_files(make_pair, fusion):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", "/proc/self/fused.tif")
    assert outcome.code == 3
    assert outcome.stderr.splitlines()[-2].startswith("error: ")


def test_too_small_a_disk_is_seen_beforehand(make_pair, fusion, small_disk, monkeypatch):
    pair = make_pair(shape=(128, 128))
    monkeypatch.setattr(fuse, "Engine", lambda *_: pytest.fail("work was begun"))
    outcome = fusion("pansharpen", *pair.flags, "-o", small_disk / "fused.tif")
    error = f"the disk of {small_disk} is full: about 5 MB are needed, 2 MB free"
    assert_refused(outcome, 3, error, "free some space")
    assert listing(small_disk) == set()


@pytest.mark.parametrize("flags", [(), ("--part-size", "256")])
def test_disk_that_fills_up_with_parts(make_pair, fusion, small_disk, monkeypatch, flags):
    pair = make_pair(shape=(128, 128))
    monkeypatch.setattr(plan, "_ROOM", 0)
    outcome = fusion("pansharpen", *pair.flags, "-o", small_disk / "fused.tif", "--method", "exp", *flags)
    assert_refused(outcome, 3, "is full", "free some space")
    assert listing(small_disk) == set()


@pytest.mark.parametrize("layout", ["--cog", "--no-cog"])
def test_disk_that_fills_up_with_the_product(make_pair, fusion, small_disk, monkeypatch, layout):
    """Parts take 2 MB of 2.3 MB, and the product as much again."""
    pair = make_pair(shape=(128, 128))
    subprocess.check_call(["mount", "-o", "remount,size=2300k", small_disk])
    monkeypatch.setattr(plan, "_ROOM", 0)
    outcome = fusion("pansharpen", *pair.flags, "-o", small_disk / "fused.tif", "--co", "COMPRESS=NONE", layout)
    assert_refused(outcome, 3, "fused.tif cannot be written", "Free some space")
    assert listing(small_disk) == set()


def test_band_files_leave_nothing_behind_either(make_pair, fusion, small_disk, monkeypatch, tmp_path):
    pair = make_pair(shape=(128, 128))
    monkeypatch.setattr(plan, "_ROOM", 0)
    with rasterio.open(pair.ms) as dataset:
        bands = [write_raster(tmp_path / f"b{i}.tif", dataset.read(i), dataset.transform) for i in dataset.indexes]
    flags = [word for band in bands for word in ("--ms", band)]
    outcome = fusion("pansharpen", *flags, "--pan", pair.pan, "-o", small_disk / "fused.tif")
    assert_refused(outcome, 3, "is full")
    assert listing(small_disk) == set()


def test_rubbish_of_a_killed_process_is_cleared(make_pair, fusion, tmp_path):
    """Half a product, and parts of a job with other settings."""
    stale = tmp_path / "fused.tif.parts" / "0123456789ab"
    stale.mkdir(parents=True)
    (stale / ".fused.tif.4711.tmp.tif").write_bytes(bytes(1000))
    (stale / "part_r0_c0_256x320.tif").write_bytes(bytes(1000))
    assert fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif").code == 0
    assert listing(tmp_path) == {"ms.tif", "pan.tif", "fused.tif"}
