"""Weights by name, and their way into the cache: a local server plays the internet."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fusioncli.errors import DataError, UsageError
from fusioncli.io import downloads
from fusioncli.io.downloads import REMOTES, Remote, cache_folder, fetch, find_weights

CONTENT = b"weights, as far as a download goes" * 1000
NAME = "net.safetensors"


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT at /net.safetensors."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200 if self.path == f"/{NAME}" else 404)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *args):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "cache"


@pytest.fixture
def remote(cache):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    Server.asked = 0
    url = f"http://127.0.0.1:{server.server_port}/{NAME}"
    yield Remote(url, hashlib.sha256(CONTENT).hexdigest(), "a network")
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetched_once(remote, cache):
    path = fetch(NAME, remote)
    assert path == cache / NAME and path.read_bytes() == CONTENT
    assert fetch(NAME, remote) == path and Server.asked == 1


def test_a_damaged_copy_is_fetched_again(remote, cache):
    cache.mkdir()
    (cache / NAME).write_bytes(CONTENT[:-1])
    assert fetch(NAME, remote).read_bytes() == CONTENT and Server.asked == 1


def test_a_file_with_another_digest_is_thrown_away(remote, cache):
    with pytest.raises(DataError, match=f"is not the file with the SHA-256 {'0' * 64}") as caught:
        fetch(NAME, replace(remote, sha256="0" * 64))
    assert str(cache) in caught.value.hint
    assert list(cache.iterdir()) == []


def test_offline(remote, cache):
    with pytest.raises(DataError, match="no connection") as caught:
        fetch(NAME, replace(remote, url=f"http://127.0.0.1:9/{NAME}"))
    assert str(cache) in caught.value.hint and caught.value.exit_code == 3
    with pytest.raises(DataError, match="the server answers 404"):
        fetch(NAME, replace(remote, url=f"{remote.url}x"))
    assert list(cache.iterdir()) == []


def test_offline_with_a_good_copy_is_no_matter(remote, cache):
    cache.mkdir()
    (cache / NAME).write_bytes(CONTENT)
    assert fetch(NAME, replace(remote, url=f"http://127.0.0.1:9/{NAME}")) == cache / NAME


def test_a_cache_that_cannot_be(remote, cache, monkeypatch):
    cache.write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cache folder .*cache cannot be made") as caught:
        fetch(NAME, remote)
    assert "FUSION_CACHE" in caught.value.hint


def test_the_cache_folder(cache, monkeypatch):
    assert cache_folder() == cache
    monkeypatch.delenv("FUSION_CACHE")
    assert cache_folder().name == "fusioncli"


def test_weights_are_found_by_path_name_and_fetch(remote, cache, tmp_path, monkeypatch):
    (tmp_path / "packaged").mkdir()
    monkeypatch.setattr(downloads, "PACKAGED", tmp_path / "packaged")
    packaged = tmp_path / "packaged" / "small.safetensors"
    packaged.touch()
    assert find_weights(str(packaged)) == packaged
    assert find_weights("small") == find_weights("small.safetensors") == packaged
    assert find_weights("net", {NAME: remote}) == cache / NAME
    assert find_weights("net") == cache / NAME  # it is there now, whoever knows its address
    with pytest.raises(UsageError, match="no weights smal") as caught:
        find_weights("smal")
    assert caught.value.hint == "did you mean small?"
    with pytest.raises(UsageError) as caught:
        find_weights("entirely-different")
    assert "fusion weights ls" in caught.value.hint


def test_every_address_is_complete():
    for name, remote in REMOTES.items():
        assert name.endswith(".safetensors") and remote.url.startswith("https://") and len(remote.sha256) == 64
