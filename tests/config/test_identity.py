"""What a file of weights says of itself, there and back, and what it refuses to say."""

import json

import pytest
from pydantic import ValidationError

from fusioncli import __version__
from fusioncli.config.identity import Base, Identity, parse_identity
from fusioncli.config.load import load_recipe
from fusioncli.errors import DataError

BASE = Base(name="base.safetensors", sha256="a" * 64)


def identity(**facts):
    return Identity.of_model(load_recipe("pnn-small").model, value_max=2047, **facts)


def test_it_is_that_of_the_recipe():
    own = identity(sensor="QB", recipe="pnn-small", metrics={"ERGAS": 1.5}, licence="CC-BY-4.0")
    assert (own.kind, own.arch, own.bands, own.ratio, own.version) == ("full", "pnn", 4, 4, __version__)
    assert own.arch_config == {"widths": [48, 32], "kernels_px": [7, 5, 3], "residual": True}
    assert own.model() == load_recipe("pnn-small").model


def test_there_and_back():
    own = identity(kind="adapter", base=BASE, metrics={"SAM": 0.1 + 0.2}, licence="© €")
    assert parse_identity(own.to_json(), "x") == own
    assert identity(metrics={"b": 1, "a": 2}).to_json() == identity(metrics={"a": 2, "b": 1}).to_json()


def test_a_guide_of_one_band_is_not_written_down():
    """So that versions that know PAN only read on."""
    assert "guide_bands" not in identity().to_json()
    assert parse_identity(identity().to_json(), "x").guide_bands == 1
    wide = Identity(arch="infn", bands=31, guide_bands=3, ratio=4, value_max=1.0)
    assert json.loads(wide.to_json())["guide_bands"] == 3
    assert parse_identity(wide.to_json(), "x") == wide and wide.model().guide_bands == 3


def test_adapters_name_their_base_and_full_weights_have_none():
    for facts in ({"kind": "adapter"}, {"kind": "full", "base": BASE}):
        with pytest.raises(ValidationError, match="base"):
            identity(**facts)
    merged = identity(kind="adapter", base=BASE).changed(kind="merged")
    assert merged.kind == "merged" and merged.base == BASE
    with pytest.raises(ValidationError):
        merged.changed(kind="full")


@pytest.mark.parametrize("digest", ["", "A" * 64, "a" * 63, "g" * 64])
def test_digests_are_hexadecimal(digest):
    with pytest.raises(ValidationError):
        Base(name="x", sha256=digest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "corrupt JSON"),
        ("[1]", "no JSON object"),
        ("{}", "schema None"),
        ('{"schema_version": 2}', "schema 2; this version reads schema 1"),
        ('{"schema_version": 1, "arch": "pnn", "bands": 0}', "bands = 0 should be.*ratio is missing.*value_max is"),
    ],
)
def test_what_cannot_be_read(text, message):
    with pytest.raises(DataError, match=message) as caught:
        parse_identity(text, "x.safetensors")
    assert "x.safetensors" in caught.value.message


def test_a_network_of_another_version_can_be_shown_but_not_built():
    facts = json.loads(identity().to_json()) | {"arch": "later", "arch_config": {"depth": 3}}
    later = parse_identity(json.dumps(facts), "x")
    with pytest.raises(DataError, match=r"arch = 'later' should be .*'pnn'"):
        later.model()
