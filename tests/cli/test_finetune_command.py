"""`fusion finetune`, `pansharpen --adapter`, `--adapt` and `--enforce-consistency` from the command line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from finetuning_scenes import write_base, write_scene
from refusals import assert_refused

from fusioncli.cli.main import main
from fusioncli.ops.sampling import CentredSampling
from fusioncli.workflows import finetune as workflow

STEPS = ["--steps", "20", "--device", "cpu"]


@pytest.fixture(scope="module", autouse=True)
def small_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusioncli.workflows.train.world.available_cores", lambda: 1)
        patch.setattr(workflow, "_BATCH", 4)
        patch.setattr(workflow, "_RATE", 5e-3)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory, small_steps):
    """A scene, a base and an adapter of it, as files that nobody changes."""
    folder = tmp_path_factory.mktemp("made")
    scene, base = write_scene(folder), write_base(folder / "base.safetensors")
    command = ["finetune", *scene.flags, "--base", str(base), "-o", str(folder / "scene.safetensors"), *STEPS]
    assert main(command) == 0
    return folder


@pytest.fixture
def scene(made, tmp_path, monkeypatch):
    """A folder with copies of them, in which we are."""
    for path in made.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return ["--ms", "ms.tif", "--pan", "pan.tif"]


def image(path):
    with rasterio.open(path) as dataset:
        return dataset.read().astype(float), dataset.tags()


class TestFinetune:
    def test_the_last_line_is_the_path(self, fusion, scene):
        outcome = fusion("finetune", *scene, "--base", "base.safetensors", "-o", "new.safetensors", *STEPS)
        assert (outcome.code, outcome.last_line) == (0, "new.safetensors")
        assert "validation: ERGAS " in outcome.stderr and " -> " in outcome.stderr
        assert next(line for line in outcome.stderr.splitlines() if line.startswith("step ")).startswith("step 0 ")

    def test_a_gain_of_ones_own(self, fusion, scene):
        """Learned with, on the way to a product too; what is learned is another thing than with the sensor's."""
        learn = ["--mtf-gain", "0.1", *STEPS]
        said = "MTF gain 0.10 at Nyquist, instead of 0.30 of GENERIC"
        outcome = fusion("finetune", *scene, "--base", "base.safetensors", "-o", "new.safetensors", *learn)
        assert outcome.code == 0 and said in outcome.stderr
        assert Path("new.safetensors").read_bytes() != Path("scene.safetensors").read_bytes()
        adapt = ["--weights", "base.safetensors", "--adapt", "--save-adapter", "kept.safetensors", "-o", "fused.tif"]
        outcome = fusion("pansharpen", *scene, *adapt, *learn)
        assert outcome.code == 0 and said in outcome.stderr
        assert Path("kept.safetensors").read_bytes() == Path("new.safetensors").read_bytes()

    def test_json_and_quiet(self, fusion, scene, tmp_path):
        flags = [*scene, "--base", "base.safetensors", "-o", "new.safetensors", *STEPS, "--json", "-q"]
        outcome = fusion("finetune", *flags)
        assert outcome.stderr == ""
        assert outcome.json["improved"] and outcome.json["after"]["ERGAS"] < outcome.json["before"]["ERGAS"]
        assert (outcome.json["base"], outcome.json["steps"]) == ("base.safetensors", 20)
        assert not list(tmp_path.glob("*.run"))

    def test_nothing_is_overwritten_unasked(self, fusion, scene):
        flags = ["finetune", *scene, "--base", "base.safetensors", "-o", "scene.safetensors", *STEPS]
        assert_refused(fusion(*flags), 3, "scene.safetensors exists already", "--overwrite")
        assert fusion(*flags, "--overwrite").code == 0

    @pytest.mark.parametrize(
        ("changed", "code", "error"),
        [
            (["--base", "nowhere.safetensors"], 3, "nowhere.safetensors"),
            (["--base", "scene.safetensors"], 3, "is an adapter, of base.safetensors"),
            (["--base", "pan.tif"], 2, "are files .safetensors"),
            (["--base", "base.safetensors", "--steps", "5", "--minutes", "1"], 2, "both say how long"),
            (["--base", "base.safetensors", "--pan", "pan.tif"], 2, "do not make pairs"),
            (["--base", "base.safetensors", "--device", "abacus"], 2, "no device is called 'abacus'"),
        ],
    )
    def test_refusals(self, fusion, scene, changed, code, error):
        assert_refused(fusion("finetune", *scene, "-o", "new.safetensors", *changed), code, error)

    @pytest.mark.parametrize(
        ("size", "error"),
        [
            ({"shape": (64, 64)}, "256 x 256 PAN px are too few"),
            ({"bands": 3}, "was trained for bands 4, the scene has bands 3"),
            ({"ratio": 2}, "was trained for ratio 4, the scene has ratio 2"),
            ({"gain": 4.0}, "was trained for digital numbers up to 2047"),
        ],
    )
    def test_scenes_that_do_not_fit(self, fusion, scene, tmp_path, size, error):
        other = write_scene(tmp_path / "other", **size)
        outcome = fusion("finetune", *other.flags, "--base", "base.safetensors", "-o", "new.safetensors")
        assert_refused(outcome, 3, error)


