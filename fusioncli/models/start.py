"""Where a network's weights start from: a file of all of them, files of its frozen parts; the rest is fresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from fusioncli.config.identity import Base
from fusioncli.config.recipe import ModelConfig, StartConfig
from fusioncli.errors import DataError, UsageError
from fusioncli.models.networks import build_network
from fusioncli.models.weights import Weights, listed, load_weights, match

WEIGHTS = "weights"
"""Name of the file of a whole network among the others, which are called as the backbones."""
_BODY = "body."
"""What a backbone's tensors are called in its own file; below it everything must have its place."""


@dataclass(frozen=True)
class Origin:
    """What the weights of a network came from.

    Attributes:
        files: name and digest of each file, by `weights` or the backbone's name; those that the files themselves came
            from included.
        notes: what was taken from where, what is fresh, what was left out; for the user.
    """

    files: dict[str, Base] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def start_network(model: ModelConfig, start: StartConfig) -> tuple[nn.Module, Origin]:
    """Build the network of a recipe and fill it from files.

    Args:
        model: what to build, with fresh weights of torch's global generator.
        start: which files.

    Returns:
        The network on the CPU, and where its weights came from.

    Raises:
        DataError: a file is unusable, does not fit, was made on another backbone, or a frozen tensor is in no file.
        UsageError: the network has no such backbone.
    """
    network = build_network(model)
    return network, fill_from(network, start, model.options.model_dump(mode="json"))


def fill_from(network: nn.Module, start: StartConfig, settings: Mapping[str, Any]) -> Origin:
    """Fill a network; see `start_network`.

    Args:
        network: its `backbones`, if it has that attribute, say by a backbone's name which prefixes the backbone's
            tensors have here, and which in the backbone's own file.
        start: which files.
        settings: its options. Those called as a backbone must be equal in the backbone's file, and where
            `allow_random_backbone` is true, backbones that are in no file stay as they are.
    """
    filling = _Filling(network, settings)
    if start.weights is not None:
        filling.take_weights(Path(start.weights))
    for name, file in start.backbones.items():
        filling.take_backbone(name, Path(file))
    filling.check_frozen()
    filling.tell_fresh()
    return Origin(filling.files, tuple(filling.notes))


class _Filling:
    """A network that is being filled.

    Attributes:
        files: as in `Origin`.
        notes: as in `Origin`.
    """

    def __init__(self, network: nn.Module, settings: Mapping[str, Any]) -> None:
        self._network, self._settings = network, settings
        self._wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
        self._backbones: Mapping[str, Mapping[str, str]] = cast(Any, getattr(network, "backbones", {}))
        self._filled: set[str] = set()
        self.files: dict[str, Base] = {}
        self.notes: list[str] = []

    def take_weights(self, path: Path) -> None:
        """Take what has the names of the network's own tensors."""
        weights = load_weights(path)
        found = match(self._wanted, weights.tensors)
        if found.misshapen or not found.matched:
            odd = f"{len(found.misshapen)} of another shape: {listed(found.misshapen)}"
            text = f"{path} does not fit the network: {odd if found.misshapen else 'no tensor is one of its'}"
            raise DataError(text, f"what the file is for: fusion weights show {path}")
        for name, base in weights.identity.start.items():
            if name != WEIGHTS:
                self._note_file(name, base, path)
        self._note_file(WEIGHTS, Base(name=path.name, sha256=weights.sha256), path)
        self._copy({name: weights.tensors[name] for name in found.matched})
        self.notes.append(f"{len(found.matched)} tensors from {path}")
        if found.unexpected:
            self.notes.append(f"{len(found.unexpected)} tensors of {path} have no place: {listed(found.unexpected)}")

    def take_backbone(self, name: str, path: Path) -> None:
        """Take a backbone's tensors to every place where the network has them."""
        if name not in self._backbones:
            known = ", ".join(self._backbones) or "none"
            raise UsageError(f"start.backbones names {name}, the network's backbones are: {known}", "leave it out")
        weights, count = load_weights(path), 0
        self._check_settings(name, weights)
        for ours, theirs in self._backbones[name].items():
            part = {ours + k.removeprefix(theirs): v for k, v in weights.tensors.items() if k.startswith(theirs)}
            found = match({key: size for key, size in self._wanted.items() if key.startswith(ours)}, part)
            if found.missing or found.misshapen or (found.unexpected and theirs == _BODY):
                text = f"{path} does not fit the backbone {name}: {found.misfits()}"
                raise DataError(text, f"what the file is for: fusion weights show {path}")
            self._copy({key: part[key] for key in found.matched})
            count += len(found.matched)
        if count:  # the first stage has no place for a backbone of the second
            self._note_file(name, Base(name=path.name, sha256=weights.sha256), path)
            self.notes.append(f"{count} tensors of the backbone {name} from {path}")

    def check_frozen(self) -> None:
        """Refuse frozen tensors that nobody has trained (DataError), but, if allowed, those of backbones."""
        frozen = [name for name, parameter in self._network.named_parameters() if not parameter.requires_grad]
        lost = [name for name in frozen if name not in self._filled]
        own = {name: self._backbone_of(name) for name in lost}
        if others := [name for name in lost if own[name] is None]:
            raise DataError(
                f"{len(others)} frozen tensors are in no file: {listed(others)}",
                "they are trained in the stage before: give its weights, --set start.weights=FILE",
            )
        if lost and not self._settings.get("allow_random_backbone"):
            names = sorted({str(name) for name in own.values()})
            raise DataError(
                f"{len(lost)} frozen tensors of the backbone {' and '.join(names)} are in no file: {listed(lost)}",
                f"give it: --set start.backbones.{names[0]}=FILE (docs/weights.md says where from)",
            )
        if lost:
            self.notes.append(f"{len(lost)} frozen tensors are random: the result is good for trials only")

    def tell_fresh(self) -> None:
        """Note which trained tensors no file had, where there was a file of the whole network."""
        trained = [name for name, parameter in self._network.named_parameters() if parameter.requires_grad]
        fresh = [name for name in trained if name not in self._filled]
        if fresh and WEIGHTS in self.files:
            self.notes.append(f"{len(fresh)} tensors start fresh: {listed(fresh)}")

    def _check_settings(self, name: str, weights: Weights) -> None:
        """Sizes that shapes do not show, such as the number of heads, count too."""
        ours, theirs = self._settings.get(name), weights.identity.arch_config.get(name)
        if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
            return
        for key, value in theirs.items():
            if ours.get(key) != value:
                setting = f"model.options.{name}.{key}"
                text = f"{weights.path} has {name}.{key} {value}, the recipe's {setting} is {ours.get(key)}"
                raise DataError(text, f"--set {setting}={value}, or another file")

    def _copy(self, tensors: Mapping[str, Tensor]) -> None:
        places = self._network.state_dict()
        with torch.no_grad():
            for name, tensor in tensors.items():
                places[name].copy_(tensor)
        self._filled |= tensors.keys()

    def _note_file(self, name: str, base: Base, path: Path) -> None:
        known = self.files.setdefault(name, base)
        if known.sha256 != base.sha256:
            raise DataError(
                f"the weights to start from were trained on the {name} {known.name} with SHA-256 {known.sha256}; "
                f"{path} has {base.sha256}",
                f"give the same {name} as in the stage before",
            )

    def _backbone_of(self, tensor: str) -> str | None:
        return next((name for name, places in self._backbones.items() if tensor.startswith(tuple(places))), None)
