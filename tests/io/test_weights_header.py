"""Files of weights without torch: layout, digests, flaws; the safetensors library is the reference."""

import hashlib
import json
import struct

import numpy as np
import pytest
import safetensors.numpy

from fusioncli.config.identity import Identity
from fusioncli.errors import DataError
from fusioncli.io.weights import (
    KEY,
    RawTensor,
    count_non_finite,
    file_sha256,
    read_header,
    weight_files,
    write_tensors,
)

IDENTITY = Identity(arch="pnn", bands=4, ratio=4, value_max=2047, licence="© €")
NAMES = {"float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64", "uint8": "U8", "bool": "BOOL"}


def raw(array, dtype=None):
    return RawTensor(dtype or NAMES[array.dtype.name], array.shape, memoryview(np.ravel(array).view(np.uint8)))


@pytest.fixture
def arrays():
    rng = np.random.default_rng(3)
    return {
        "b.weight": rng.normal(size=(3, 4, 5)).astype(np.float32),
        "a.bias": rng.normal(size=3),
        "flag": np.array([True, False, True]),
        "half": rng.normal(size=7).astype(np.float16),
        "steps": np.array(7, np.int64),
        "none": np.zeros((0, 3), np.float32),
        "bytes": rng.integers(0, 256, 5).astype(np.uint8),
    }


@pytest.fixture
def path(tmp_path, arrays):
    path = tmp_path / "w.safetensors"
    write_tensors(path, {name: raw(array) for name, array in arrays.items()}, IDENTITY)
    return path


def parts(content):
    """Header as a dict, and the tensors' bytes."""
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def assemble(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_the_library_reads_what_is_written(path, arrays):
    read = safetensors.numpy.load_file(path)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


def test_what_the_library_writes_is_read(tmp_path, arrays):
    path = tmp_path / "theirs.safetensors"
    safetensors.numpy.save_file(arrays, path, {"format": "pt", KEY: IDENTITY.to_json()})
    header = read_header(path)
    content = path.read_bytes()
    assert header.identity == IDENTITY
    assert set(header.tensors) == set(arrays)
    for name, tensor in header.tensors.items():
        assert (tensor.dtype, tensor.shape) == (NAMES[arrays[name].dtype.name], arrays[name].shape)
        assert content[tensor.start : tensor.end] == arrays[name].tobytes()


def test_there_and_back(path, arrays):
    header = read_header(path)
    assert header.identity == IDENTITY
    assert header.metadata["format"] == "pt"
    assert header.parameters == sum(array.size for array in arrays.values())
    assert all(tensor.start % np.dtype(arrays[name].dtype).itemsize == 0 for name, tensor in header.tensors.items())


def test_equal_weights_give_equal_files(path, arrays, tmp_path):
    again = tmp_path / "again.safetensors"
    digest = write_tensors(again, {name: raw(arrays[name]) for name in reversed(arrays)}, IDENTITY)
    assert again.read_bytes() == path.read_bytes()
    assert digest == file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_nothing_is_left_of_a_failed_write(tmp_path, arrays):
    with pytest.raises(DataError, match="cannot be written"):
        write_tensors(tmp_path / "no" / "w.safetensors", {"a": raw(arrays["a.bias"])}, IDENTITY)
    bad = RawTensor("F64", (3,), memoryview(np.zeros((4, 2), np.uint8).T))  # not contiguous: fails while writing
    with pytest.raises(BufferError):
        write_tensors(tmp_path / "w.safetensors", {"a": bad}, IDENTITY)
    assert list(tmp_path.iterdir()) == []


def test_truncation_anywhere_is_an_error(path):
    content = path.read_bytes()
    for length in [*range(0, len(content), 5), *range(12), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(DataError) as caught:
            read_header(path)
        expected = "is truncated" if length > 8 else "is not a safetensors file"
        assert expected in caught.value.message, length
        assert caught.value.hint and caught.value.exit_code == 3


def test_trailing_bytes_are_an_error(path):
    path.write_bytes(path.read_bytes() + b"xx")
    with pytest.raises(DataError, match="2 bytes after"):
        read_header(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["b.weight"].update(shape=[3, 4, 6]), "tensor b.weight is not where"),
        (lambda h: h["b.weight"].update(shape=[3, -4, 5]), "corrupt"),
        (lambda h: h["b.weight"].update(dtype="F7"), "unknown type F7"),
        (lambda h: h["b.weight"].update(data_offsets=[8, 4]), "not where"),
        (lambda h: h["b.weight"].update(data_offsets=[0]), "corrupt"),
        (lambda h: h["b.weight"].update(extra=1), "corrupt"),
        (lambda h: h["b.weight"].pop("dtype"), "corrupt"),
        (lambda h: h.update({"b.weight": 3}), "corrupt"),
        (lambda h: h.update(__metadata__={"a": 1}), "corrupt"),
        (lambda h: h.pop("half"), "not where"),
    ],
)
def test_corrupt_headers(path, change, message):
    header, data = parts(path.read_bytes())
    change(header)
    path.write_bytes(assemble(header, data))
    with pytest.raises(DataError, match=message):
        read_header(path)


@pytest.mark.parametrize("text", [b"{nonsense", b'{"a": \xff}', b"{}]"])
def test_headers_that_are_no_json(path, text):
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(DataError, match=r"header of .* is corrupt"):
        read_header(path)


def test_other_files(tmp_path):
    file = tmp_path / "x"
    for content, hint in ((b"", "again"), (b"PK\x03\x04" * 9, "fusion weights import"), (b"\x80\x02" * 9, "import")):
        file.write_bytes(content)
        with pytest.raises(DataError, match="is not a safetensors file") as caught:
            read_header(file)
        assert hint in caught.value.hint
    for missing in (tmp_path / "nope", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_header(missing)
        with pytest.raises(DataError, match="cannot be read"):
            file_sha256(missing)


def test_identity_missing_or_broken(tmp_path, arrays):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(arrays, path)
    with pytest.raises(DataError, match="has no identity") as caught:
        _ = read_header(path).identity
    assert "fusion weights import" in caught.value.hint
    safetensors.numpy.save_file(arrays, path, {KEY: "{"})
    with pytest.raises(DataError, match=r"identity in .*x\.safetensors is corrupt JSON"):
        _ = read_header(path).identity


def test_non_finite_values_are_counted(tmp_path):
    large = np.zeros(3_000_000, np.float32)  # several chunks
    large[[0, 1_500_000, -1]] = np.nan, np.inf, -np.inf
    brain = np.array([0x7F80, 0xFFC1, 0x3F80, 0x7F7F], np.uint16)  # inf, NaN, 1.0, the largest number
    tensors = {
        "large": raw(large),
        "brain": raw(brain, "BF16"),
        "half": raw(np.array([np.nan, 65504], np.float16)),
        "double": raw(np.array([1e308, -1e308])),
        "whole": raw(np.array([-1, 2**62])),
        "empty": raw(np.zeros(0, np.float32)),
    }
    write_tensors(tmp_path / "x.safetensors", tensors, IDENTITY)
    assert count_non_finite(read_header(tmp_path / "x.safetensors")) == {"large": 3, "brain": 2, "half": 1}


def test_files_of_folders(tmp_path):
    for name in ("b/2.safetensors", "b/1.safetensors", "a/9.safetensors", "a/x.pth"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = weight_files([tmp_path / "b", tmp_path / "missing", tmp_path / "a"])
    assert [path.name for path in found] == ["1.safetensors", "2.safetensors", "9.safetensors"]
