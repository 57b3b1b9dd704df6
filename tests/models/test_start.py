"""Where weights start from: what is taken, what stays fresh, and what is refused."""

import pytest
import torch
from torch import nn

from fusioncli.config.identity import Base, Identity
from fusioncli.config.recipe import StartConfig
from fusioncli.errors import DataError, UsageError
from fusioncli.models.start import fill_from
from fusioncli.models.weights import load_weights, save_adapter, save_weights

SIZES = {"core": {"width": 3, "heads": 1}}


class Toy(nn.Module):
    """A trained entry and exit around two places of one frozen backbone."""

    def __init__(self, exit_width=2, freeze_entry=False):
        super().__init__()
        self.entry = nn.Linear(4, 3)
        self.one, self.two = nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 3).requires_grad_(False)
        self.exit = nn.Linear(3, exit_width)
        self.entry.requires_grad_(not freeze_entry)
        self.backbones = {"core": {"one.": "body.", "two.": "body."}, "absent": {}}


def identity(**facts):
    return Identity(arch="pnn", bands=4, ratio=4, value_max=2047, **facts)


@pytest.fixture
def core(tmp_path):
    """A backbone's own file, with what only its pre-training needed."""
    torch.manual_seed(1)
    tensors = {"body.weight": torch.rand(3, 3), "body.bias": torch.rand(3), "head.weight": torch.rand(1)}
    save_weights(tmp_path / "core.safetensors", tensors, identity(arch_config=SIZES))
    return tmp_path / "core.safetensors"


def start(weights=None, **backbones):
    files = {name: str(file) for name, file in backbones.items()}
    return StartConfig(weights=None if weights is None else str(weights), backbones=files)


def save(path, network, **facts):
    save_weights(path, network.state_dict(), identity(**facts))
    return path


def test_a_backbone_goes_to_all_its_places(core):
    network, file = Toy(), load_weights(core)
    before = network.entry.weight.clone()
    origin = fill_from(network, start(core=core), SIZES)
    for place in (network.one, network.two):
        assert place.weight.equal(file.tensors["body.weight"]) and place.bias.equal(file.tensors["body.bias"])
    assert network.entry.weight.equal(before)
    assert origin.files == {"core": Base(name="core.safetensors", sha256=file.sha256)}
    assert origin.notes == (f"4 tensors of the backbone core from {core}",)


def test_a_backbone_that_this_stage_lacks_may_be_named(core):
    assert set(fill_from(Toy(), start(core=core, absent=core), {}).files) == {"core"}
    with pytest.raises(UsageError, match="backbones are: core, absent"):
        fill_from(Toy(), start(cor=core), {})


def test_weights_by_name(core, tmp_path):
    first = Toy()
    path = save(tmp_path / "first.safetensors", first, start=fill_from(first, start(core=core), {}).files)
    second = Toy()
    second.exit, second.more = nn.Identity(), nn.Linear(2, 2)
    origin = fill_from(second, start(path), {})
    assert second.entry.weight.equal(first.entry.weight) and second.two.bias.equal(first.two.bias)
    assert set(origin.files) == {"weights", "core"}  # the backbone came with the weights
    assert origin.notes == (
        f"6 tensors from {path}",
        f"2 tensors of {path} have no place: exit.bias, exit.weight",
        "2 tensors start fresh: more.weight, more.bias",
    )


def test_weights_and_the_same_backbone_go_together_and_another_does_not(core, tmp_path):
    first = Toy()
    path = save(tmp_path / "first.safetensors", first, start=fill_from(first, start(core=core), {}).files)
    fill_from(Toy(), start(path, core=core), {})
    tensors = {"body.weight": torch.rand(3, 3), "body.bias": torch.rand(3)}
    save_weights(tmp_path / "other.safetensors", tensors, identity())
    with pytest.raises(DataError, match=r"trained on the core core\.safetensors with SHA-256") as caught:
        fill_from(Toy(), start(path, core=tmp_path / "other.safetensors"), {})
    assert "same core" in caught.value.hint


def test_an_adapter_on_another_base_is_refused(core, tmp_path):
    base = Toy()
    path = save(tmp_path / "base.safetensors", base)
    changed = dict(base.state_dict()) | {"exit.bias": torch.ones(2)}
    adapter = tmp_path / "adapter.safetensors"
    save_adapter(adapter, changed, identity(), load_weights(path))
    network = Toy()
    fill_from(network, start(adapter), {})
    assert network.exit.bias.equal(torch.ones(2)) and network.entry.weight.equal(base.entry.weight)
    save(path, Toy())
    with pytest.raises(DataError, match="was made for the base"):
        fill_from(Toy(), start(adapter), {})


def test_frozen_tensors_must_come_from_somewhere(core):
    with pytest.raises(DataError, match=r"4 frozen tensors of the backbone core are in no file: one\.weight") as caught:
        fill_from(Toy(), start(), SIZES)
    assert "--set start.backbones.core=FILE" in caught.value.hint
    allowed = fill_from(Toy(), start(), SIZES | {"allow_random_backbone": True})
    assert "4 frozen tensors are random" in allowed.notes[0]
    for settings in ({}, {"allow_random_backbone": True}):  # what a stage before trains is never random
        with pytest.raises(DataError, match=r"2 frozen tensors are in no file: entry\.weight, entry\.bias") as caught:
            fill_from(Toy(freeze_entry=True), start(core=core), settings)
        assert "start.weights" in caught.value.hint


def test_what_does_not_fit_is_refused(core, tmp_path):
    path = save(tmp_path / "wide.safetensors", Toy(exit_width=5))
    with pytest.raises(DataError, match=r"exit\.weight \(5x3, not 2x3\)"):
        fill_from(Toy(), start(path, core=core), {})
    save_weights(tmp_path / "alien.safetensors", {"x": torch.ones(1)}, identity())
    with pytest.raises(DataError, match="no tensor is one of its"):
        fill_from(Toy(), start(tmp_path / "alien.safetensors"), {})
    tensors = {"body.weight": torch.rand(3, 4), "body.more": torch.rand(1)}
    save_weights(tmp_path / "odd.safetensors", tensors, identity())
    with pytest.raises(DataError, match=r"1 missing: one\.bias; 1 unexpected: one\.more; 1 of another shape: one"):
        fill_from(Toy(), start(core=tmp_path / "odd.safetensors"), {})


def test_sizes_that_no_shape_shows_count_too(core):
    with pytest.raises(DataError, match=r"has core\.heads 1, the recipe's model\.options\.core\.heads is 3"):
        fill_from(Toy(), start(core=core), {"core": {"width": 3, "heads": 3}})
