"""Weights that others have published as PyTorch files: unwrap, rename, compare with our network."""

from __future__ import annotations

import difflib
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.errors import DataError, UsageError
from fusioncli.io.weights import SUFFIX, file_sha256, read_header
from fusioncli.models.panadapter import official
from fusioncli.models.weights import Match, listed, match

Tensors = dict[str, Tensor]

_WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net", "network")
"""Keys that hold the tensors of a training framework's file, the averaged ones first."""
_PREFIXES = ("module.", "_orig_mod.", "model.")
"""What data-parallel, compiled and wrapped networks put before every name."""
_NAMED_DIGEST = re.compile(r"-(?=[0-9]*[a-f])([0-9a-f]{8,64})\.\w+$")
"""The beginning of a file's SHA-256 in its name, as torch.hub has it; figures alone may be a date."""


@dataclass(frozen=True)
class Facts:
    """What a foreign file does not say.

    Attributes:
        ratio: PAN pixels per MS pixel.
        value_max: DN that was mapped to 1.
        sensor: whose images it learned from.
        upsampler: how the MS came to the PAN grid.
        licence: of the training data.
    """

    ratio: int
    value_max: float
    sensor: str | None = None
    upsampler: str | None = None
    licence: str = ""

    def identity(self, model: ModelConfig) -> Identity:
        """Of full weights of a network."""
        known = {"value_max": self.value_max, "sensor": self.sensor, "upsampler": self.upsampler}
        return Identity.of_model(model, licence=self.licence, **known)


@dataclass(frozen=True)
class Importer:
    """How one architecture's foreign weights become ours.

    Attributes:
        rename: foreign tensors, unwrapped, to our names; it may drop, split and join.
        describe: our tensors, and what the file does not say, to their identity.
        shapes: the names and shapes that a network of this identity wants.
    """

    rename: Callable[[Tensors], Tensors]
    describe: Callable[[Tensors, Facts], Identity]
    shapes: Callable[[Identity], Mapping[str, Sequence[int]]]


IMPORTERS: dict[str, Importer] = {
    "edsr": Importer(official.rename_edsr, official.describe_edsr, official.edsr_shapes),
    "ipt": Importer(official.rename_ipt, official.describe_ipt, official.ipt_shapes),
}
"""By name of the architecture, or of the backbone."""


@dataclass(frozen=True)
class Imported:
    """Foreign weights in our words.

    Attributes:
        tensors: what fits the network, by our names.
        identity: of full weights.
        match: what fits; nothing is missing, something may be unexpected and was left out.
    """

    tensors: Tensors
    identity: Identity
    match: Match


def find_importer(arch: str) -> Importer:
    """The importer of an architecture.

    Raises:
        UsageError: there is none; the hint gives the nearest name.
    """
    if found := IMPORTERS.get(arch):
        return found
    near = difflib.get_close_matches(arch, IMPORTERS, n=1)
    known = ", ".join(sorted(IMPORTERS)) or "none yet"
    raise UsageError(
        f"weights of '{arch}' cannot be imported", f"{f'did you mean {near[0]}? ' if near else ''}Known: {known}"
    )


def import_weights(arch: str, path: Path, facts: Facts) -> Imported:
    """Read a foreign file as weights of one architecture.

    Raises:
        UsageError: unknown architecture.
        DataError: the file cannot be read safely, or does not hold all that the network wants.
    """
    importer = find_importer(arch)
    foreign = read_foreign(path)
    _check_named_digest(path)
    try:
        tensors = importer.rename(foreign)
        identity = importer.describe(tensors, facts)
    except (KeyError, IndexError) as error:
        text = f"{path} does not look like weights of '{arch}': no tensor {error}; it holds {listed(list(foreign))}"
        raise DataError(text, "name the right architecture: fusion weights import ARCH FILE") from error
    found = match(importer.shapes(identity), tensors)
    if found.missing or found.misshapen:
        text = f"{path} does not fit '{arch}' ({len(found.matched)} tensors match): {found.misfits()}"
        raise DataError(text, "name the right architecture, or the ratio, bands and scale the file was trained for")
    return Imported({name: tensors[name] for name in found.matched}, identity, found)


def _check_named_digest(path: Path) -> None:
    if (named := _NAMED_DIGEST.search(path.name)) and not (digest := file_sha256(path)).startswith(named[1]):
        text = f"{path} says that its SHA-256 begins with {named[1]}, and it is {digest}"
        raise DataError(text, "download it again; if it is the right file, give it a name without digest")


def read_foreign(path: Path) -> Tensors:
    """The tensors of a `.pth` or `.safetensors` file, without what training frameworks wrap around them.

    No code in the file is run (`weights_only`).

    Raises:
        DataError: missing, corrupt, or more than tensors.
    """
    if path.suffix == SUFFIX:
        read_header(path)
        return unwrap(load_file(path), str(path))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}", "check the path") from error
    except pickle.UnpicklingError as error:
        text = f"{path} holds objects that are not tensors, or is no PyTorch file; reading them could run its code"
        hint = "where you trust it: torch.save(network.state_dict(), FILE), then import that"
        raise DataError(text, hint) from error
    except Exception as error:  # a corrupt pickle makes torch's reader fail in any way
        raise DataError(f"{path} is not a readable PyTorch file: {error}", "copy or download it again") from error
    return unwrap(content, str(path))


def unwrap(content: Any, source: str) -> Tensors:  # noqa: ANN401 - whatever was pickled
    """Strip the dictionaries and name prefixes around tensors.

    Args:
        content: what `torch.load` gave.
        source: what to call it in an error.

    Raises:
        DataError: there are no tensors inside.
    """
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    named = content.items() if isinstance(content, Mapping) else ()
    tensors = {str(name): value for name, value in named if isinstance(value, Tensor)}
    if not tensors:
        raise DataError(f"{source} holds no tensors by name", "save network.state_dict(), then import that")
    while prefix := next((p for p in _PREFIXES if all(name.startswith(p) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors
