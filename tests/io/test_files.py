"""Files are whole or not there."""

from __future__ import annotations

import errno
import os

import pytest

from fusioncli.errors import DataError
from fusioncli.io.files import check_writable, whole_file, write_failure


def test_whole_file_appears_at_once(tmp_path):
    path = tmp_path / "result.tif"
    with whole_file(path) as temporary:
        temporary.write_bytes(b"abc")
        assert not path.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tif"
    assert path.read_bytes() == b"abc"
    assert list(tmp_path.iterdir()) == [path]


def test_whole_file_replaces(tmp_path):
    path = tmp_path / "result.tif"
    path.write_bytes(b"old")
    with whole_file(path, tmp_path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_temporary_file_may_lie_elsewhere(tmp_path):
    (tmp_path / "parts").mkdir()
    with whole_file(tmp_path / "result.tif", tmp_path / "parts") as temporary:
        temporary.write_bytes(b"abc")
        assert temporary.parent == tmp_path / "parts"
    assert (tmp_path / "result.tif").read_bytes() == b"abc"


@pytest.mark.parametrize("failure", [RuntimeError("half way"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_failure(tmp_path, failure):
    path = tmp_path / "result.tif"
    path.write_bytes(b"old")
    with pytest.raises(type(failure)), whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        raise failure
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"disk of .* is full"), whole_file(tmp_path / "result.tif") as temporary:
        temporary.write_bytes(b"new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_other_failures_name_the_file(tmp_path):
    error = write_failure(tmp_path / "result.tif", PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    assert error.message == f"{tmp_path / 'result.tif'} cannot be written (Permission denied)"


def test_room_is_measured_on_the_disk_of_the_folder(tmp_path):
    check_writable(tmp_path / "result.tif", False, 1)
    with pytest.raises(DataError, match="1000000000000 MB are needed"):
        check_writable(tmp_path / "result.tif", False, 10**18)


def test_name_without_folder_is_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_writable(type(tmp_path)("result.tif"), False, 1)


def test_dangling_link_is_written_through(tmp_path):
    """A link to a file that does not exist yet is no existing file; the rename replaces the link itself."""
    link = tmp_path / "result.tif"
    link.symlink_to(tmp_path / "nowhere")
    check_writable(link, False, 1)
    with whole_file(link) as temporary:
        temporary.write_bytes(b"abc")
    assert link.read_bytes() == b"abc"
