"""Foreign weights: wrappers are stripped, code is not run, and what does not fit is named."""

import pickle

import pytest
import safetensors.torch
import torch
from torch import nn

from fusioncli.config.architectures import PnnOptions
from fusioncli.config.recipe import ModelConfig
from fusioncli.errors import DataError, UsageError
from fusioncli.io.weights import file_sha256
from fusioncli.models import foreign
from fusioncli.models.foreign import Facts, Importer, import_weights, read_foreign, unwrap

FACTS = Facts(ratio=4, value_max=2047, sensor="WV3", upsampler="interp23tap", licence="research only")
SIDES, WIDTH = (9, 5), 6


def theirs(bands=3):
    """A two-layer network as others would have published it."""
    torch.manual_seed(5)
    conv1, conv2 = nn.Conv2d(bands + 1, WIDTH, SIDES[0]), nn.Conv2d(WIDTH, bands, SIDES[1])
    return {f"{name}.{k}": v for name, net in (("conv1", conv1), ("conv2", conv2)) for k, v in net.state_dict().items()}


def rename(tensors):
    return {name.replace("conv1", "layers.0").replace("conv2", "layers.2"): value for name, value in tensors.items()}


def describe(tensors, facts):
    first, last = tensors["layers.0.weight"], tensors["layers.2.weight"]
    sides = (first.shape[-1], last.shape[-1])
    options = PnnOptions(widths=(len(first),), kernels_px=sides)
    return facts.identity(ModelConfig(arch="pnn", bands=len(last), ratio=facts.ratio, options=options))


def shapes(identity):
    options, bands = identity.model().options, identity.bands
    (width,), (first, last) = options.widths, options.kernels_px
    return {
        "layers.0.weight": (width, bands + 1, first, first),
        "layers.0.bias": (width,),
        "layers.2.weight": (bands, width, last, last),
        "layers.2.bias": (bands,),
    }


@pytest.fixture
def importer(monkeypatch):
    monkeypatch.setitem(foreign.IMPORTERS, "pnn", Importer(rename, describe, shapes))


@pytest.fixture
def saved(tmp_path):
    def save(content, name="theirs.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: t,
        lambda t: {"state_dict": t, "epoch": 3},
        lambda t: {"params": {name: value * 0 for name, value in t.items()}, "params_ema": t},
        lambda t: {f"module.{name}": value for name, value in t.items()},
        lambda t: {"model": {"state_dict": {f"module._orig_mod.{name}": value for name, value in t.items()}}},
        lambda t: {"state_dict": t, "mean": torch.ones(1)},
    ],
)
def test_wrappers_are_stripped(saved, wrap):
    found = read_foreign(saved(wrap(theirs())))
    assert found.keys() == theirs().keys()
    assert all(found[name].equal(value) for name, value in theirs().items())


def test_a_prefix_that_only_some_names_have_is_a_name():
    tensors = {"module.a": torch.ones(1), "b": torch.ones(1)}
    assert unwrap(tensors, "x").keys() == tensors.keys()


def test_import(importer, saved):
    done = import_weights("pnn", saved({"state_dict": theirs()}), FACTS)
    assert done.tensors.keys() == {"layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"}
    assert done.tensors["layers.2.bias"].equal(theirs()["conv2.bias"])
    assert (done.identity.kind, done.identity.arch, done.identity.bands, done.identity.ratio) == ("full", "pnn", 3, 4)
    assert done.identity.arch_config == {"widths": [6], "kernels_px": [9, 5], "residual": True}
    assert (done.identity.sensor, done.identity.value_max, done.identity.upsampler) == ("WV3", 2047, "interp23tap")
    assert done.identity.licence == "research only"
    assert done.match.unexpected == ()


def test_safetensors_without_identity_can_be_imported(importer, tmp_path):
    safetensors.torch.save_file(theirs(), tmp_path / "theirs.safetensors")
    assert import_weights("pnn", tmp_path / "theirs.safetensors", FACTS).identity.bands == 3


def test_what_is_too_much_is_named_and_left_out(importer, saved):
    done = import_weights("pnn", saved(theirs() | {"classifier.weight": torch.ones(3)}), FACTS)
    assert done.match.unexpected == ("classifier.weight",)
    assert "classifier.weight" not in done.tensors


def test_what_is_missing_or_misshapen_is_an_error(importer, saved):
    tensors = theirs()
    del tensors["conv2.bias"]
    tensors["conv1.bias"] = torch.ones(7)
    with pytest.raises(DataError) as caught:
        import_weights("pnn", saved(tensors), FACTS)
    assert "(2 tensors match): 1 missing: layers.2.bias; 1 of another shape: layers.0.bias (7, not 6)" in str(
        caught.value
    )
    with pytest.raises(DataError, match=r"no tensor 'layers\.0\.weight'; it holds a"):
        import_weights("pnn", saved({"a": torch.ones(1)}), FACTS)


def test_unknown_architectures(importer, saved):
    with pytest.raises(UsageError, match="weights of 'pn' cannot be imported") as caught:
        import_weights("pn", saved(theirs()), FACTS)
    assert "did you mean pnn?" in caught.value.hint


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_file_is_not_run(saved, tmp_path):
    sign = tmp_path / "sign"
    content = {"state_dict": theirs(), "extra": Bomb(sign)}
    with pytest.raises(DataError, match="objects that are not tensors") as caught:
        read_foreign(saved(content))
    assert "state_dict()" in caught.value.hint and not sign.exists()
    (tmp_path / "old.pth").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError):
        read_foreign(tmp_path / "old.pth")
    assert not sign.exists()


def test_a_whole_network_is_refused(saved):
    with pytest.raises(DataError, match="objects that are not tensors"):
        read_foreign(saved(nn.Conv2d(1, 1, 1)))


@pytest.mark.parametrize("content", [{}, [torch.ones(1)], {"state_dict": {}}, {"a": 1}, torch.ones(2)])
def test_files_without_named_tensors(saved, content):
    with pytest.raises(DataError, match="holds no tensors by name"):
        read_foreign(saved(content))


def test_files_that_cannot_be_read(saved, tmp_path):
    path = saved(theirs())
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"text", content[:100]):
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            read_foreign(path)
    with pytest.raises(DataError, match="no file"):
        read_foreign(tmp_path / "missing.pth")
    with pytest.raises(DataError):
        read_foreign(tmp_path)


def test_a_digest_in_the_name_is_checked(importer, saved):
    path = saved(theirs())
    digest = file_sha256(path)
    right, date = path.with_name(f"x-{digest[:12]}.pth"), path.with_name("x-20240131.pth")
    wrong = path.with_name("x-1bc95232.pth")
    for name in (right, date, wrong):
        name.write_bytes(path.read_bytes())
    assert import_weights("pnn", date, FACTS).match.missing == ()
    if not digest[:12].isdecimal():
        assert import_weights("pnn", right, FACTS).match.missing == ()
    with pytest.raises(DataError, match=f"begins with 1bc95232, and it is {digest}"):
        import_weights("pnn", wrong, FACTS)
