"""Weights of networks: there and back, exact keys, and adapters that know their base."""

import copy

import pytest
import safetensors.torch
import torch
from torch import nn

from fusioncli.config.identity import Identity
from fusioncli.errors import DataError
from fusioncli.io.weights import KEY, file_sha256, read_header
from fusioncli.models.weights import Weights, fill, load_weights, match, save_adapter, save_weights

IDENTITY = Identity(arch="pnn", bands=2, ratio=4, value_max=2047, sensor="QB")


class Small(nn.Module):
    """A frozen body, a normalisation with running statistics, and a head."""

    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Conv2d(width, 2, 1)
        self.register_buffer("scale", torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x):
        return self.head(self.norm(self.body(x)).relu())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FUSION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def network():
    torch.manual_seed(1)
    return Small()


@pytest.fixture
def base(tmp_path, network):
    """A saved base."""
    save_weights(tmp_path / "base.safetensors", network.state_dict(), IDENTITY)
    return load_weights(tmp_path / "base.safetensors")


@pytest.fixture
def trained(network):
    """The network after three steps with a frozen body."""
    tuned = copy.deepcopy(network)
    tuned.body.requires_grad_(False)
    learning = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    torch.manual_seed(2)
    for _ in range(3):
        gradients = torch.autograd.grad(tuned(torch.randn(2, 3, 8, 8)).square().mean(), learning)
        with torch.no_grad():
            for parameter, gradient in zip(learning, gradients, strict=True):
                parameter -= 0.1 * gradient
    return tuned


def same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        other = ours[name]
        assert other.dtype == tensor.dtype and other.shape == tensor.shape, name
        assert other.reshape(-1).view(torch.uint8).equal(tensor.reshape(-1).view(torch.uint8)), name


def test_there_and_back(tmp_path, network):
    path = tmp_path / "w.safetensors"
    digest = save_weights(path, network.state_dict(), IDENTITY)
    loaded = load_weights(path, "pnn")
    assert (loaded.path, loaded.identity, loaded.sha256) == (path, IDENTITY, file_sha256(path))
    assert digest == loaded.sha256
    same_bits(loaded.tensors, network.state_dict())
    other = Small()
    fill(other, loaded)
    same_bits(other.state_dict(), network.state_dict())
    x = torch.randn(1, 3, 9, 9)
    assert other.eval()(x).equal(network.eval()(x))


def test_every_type_and_layout_survives(tmp_path):
    grid = torch.arange(24.0).reshape(4, 6)
    tensors = {str(kind): (grid % 2).to(kind) for kind in (torch.bool, torch.uint8, torch.int8, torch.int16)}
    tensors |= {str(kind): grid.to(kind) for kind in (torch.int32, torch.int64, torch.float16, torch.bfloat16)}
    tensors |= {"double": grid.double() / 3, "transposed": grid.T, "cut": grid[1:3, ::2], "one": torch.tensor(3.0)}
    tensors |= {"tied": grid, "tied too": grid, "none": torch.zeros(0, 2)}
    tensors |= {"last": torch.randn(1, 2, 3, 4).to(memory_format=torch.channels_last)}
    path = tmp_path / "w.safetensors"
    save_weights(path, tensors, IDENTITY)
    same_bits(load_weights(path).tensors, {name: tensor.contiguous() for name, tensor in tensors.items()})


def test_equal_networks_give_equal_files(tmp_path, network):
    digests = {save_weights(tmp_path / f"{i}.safetensors", network.state_dict(), IDENTITY) for i in range(3)}
    assert len(digests) == 1
    assert save_weights(tmp_path / "x.safetensors", network.state_dict(), IDENTITY.changed(sensor="WV3")) not in digests


def test_another_architecture(base):
    with pytest.raises(DataError, match="holds weights of 'pnn', not of 'infn'"):
        load_weights(base.path, "infn")


def test_keys_must_be_exact_and_nothing_is_half_loaded(base):
    other = Small(width=5)
    del other.norm
    other.extra = nn.Linear(1, 1, bias=False)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(DataError) as caught:
        fill(other, base)
    assert "1 missing: extra.weight;" in caught.value.message
    names = "norm.bias, norm.num_batches_tracked, norm.running_mean, norm.running_var, norm.weight"
    assert "5 unexpected: " in caught.value.message
    assert sorted(caught.value.message.split("unexpected: ")[1].split(";")[0].split(", ")) == names.split(", ")
    assert "3 of another shape: body.weight (4x3x3x3, not 5x3x3x3), body.bias (4, not 5)" in caught.value.message
    same_bits(other.state_dict(), before)


def test_match_names_everything():
    found = match({"a": (2,), "b": (), "c": (1, 2)}, {"b": torch.zeros(1), "c": torch.zeros(1, 2), "d": torch.zeros(1)})
    assert (found.matched, found.missing, found.unexpected) == (("c",), ("a",), ("d",))
    assert found.misshapen == ("b (1, not a number)",)
    many = match({str(i): (1,) for i in range(15)}, {})
    assert many.misfits() == "15 missing: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 5 more"