class TestAdapter:
    @pytest.mark.parametrize("base", [[], ["--method", "pnn"], ["--method", "base.safetensors"]])
    def test_it_fuses_a_scene(self, fusion, scene, base):
        outcome = fusion("pansharpen", *scene, "--adapter", "scene.safetensors", *base, "-o", "fused.tif")
        assert outcome.code == 0, outcome.stderr
        fused, tags = image("fused.tif")
        assert tags["FUSION_METHOD"] == "pnn"
        assert tags["FUSION_WEIGHTS"].startswith("scene.safetensors sha256:")
        assert " on base.safetensors sha256:" in tags["FUSION_WEIGHTS"]
        assert fusion("pansharpen", *scene, "--weights", "base.safetensors", "-o", "base.tif").code == 0
        assert not np.array_equal(image("base.tif")[0], fused)

    def test_a_base_elsewhere(self, fusion, scene, tmp_path):
        (tmp_path / "far").mkdir()
        shutil.move("base.safetensors", "far/renamed.safetensors")
        flags = ["pansharpen", *scene, "--adapter", "scene.safetensors", "-o", "fused.tif"]
        assert_refused(fusion(*flags), 3, "needs its base base.safetensors", "copy base.safetensors to")
        assert fusion(*flags, "--weights", "far/renamed.safetensors").code == 0

    @pytest.mark.parametrize(
        ("flags", "code", "error", "hint"),
        [
            (["--method", "gsa"], 2, "gsa takes no adapter", "leave out --method"),
            (["--method", "panadapter"], 3, "is an adapter of pnn, not of panadapter", "leave out --method"),
            (["--method", "base.safetensors", "--weights", "base.safetensors"], 2, "cannot both be the base", ""),
            (["--weights", "base.pth"], 2, "--weights takes a file .safetensors", "fusion finetune"),
            (["--weights", "other.safetensors"], 3, "was made for the base base.safetensors", "right base"),
        ],
    )
    def test_refusals(self, fusion, scene, flags, code, error, hint):
        write_base(Path("other.safetensors"), off=0.01)
        outcome = fusion("pansharpen", *scene, "--adapter", "scene.safetensors", *flags, "-o", "fused.tif")
        assert_refused(outcome, code, error, hint)

    def test_a_whole_network_is_no_adapter(self, fusion, scene):
        outcome = fusion("pansharpen", *scene, "--adapter", "base.safetensors", "-o", "fused.tif")
        assert_refused(outcome, 2, "holds the weights of a whole network", "--weights base.safetensors")

    def test_another_base_of_its_name(self, fusion, scene):
        write_base(Path("base.safetensors"), off=0.01)
        outcome = fusion("pansharpen", *scene, "--adapter", "scene.safetensors", "-o", "fused.tif")
        assert_refused(outcome, 3, "was made for the base base.safetensors with SHA-256", "right base.safetensors")


