"""`fusion weights`: what there is, what it is for, and whether it is sound; without torch where none is needed."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fusioncli.config.identity import Base, Identity
from fusioncli.io import downloads
from fusioncli.io.downloads import Remote
from fusioncli.io.weights import RawTensor, file_sha256, write_tensors

IDENTITY = Identity(
    arch="pnn",
    arch_config={"widths": [8]},
    bands=4,
    ratio=4,
    value_max=2047,
    sensor="QB",
    recipe="pnn-small",
    metrics={"ERGAS": 1.25},
    licence="CC-BY-4.0",
)


def write(path, *values, identity=IDENTITY):
    array = np.array(values, np.float32)
    write_tensors(path, {"layer.weight": RawTensor("F32", array.shape, memoryview(array.view(np.uint8)))}, identity)
    return path


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Empty packaged weights and cache."""
    monkeypatch.setenv("FUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "PACKAGED", tmp_path / "packaged")
    for name in ("cache", "packaged"):
        (tmp_path / name).mkdir()


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "w.safetensors", 1, 2, 3)


def test_ls(fusion, tmp_path, monkeypatch):
    assert "no weights yet" in fusion("weights", "ls").stdout
    monkeypatch.setattr(downloads, "REMOTES", {n: Remote("https://x", "0" * 64, "a net") for n in ("r.safetensors",)})
    write(tmp_path / "cache" / "c.safetensors", 1, 2)
    write(tmp_path / "packaged" / "p.safetensors", 1)
    (tmp_path / "run").mkdir()
    adapter = IDENTITY.changed(kind="adapter", base=Base(name="c.safetensors", sha256="0" * 64), sensor=None)
    write(tmp_path / "run" / "a.safetensors", 1, 2, 3, identity=adapter)
    (tmp_path / "run" / "broken.safetensors").write_bytes(b"x")
    outcome = fusion("weights", "ls", tmp_path / "run")
    assert outcome.code == 0
    assert [" ".join(line.split()) for line in outcome.stdout.splitlines()] == [
        f"{tmp_path}/packaged/p.safetensors full pnn, 4 bands, ratio 4, QB, 1 parameters",
        f"{tmp_path}/cache/c.safetensors full pnn, 4 bands, ratio 4, QB, 2 parameters",
        f"{tmp_path}/run/a.safetensors adapter pnn, 4 bands, ratio 4, any sensor, 3 parameters",
        "r.safetensors to fetch: a net",
    ]
    assert "broken.safetensors is not a safetensors file" in outcome.stderr
    rows = fusion("weights", "ls", tmp_path / "run", "--json").json["weights"]
    assert [row["kind"] for row in rows] == ["full", "full", "adapter"]


def test_show(fusion, file):
    outcome = fusion("weights", "show", file, "--tensors")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in outcome.stdout.splitlines()}
    assert outcome.code == 0
    assert lines["arch"] == "pnn" and lines["arch_config"] == "widths 8" and lines["metrics"] == "ERGAS 1.25"
    assert lines["base"] == "-" and lines["licence"] == "CC-BY-4.0" and lines["parameters"] == "3"
    assert lines["layer.weight"] == "F32 3"
    facts = fusion("weights", "show", file, "--json").json
    assert {name: facts[name] for name in json.loads(IDENTITY.to_json())} == json.loads(IDENTITY.to_json())


def test_verify(fusion, file):
    outcome = fusion("weights", "verify", file, "--sha256", file_sha256(file), "--json")
    assert outcome.code == 0 and outcome.json["sound"] and outcome.json["sha256"] == file_sha256(file)
    wrong = fusion("weights", "verify", file, "--sha256", "0" * 64)
    assert wrong.code == 3 and file_sha256(file) in wrong.stderr and "0" * 64 in wrong.stderr


def test_verify_finds_what_is_not_sound(fusion, file, tmp_path):
    bad = write(tmp_path / "nan.safetensors", 1, np.nan, np.inf)
    outcome = fusion("weights", "verify", bad)
    assert (outcome.code, outcome.stdout) == (3, "")
    assert "NaN or infinite values in 1 of 1 tensors: layer.weight (2)" in outcome.stderr
    file.write_bytes(file.read_bytes()[:-1])
    for verb in ("verify", "show"):
        outcome = fusion("weights", verb, file)
        assert outcome.code == 3 and "is truncated" in outcome.stderr and "hint: " in outcome.stderr


def test_errors_are_two_lines(fusion, tmp_path):
    (tmp_path / "x.pth").write_bytes(b"PK\x03\x04 and so on")
    outcome = fusion("weights", "show", tmp_path / "x.pth")
    assert outcome.code == 3
    assert outcome.stderr.splitlines() == [
        f"error: {tmp_path}/x.pth is not a safetensors file",
        f"hint: it looks like a PyTorch file: fusion weights import ARCH {tmp_path}/x.pth",
    ]
    assert fusion("weights", "show", tmp_path / "missing.safetensors").code == 3
    assert fusion("weights").code == 2 and fusion("weights", "show").code == 2


def test_import(fusion, tmp_path, monkeypatch):
    import torch

    from fusioncli.config.recipe import ModelConfig
    from fusioncli.models import foreign

    importer = foreign.Importer(
        lambda tensors: tensors,
        lambda tensors, facts: facts.identity(
            ModelConfig(arch="pnn", bands=len(tensors["out.bias"]), ratio=facts.ratio)
        ),
        lambda identity: {"out.bias": (identity.bands,)},
    )
    monkeypatch.setitem(foreign.IMPORTERS, "pnn", importer)
    theirs = tmp_path / "theirs.pth"
    torch.save({"state_dict": {"module.out.bias": torch.ones(8), "module.other": torch.ones(1)}}, theirs)
    outcome = fusion("weights", "import", "pnn", theirs, "--ratio", 2, "--sensor", "WV3", "--licence", "MIT")
    ours = tmp_path / "theirs.safetensors"
    assert (outcome.code, outcome.last_line) == (0, str(ours))
    assert "1 tensors match" in outcome.stderr and "1 tensors are not of 'pnn', left out: other" in outcome.stderr
    facts = fusion("weights", "show", ours, "--json").json
    assert (facts["bands"], facts["ratio"], facts["sensor"], facts["licence"]) == (8, 2, "WV3", "MIT")
    assert fusion("weights", "import", "pnn", theirs).code == 3  # it exists
    assert fusion("weights", "import", "pnn", theirs, "--overwrite", "--json").json["unexpected"] == ["other"]
    torch.save({"x": torch.ones(1)}, theirs)
    refused = fusion("weights", "import", "pnn", theirs, "-o", tmp_path / "new.safetensors")
    assert refused.code == 3 and "no tensor 'out.bias'" in refused.stderr
    assert not (tmp_path / "new.safetensors").exists()


def test_import_of_an_unknown_architecture(fusion, tmp_path):
    outcome = fusion("weights", "import", "vgg", tmp_path / "missing.pth")
    assert outcome.code == 2 and "weights of 'vgg' cannot be imported" in outcome.stderr


def test_torch_is_not_loaded_where_it_is_not_needed(file):
    lines = [["weights", "show", str(file)], ["weights", "verify", str(file)], ["weights", "ls"], ["weights", "--help"]]
    lines += [["recipes", "check"], ["recipes", "show", "pnn-small"], ["recipes", "ls"]]
    program = (
        "import sys; from fusioncli.cli.main import main\n"
        f"assert [main(line) for line in {lines!r}] == [0] * {len(lines)}\n"
        "assert 'pydantic' in sys.modules\n"
        "assert not {'torch', 'rasterio', 'safetensors', 'requests'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
