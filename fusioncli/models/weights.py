"""Weights of networks: save, load, fill a network; adapters, which are what training changed in a base."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fusioncli.config.identity import Base, Identity
from fusioncli.errors import DataError
from fusioncli.io.downloads import PACKAGED, cache_folder
from fusioncli.io.weights import RawTensor, file_sha256, read_header, write_tensors

_DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}
_MOST_NAMES = 10


@dataclass(frozen=True)
class Weights:
    """Tensors that fill a network, and what is known of them.

    Attributes:
        path: the file they come from.
        identity: what it says of itself.
        sha256: its digest; of an adapter's own file, not of its base.
        tensors: by name, on the CPU; an adapter's are complete, its base's included.
    """

    path: Path
    identity: Identity
    sha256: str
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Match:
    """How the names and shapes of tensors fit those of a network.

    Attributes:
        matched: names that fit.
        missing: the network has them, the tensors do not.
        unexpected: the other way round.
        misshapen: "name (its shape, not the wanted one)".
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def misfits(self) -> str:
        """Everything that does not fit, in words; empty if all fits."""
        groups = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": self.misshapen}
        return "; ".join(f"{len(names)} {what}: {listed(names)}" for what, names in groups.items() if names)


def listed(names: Sequence[str]) -> str:
    """Names for a message; many are cut short."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def match(wanted: Mapping[str, Sequence[int]], tensors: Mapping[str, Tensor]) -> Match:
    """Compare tensors with the names and shapes that a network wants."""
    shared = [name for name in wanted if name in tensors]
    odd = [name for name in shared if tuple(tensors[name].shape) != tuple(wanted[name])]
    return Match(
        tuple(name for name in shared if name not in odd),
        tuple(name for name in wanted if name not in tensors),
        tuple(name for name in tensors if name not in wanted),
        tuple(f"{name} ({_size(tensors[name].shape)}, not {_size(wanted[name])})" for name in odd),
    )


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def save_weights(path: Path, tensors: Mapping[str, Tensor], identity: Identity) -> str:
    """Write full or merged weights; the file is whole or not there.

    Args:
        path: a file that is replaced if it exists.
        tensors: such as a network's `state_dict()`, on any device.
        identity: of kind "full" or "merged"; adapters have `save_adapter`.

    Returns:
        The file's SHA-256; equal tensors and identity give equal files.

    Raises:
        DataError: the disk is full or the folder cannot be written to.
    """
    if identity.kind == "adapter":
        raise ValueError("an adapter is saved with save_adapter")
    return _write(path, tensors, identity)


def save_adapter(
    path: Path, tensors: Mapping[str, Tensor], identity: Identity, base: Weights, trained: Collection[str] = ()
) -> str:
    """Write only what differs, in any bit, from a base; loading both gives `tensors` again, bit for bit.

    Args:
        path: a file that is replaced if it exists.
        tensors: of the whole trained network.
        identity: its kind and base are filled in here.
        base: what training started from; its names are a subset of those of `tensors`.
        trained: names of tensors that are written whether they differ or not.

    Returns:
        The file's SHA-256.

    Raises:
        DataError: the base is an adapter itself or holds what the network lacks, nothing differs, or the file
            cannot be written.
    """
    if base.identity.kind == "adapter":
        raise DataError(f"the base {base.path} is an adapter itself", "save it merged and take that as the base")
    if lost := [name for name in base.tensors if name not in tensors]:
        raise DataError(f"the base {base.path} holds what the network lacks: {listed(lost)}", "take its own base")
    changed = {
        name: tensor
        for name, tensor in tensors.items()
        if name in trained or name not in base.tensors or not _same_bits(tensor, base.tensors[name])
    }
    if not changed:
        raise DataError(f"nothing differs from the base {base.path}", "train before saving an adapter")
    own = identity.changed(kind="adapter", base=Base(name=base.path.name, sha256=base.sha256))
    return _write(path, changed, own)


def load_weights(path: Path, arch: str | None = None, base: Path | None = None) -> Weights:
    """Read weights; an adapter is laid over its base.

    Args:
        path: of the file.
        arch: the architecture they must be of; None for any.
        base: of an adapter; None to look beside it, in the cache and among the packaged weights.

    Raises:
        DataError: the file or its base is missing, corrupt, of another architecture or has another digest.
    """
    header = read_header(path)
    identity = header.identity
    if arch not in (None, identity.arch):
        hint = "see what each file is for: fusion weights ls"
        raise DataError(f"{path} holds weights of '{identity.arch}', not of '{arch}'", hint)
    tensors = load_file(path)
    if identity.kind == "adapter":
        assert identity.base is not None  # by its own check
        tensors = load_file(_find_base(path, identity.base, base)) | tensors
    return Weights(path, identity, file_sha256(path), tensors)


def fill(network: nn.Module, weights: Weights) -> None:
    """Copy weights into a network whose names and shapes are exactly theirs.

    Raises:
        DataError: they are not; all differences are named, and the network is as it was.
    """
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if misfits := match(wanted, weights.tensors).misfits():
        hint = "build the network from the file's own settings: fusion weights show FILE"
        raise DataError(f"{weights.path} does not fit the network: {misfits}", hint)
    network.load_state_dict(weights.tensors)


def _find_base(adapter: Path, base: Base, given: Path | None) -> Path:
    folders = (adapter.parent, cache_folder(), PACKAGED)
    found = [path for path in [given or folder / base.name for folder in folders] if path.is_file()]
    if not found:
        places = ", ".join(map(str, folders)) if given is None else str(given)
        text = f"{adapter} needs its base {base.name} (SHA-256 {base.sha256}), which is not in {places}"
        raise DataError(text, f"copy {base.name} to {adapter.parent}")
    digests = {path: file_sha256(path) for path in found}
    if right := next((path for path, digest in digests.items() if digest == base.sha256), None):
        read_header(right)
        return right
    path, digest = next(iter(digests.items()))
    text = f"{adapter} was made for the base {base.name} with SHA-256 {base.sha256}; {path} has {digest}"
    raise DataError(text, f"put the right {base.name} beside the adapter, or train the adapter again on this base")


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Also for NaN (equal to itself here) and for the two zeros (different here)."""
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(_bytes(one), _bytes(other))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8)


def _write(path: Path, tensors: Mapping[str, Tensor], identity: Identity) -> str:
    raw = {name: RawTensor(_DTYPES[t.dtype], tuple(t.shape), _bytes(t).numpy().data) for name, t in tensors.items()}
    return write_tensors(path, raw, identity)
