"""Parts on disk: complete or absent, and of one job only."""

from __future__ import annotations

import os

import numpy as np
import pytest

from fusioncli.core.tiling import Rect
from fusioncli.io.parts import PartStore, job_digest, remove_stale

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PART = Rect(0, 64, 32, 128)


@pytest.fixture
def store(tmp_path):
    return PartStore(tmp_path / "fused.tif.parts" / "job", 3, "uint16")


@pytest.fixture
def samples():
    return np.arange(3 * 32 * 64, dtype="uint16").reshape(3, 32, 64)


def test_a_written_part_is_held(store, samples):
    assert not store.holds(PART)
    store.write(PART, samples, clipped=7)
    assert store.holds(PART)
    assert store.has_pixels(PART)
    assert store.clipped(PART) == 7
    assert [path.suffix for path in store.folder.iterdir()] == [".tif"]


def test_a_part_without_pixels_is_held_without_a_picture(store):
    store.write(PART, None, clipped=0)
    assert store.holds(PART)
    assert not store.has_pixels(PART)
    assert store.clipped(PART) == 0


def test_another_part_is_not_held(store, samples):
    store.write(PART, samples, 0)
    assert not store.holds(Rect(0, 64, 32, 127))
    assert not store.holds(Rect(32, 64, 64, 128))


def test_a_cut_off_part_is_not_held(store, samples):
    """As a disk that was full, or a machine that stopped, may leave it."""
    store.write(PART, samples, 0)
    os.truncate(store.path(PART), samples.nbytes // 2)
    assert not store.holds(PART)


def test_an_unfinished_part_is_not_held(store, samples):
    store.write(PART, samples, 0)
    store.path(PART).rename(store.path(PART).with_suffix(".tmp"))
    assert not store.holds(PART)


def test_clear_spares_the_parts_of_others(store, samples):
    other = PartStore(store.folder.with_name("other"), 3, "uint16")
    for each in (store, other):
        each.write(PART, samples, 0)
    store.clear()
    assert other.holds(PART)
    other.clear()
    assert not store.folder.parent.exists()
    other.clear()  # nothing there is fine


def test_stale_jobs_are_removed(store, samples):
    old = PartStore(store.folder.with_name("old"), 3, "uint16")
    for each in (store, old):
        each.write(PART, samples, 0)
    remove_stale(store.folder.parent, keep="job")
    assert store.holds(PART)
    assert not old.folder.exists()


def test_digest_knows_files_and_settings(tmp_path):
    file = tmp_path / "ms.tif"
    file.write_bytes(b"abc")
    digest = job_digest([str(file)], {"method": "gs"})
    assert digest == job_digest([str(file)], {"method": "gs"})
    assert digest != job_digest([str(file)], {"method": "gsa"})
    file.write_bytes(b"abcd")
    longer = job_digest([str(file)], {"method": "gs"})
    os.utime(file, ns=(0, 1))
    assert len({digest, longer, job_digest([str(file)], {"method": "gs"})}) == 3
    assert job_digest(["/vsicurl/https://example.org/ms.tif"], {}) != job_digest(
        ["/vsicurl/https://example.org/b.tif"], {}
    )


def test_digest_does_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "ms.tif").write_bytes(b"abc")
    absolute = job_digest([str(tmp_path / "ms.tif")], {})
    monkeypatch.chdir(tmp_path)
    assert job_digest(["ms.tif"], {}) == absolute