class TestAdapt:
    def test_it_is_finetune_then_pansharpen(self, fusion, scene, tmp_path):
        adapt = ["--adapt", *STEPS, "--save-adapter", "kept.safetensors"]
        before = {path.name for path in tmp_path.iterdir()}
        outcome = fusion("pansharpen", *scene, "--weights", "base.safetensors", *adapt, "-o", "at-once.tif")
        assert (outcome.code, outcome.last_line) == (0, "at-once.tif")
        assert "validation: ERGAS " in outcome.stderr
        assert {path.name for path in tmp_path.iterdir()} - before == {"at-once.tif", "kept.safetensors"}
        for name in ("scene", "kept"):
            assert fusion("pansharpen", *scene, "--adapter", f"{name}.safetensors", "-o", f"{name}.tif").code == 0
            np.testing.assert_array_equal(image(f"{name}.tif")[0], image("at-once.tif")[0])

    def test_a_dry_run_learns_nothing(self, fusion, scene, tmp_path):
        before = {path.name for path in tmp_path.iterdir()}
        flags = ["--weights", "base.safetensors", "--adapt", "-o", "fused.tif", "--dry-run"]
        assert fusion("pansharpen", *scene, *flags).code == 0
        assert {path.name for path in tmp_path.iterdir()} == before

    @pytest.mark.parametrize(
        ("flags", "code", "error"),
        [
            (["--adapt", "--method", "gsa"], 2, "there is none"),
            (["--adapt", "--weights", "base.safetensors", "--adapter", "scene.safetensors"], 2, "there is none"),
            (["--steps", "5"], 2, "--steps goes with --adapt"),
            (["--consistency", "1"], 2, "--consistency goes with --adapt"),
            (["--save-adapter", "a.safetensors"], 2, "--save-adapter goes with --adapt"),
            (["--adapt", "--weights", "base.safetensors", "--save-adapter", "a.tif"], 2, "takes a file .safetensors"),
            (["--adapt", "--weights", "base.safetensors", "--save-adapter", "scene.safetensors"], 3, "exists already"),
        ],
    )
    def test_refusals(self, fusion, scene, flags, code, error):
        assert_refused(fusion("pansharpen", *scene, *flags, "-o", "fused.tif"), code, error)


class TestConsistency:
    @pytest.mark.parametrize("method", ["exp", "gsa", "mtf-glp-hpm"])
    def test_degraded_the_result_is_the_ms(self, fusion, made, tmp_path, method):
        flags = ["pansharpen", "--ms", made / "ms.tif", "--pan", made / "pan.tif", "--method", method, "-t", "float32"]
        left = {}
        for name, more in (("plain", []), ("kept", ["--enforce-consistency"])):
            outcome = fusion(*flags, *more, "-o", tmp_path / f"{name}.tif")
            assert outcome.code == 0, outcome.stderr
            fused, tags = image(tmp_path / f"{name}.tif")
            low = CentredSampling(4, 4.0).degrade(torch.from_numpy(fused)[None], (0.3,) * 4)[0].numpy()
            left[name] = np.sqrt(np.mean((low - image(made / "ms.tif")[0]) ** 2))
        assert tags["FUSION_METHOD"] == f"{method}, consistent"
        assert left["kept"] < 0.02 * left["plain"], left

    def test_any_part_size_gives_the_same_bytes(self, fusion, made, tmp_path):
        flags = ["pansharpen", "--ms", made / "ms.tif", "--pan", made / "pan.tif", "--enforce-consistency"]
        for size in (256, 1024):
            assert fusion(*flags, "--part-size", size, "-o", tmp_path / f"{size}.tif").code == 0
        np.testing.assert_array_equal(image(tmp_path / "256.tif")[0], image(tmp_path / "1024.tif")[0])

    def test_tiles_are_the_whole(self, fusion, make_pair, tmp_path, monkeypatch):
        pair, found = make_pair((130, 140)), []
        for side in (128, 1024):
            monkeypatch.setattr("fusioncli.core.tiling.TILE_PX", side)
            path = tmp_path / f"{side}.tif"
            flags = ["--enforce-consistency", "--method", "gsa", "-t", "float32", "-o", path]
            assert fusion("pansharpen", *pair.flags, *flags).code == 0
            found.append(image(path)[0])
        np.testing.assert_allclose(*found, atol=1e-3)

    def test_gaps_stay_gaps(self, fusion, make_pair, tmp_path):
        pair = make_pair((64, 80), nodata=0)
        with rasterio.open(pair.ms, "r+") as dataset:
            samples = dataset.read()
            samples[:, 20:30, 30:45] = 0
            dataset.write(samples)
        for name, more in (("plain", []), ("kept", ["--enforce-consistency"])):
            assert fusion("pansharpen", *pair.flags, *more, "-o", tmp_path / f"{name}.tif").code == 0
        plain, kept = image(tmp_path / "plain.tif")[0], image(tmp_path / "kept.tif")[0]
        np.testing.assert_array_equal(kept == 0, plain == 0)
        assert np.abs(kept - plain).max() < 0.5 * plain.max()

    def test_not_with_the_toolbox(self, fusion, make_pair):
        outcome = fusion("pansharpen", *make_pair().flags, "--enforce-consistency", "--upsampler", "interp23tap")
        assert_refused(outcome, 2, "half a PAN pixel off", "--upsampler lanczos")