def test_an_adapter_holds_what_was_trained_and_gives_the_trained_network(tmp_path, base, trained):
    path = tmp_path / "adapter.safetensors"
    save_adapter(path, trained.state_dict(), IDENTITY, base)
    held = set(read_header(path).tensors)
    assert held == {name for name in trained.state_dict() if name.startswith(("head.", "norm."))}
    assert path.stat().st_size < base.path.stat().st_size + 2000
    loaded = load_weights(path, "pnn")
    assert loaded.identity.kind == "adapter" and loaded.identity.base.name == "base.safetensors"
    assert loaded.identity.base.sha256 == base.sha256
    same_bits(loaded.tensors, trained.state_dict())
    other = Small()
    fill(other, loaded)
    x = torch.randn(1, 3, 9, 9)
    assert other.eval()(x).equal(trained.eval()(x))


def test_an_adapter_may_add_tensors(tmp_path, base, network):
    tensors = network.state_dict() | {"new.weight": torch.ones(2)}
    save_adapter(tmp_path / "a.safetensors", tensors, IDENTITY, base)
    assert set(read_header(tmp_path / "a.safetensors").tensors) == {"new.weight"}
    same_bits(load_weights(tmp_path / "a.safetensors").tensors, tensors)


def test_every_bit_counts(tmp_path):
    old = {"zero": torch.tensor([0.0]), "nan": torch.tensor([torch.nan]), "wide": torch.ones(2), "kept": torch.ones(2)}
    save_weights(tmp_path / "base.safetensors", old, IDENTITY)
    new = old | {"zero": torch.tensor([-0.0]), "wide": torch.ones(2, dtype=torch.float64)}
    save_adapter(tmp_path / "a.safetensors", new, IDENTITY, load_weights(tmp_path / "base.safetensors"))
    assert set(read_header(tmp_path / "a.safetensors").tensors) == {"zero", "wide"}
    same_bits(load_weights(tmp_path / "a.safetensors").tensors, new)


def test_the_wrong_base_is_refused(tmp_path, base, trained, network):
    adapter, other = tmp_path / "adapter.safetensors", tmp_path / "other.safetensors"
    save_adapter(adapter, trained.state_dict(), IDENTITY, base)
    digest = save_weights(other, Small().state_dict(), IDENTITY)
    with pytest.raises(DataError) as caught:
        load_weights(adapter, base=other)
    assert base.sha256 in caught.value.message and digest in caught.value.message and digest != base.sha256
    assert "base.safetensors" in caught.value.hint and caught.value.exit_code == 3
    save_weights(base.path, network.state_dict(), IDENTITY.changed(metrics={"SAM": 1.0}))  # only the facts changed
    with pytest.raises(DataError, match=base.sha256):
        load_weights(adapter)


def test_a_base_is_found_beside_in_the_cache_or_where_it_is_said(tmp_path, base, trained, cache):
    (tmp_path / "run").mkdir()
    adapter = tmp_path / "run" / "adapter.safetensors"
    save_adapter(adapter, trained.state_dict(), IDENTITY, base)
    with pytest.raises(DataError, match=r"needs its base base\.safetensors") as caught:
        load_weights(adapter)
    assert base.sha256 in caught.value.message and str(cache) in caught.value.message
    same_bits(load_weights(adapter, base=base.path).tensors, trained.state_dict())
    (cache / "base.safetensors").write_bytes(base.path.read_bytes())
    same_bits(load_weights(adapter).tensors, trained.state_dict())
    (adapter.parent / "base.safetensors").write_bytes(b"another file of the same name does no harm")
    same_bits(load_weights(adapter).tensors, trained.state_dict())


def test_an_adapter_can_be_merged(tmp_path, base, trained):
    save_adapter(tmp_path / "a.safetensors", trained.state_dict(), IDENTITY, base)
    loaded = load_weights(tmp_path / "a.safetensors")
    merged = tmp_path / "merged.safetensors"
    save_weights(merged, loaded.tensors, loaded.identity.changed(kind="merged"))
    base.path.unlink()
    same_bits(load_weights(merged).tensors, trained.state_dict())


def test_adapters_that_make_no_sense(tmp_path, base, trained):
    path = tmp_path / "a.safetensors"
    with pytest.raises(DataError, match="nothing differs"):
        save_adapter(path, base.tensors, IDENTITY, base)
    with pytest.raises(DataError, match=r"holds what the network lacks: .*body\.weight"):
        save_adapter(path, {"body.bias": torch.ones(4)}, IDENTITY, base)
    save_adapter(path, trained.state_dict(), IDENTITY, base)
    with pytest.raises(DataError, match="is an adapter itself"):
        save_adapter(tmp_path / "b.safetensors", trained.state_dict(), IDENTITY, load_weights(path))
    with pytest.raises(ValueError, match="save_adapter"):
        save_weights(path, trained.state_dict(), load_weights(path).identity)


def test_broken_files(tmp_path, base):
    content = base.path.read_bytes()
    base.path.write_bytes(content[:-1])
    with pytest.raises(DataError, match="is truncated"):
        load_weights(base.path)
    torch.save({"a": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="not a safetensors file") as caught:
        load_weights(tmp_path / "x.safetensors")
    assert "fusion weights import" in caught.value.hint
    safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "x.safetensors", {KEY: "not json"})
    with pytest.raises(DataError, match="corrupt JSON"):
        load_weights(tmp_path / "x.safetensors")


def test_the_library_reads_our_files(base, network):
    same_bits(safetensors.torch.load_file(base.path), network.state_dict())


def test_weights_are_plain_data(base):
    assert isinstance(base, Weights) and all(tensor.device.type == "cpu" for tensor in base.tensors.values())
