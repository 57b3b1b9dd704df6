"""Files of weights, byte by byte and without torch: the safetensors layout, its header, digests and flaws.

Layout: eight bytes, little-endian, the length N of the header; N bytes of JSON (name: dtype, shape and offsets;
`__metadata__`: texts); the tensors' bytes without holes. The writer here is ours because the library's puts
the metadata in an order that varies from run to run, and an adapter knows its base by the digest of the file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from fusioncli.config.identity import Identity, parse_identity
from fusioncli.errors import DataError
from fusioncli.io.files import whole_file

SUFFIX = ".safetensors"
KEY = "fusioncli"
"""Of our JSON in the file's metadata."""

ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
_FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
_BF16_EXPONENT = 0x7F80  # all ones: infinite or NaN
_CHUNK_BYTES = 1 << 22
_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies.

    Attributes:
        dtype: safetensors' name, such as "F32".
        shape: any number of axes, none for a single number.
        start: first byte, counted from the beginning of the file.
        end: one past its last byte.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file holds.

    Attributes:
        path: of the file.
        tensors: by name, in the order of their bytes.
        metadata: all texts, ours among them.
    """

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def identity(self) -> Identity:
        """What the file says of itself.

        Raises:
            DataError: nothing, or nothing that can be read.
        """
        if KEY not in self.metadata:
            hint = f"give it one: fusion weights import ARCH {self.path}"
            raise DataError(f"{self.path} has no identity: fusion did not write it", hint)
        return parse_identity(self.metadata[KEY], str(self.path))


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    dtype: str
    shape: list[Annotated[int, Field(ge=0)]]
    data_offsets: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


_ENTRIES = TypeAdapter(dict[str, _Entry])
_METADATA = TypeAdapter(dict[str, str])


def read_header(path: Path) -> Header:
    """Read and check all that a file says about its tensors, without reading them.

    Raises:
        DataError: missing, unreadable, truncated, corrupt, or no safetensors file.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            start = 8 + int.from_bytes(file.read(8), "little")
            first = file.read(1)
            text = first + file.read(start - 9) if start <= size else b""
    except OSError as error:
        raise _unreadable(path, error) from error
    if first != b"{":
        _not_safetensors(path)
    if start > size:
        raise DataError(f"{path} is truncated: {size} bytes, and its header alone takes {start}", _AGAIN)
    try:
        contents = json.loads(text)
        metadata = _METADATA.validate_python(contents.pop("__metadata__", {}))
        entries = _ENTRIES.validate_python(contents)
    except ValueError as error:  # JSON's, Unicode's and pydantic's errors all are
        raise DataError(f"the header of {path} is corrupt", _AGAIN) from error
    tensors = {
        name: Tensor(entry.dtype, tuple(entry.shape), *(start + offset for offset in entry.data_offsets))
        for name, entry in entries.items()
    }
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)))
    _check_layout(path, ordered, start, size)
    return Header(path, ordered, metadata)


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be read ({error.strerror})", "see what there is: fusion weights ls")


def _not_safetensors(path: Path) -> NoReturn:
    with path.open("rb") as file:
        pickled = file.read(2) in (b"PK", b"\x80\x02")
    hint = f"it looks like a PyTorch file: fusion weights import ARCH {path}" if pickled else _AGAIN
    raise DataError(f"{path} is not a safetensors file", hint)


def _check_layout(path: Path, tensors: Mapping[str, Tensor], start: int, size: int) -> None:
    """Every byte belongs to one tensor, and every tensor has the bytes of its shape."""
    position = start
    for name, tensor in tensors.items():
        if tensor.dtype not in ITEM_BYTES:
            raise DataError(f"{path}: tensor {name} has the unknown type {tensor.dtype}", "convert it to F32 or BF16")
        wanted = math.prod(tensor.shape) * ITEM_BYTES[tensor.dtype]
        if tensor.start != position or tensor.end - tensor.start != wanted:
            raise DataError(f"the header of {path} is corrupt: tensor {name} is not where it should be", _AGAIN)
        position = tensor.end
    if size < position:
        raise DataError(f"{path} is truncated: {size} of {position} bytes", _AGAIN)
    if size > position:
        raise DataError(f"{path} is corrupt: {size - position} bytes after the last tensor", _AGAIN)


def file_sha256(path: Path) -> str:
    """Digest of all bytes of a file, in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


@dataclass(frozen=True)
class RawTensor:
    """A tensor's bytes.

    Attributes:
        dtype: safetensors' name.
        shape: of the tensor.
        data: its bytes: little-endian values in C order.
    """

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def write_tensors(path: Path, tensors: Mapping[str, RawTensor], identity: Identity) -> str:
    """Write a file that is whole or not there; equal tensors and identity give equal bytes.

    Returns:
        The file's SHA-256.

    Raises:
        DataError: the disk is full or the folder cannot be written to.
    """
    order = sorted(tensors, key=lambda name: (-ITEM_BYTES[tensors[name].dtype], name))  # so that all are aligned
    header: dict[str, object] = {"__metadata__": {"format": "pt", KEY: identity.to_json()}}
    position = 0
    for name in order:
        tensor = tensors[name]
        end = position + tensor.data.nbytes
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with whole_file(path) as temporary, temporary.open("wb") as file:
        for piece in (len(text).to_bytes(8, "little"), text, *(tensors[name].data for name in order)):
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def count_non_finite(header: Header) -> dict[str, int]:
    """How many values are NaN or infinite, for each tensor that has any.

    Raises:
        DataError: the file has changed meanwhile and cannot be read.
    """
    counts = {name: sum(_non_finite(chunk) for chunk in _chunks(header.path, t)) for name, t in header.tensors.items()}
    return {name: count for name, count in counts.items() if count}


def _chunks(path: Path, tensor: Tensor) -> Iterator[NDArray]:
    """The values of a float tensor, a few MB at a time; bfloat16 as uint16. Nothing of other types."""
    dtype = np.dtype(np.uint16 if tensor.dtype == "BF16" else _FLOATS.get(tensor.dtype, np.void))
    if dtype == np.void:
        return
    for start in range(tensor.start, tensor.end, _CHUNK_BYTES):
        count = min(_CHUNK_BYTES, tensor.end - start) // dtype.itemsize
        yield np.fromfile(path, dtype, count, offset=start)


def _non_finite(values: NDArray) -> int:
    if values.dtype == np.uint16:
        return int(np.count_nonzero((values & _BF16_EXPONENT) == _BF16_EXPONENT))
    return int(values.size - np.count_nonzero(np.isfinite(values)))


def weight_files(folders: Sequence[Path]) -> list[Path]:
    """All files of weights in some folders, by name; folders that do not exist hold none."""
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.glob(f"*{SUFFIX}"))]
