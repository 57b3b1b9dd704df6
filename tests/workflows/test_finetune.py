"""Fine-tuning: better than the base on ground it has not seen, never worse; the same again; and what it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine
from conftest import write_raster
from finetuning_scenes import FINE, VALUE_MAX, write_base, write_scene
from fusion_jobs import pixels
from training_runs import CrashError, Witness

from fusioncli.config.identity import Identity
from fusioncli.errors import DataError, UsageError
from fusioncli.io.scene import PairRequest
from fusioncli.io.weights import read_header
from fusioncli.models.panadapter.presets import TINY
from fusioncli.models.weights import load_weights
from fusioncli.ops.sampling import CentredSampling, sampling_for
from fusioncli.workflows import finetune as module
from fusioncli.workflows.finetune import finetune
from fusioncli.workflows.finetune_request import Effort, FinetuneRequest
from fusioncli.workflows.scene_patches import SceneCut, cut_scenes
from fusioncli.workflows.train.events import Prepared, Progressed, Started, Validated

STEPS = 30


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Tensors are small."""
    monkeypatch.setattr("fusioncli.workflows.train.world.available_cores", lambda: 1)
    monkeypatch.setattr(module, "_RATE", 5e-3)
    monkeypatch.setattr(module, "_BATCH", 4)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / "base.safetensors")


@pytest.fixture
def request_of(scene, base, tmp_path):
    def make(pair=scene, base=base, output="scene.safetensors", **changed):
        files = PairRequest((str(pair.ms),), str(pair.pan))
        plain = FinetuneRequest((files,), base, tmp_path / output, tmp_path / f"{output}.run", device="cpu", threads=1)
        return replace(plain, **{"effort": Effort(STEPS), **changed})

    return make


def quiet(event):
    pass


class TestResult:
    def test_it_is_better_on_ground_it_has_not_seen(self, request_of, base):
        witness = Witness()
        request = request_of()
        report = finetune(request, witness)
        assert report.improved and report.after["ERGAS"] < 0.8 * report.before["ERGAS"]
        first, *later = witness.of(Validated)
        assert (first.step, dict(first.figures)) == (0, dict(report.before))
        assert report.after["ERGAS"] == min(event.figures["ERGAS"] for event in later)
        assert later[-1].step == report.steps == STEPS and len(later) == 10
        assert witness.of(Prepared) and witness.of(Progressed)

    def test_the_file(self, request_of, base):
        request = request_of()
        report = finetune(request, quiet)
        identity = read_header(report.path).identity
        assert (identity.kind, identity.recipe, identity.value_max) == ("adapter", "finetune", VALUE_MAX)
        assert identity.base is not None and identity.base.name == "base.safetensors"
        assert identity.metrics == pytest.approx(dict(report.after))
        assert identity.sensor == "GENERIC"
        tuned = load_weights(request.folder / "weights.safetensors")
        laid_over = load_weights(report.path, base=base)
        assert all(torch.equal(laid_over.tensors[name], tensor) for name, tensor in tuned.tensors.items())
        request.clear()
        assert not request.folder.exists()

    def test_equal_seeds_give_equal_files(self, request_of):
        digests = [finetune(request_of(output=f"{name}.safetensors"), quiet).sha256 for name in "ab"]
        assert digests[0] == digests[1]
        assert finetune(request_of(output="c.safetensors", effort=Effort(STEPS, seed=1)), quiet).sha256 != digests[0]
        assert finetune(request_of(output="d.safetensors", threads=3), quiet).sha256 == digests[0]

    def test_it_is_never_worse_than_the_base(self, request_of, tmp_path, monkeypatch):
        """A rate that ruins the weights at once."""
        monkeypatch.setattr(module, "_RATE", 1.0)
        base = write_base(tmp_path / "plain.safetensors", off=0.0)
        report = finetune(request_of(base=base), quiet)
        assert not report.improved and report.after == report.before
        assert any("leaves the base as it is" in note for note in report.notes)
        tensors = load_weights(report.path, base=base).tensors
        assert all(torch.equal(tensors[name], tensor) for name, tensor in load_weights(base).tensors.items())

    def test_a_crash_is_continued_bit_for_bit(self, request_of):
        whole = finetune(request_of(output="whole.safetensors"), quiet)
        crash = Witness(lambda event: isinstance(event, Progressed) and event.step > STEPS // 2)
        with pytest.raises(CrashError):
            finetune(request_of(), crash)
        witness = Witness()
        again = finetune(request_of(), witness)
        assert 0 < witness.of(Started)[0].step < STEPS
        assert again.sha256 == whole.sha256

    def test_another_run_in_its_place_starts_afresh(self, request_of):
        crash = Witness(lambda event: isinstance(event, Progressed) and event.step > STEPS // 2)
        with pytest.raises(CrashError):
            finetune(request_of(), crash)
        witness = Witness()
        finetune(request_of(effort=Effort(STEPS, seed=3)), witness)
        assert witness.of(Started)[0].step == 0

    def test_minutes_are_turned_into_steps_once(self, request_of, monkeypatch):
        monkeypatch.setattr(module, "_step_s", lambda learner, feed: 0.2)
        crash = Witness(lambda event: isinstance(event, Progressed) and event.step > 12)
        with pytest.raises(CrashError):
            finetune(request_of(effort=Effort(minutes=0.1)), crash)
        monkeypatch.setattr(module, "_step_s", lambda learner, feed: 1e9)  # not asked again
        assert 20 <= finetune(request_of(effort=Effort(minutes=0.1)), quiet).steps <= 30

    def test_steps_are_timed(self, request_of):
        assert finetune(request_of(effort=Effort(minutes=1 / 60)), quiet).steps >= 20

    def test_only_what_the_network_trains_is_in_the_file(self, request_of, tmp_path):
        """Of a network around frozen parts."""
        model = {"arch": "panadapter", "options": TINY}
        base = write_base(tmp_path / "tiny.safetensors", model)
        report = finetune(request_of(base=base, effort=Effort(20)), quiet)
        names = read_header(report.path).tensors.keys()
        frozen = {name for name in load_weights(base).tensors if ".edsr." in name or ".ipt." in name}
        assert frozen and not names & frozen
        assert any(name.startswith("tail2.") for name in names)

    def test_two_scenes(self, request_of, scene, tmp_path):
        other = write_scene(tmp_path / "other", place=Affine.translation(5000, 0) @ FINE)
        pairs = tuple(PairRequest((str(pair.ms),), str(pair.pan)) for pair in (scene, other))
        one = finetune(request_of(), quiet)
        both = finetune(request_of(output="both.safetensors", pairs=pairs), quiet)
        assert both.patches == tuple(2 * count for count in one.patches)


class TestPatches:
    def cut(self, pair, mtf_gain=None, **facts):
        known = {"arch": "pnn", "bands": 4, "ratio": 4, "value_max": VALUE_MAX} | facts
        cut = SceneCut(Identity.model_validate(known), "base.safetensors", 64, mtf_gain=mtf_gain)
        return cut_scenes((PairRequest((str(pair.ms),), str(pair.pan)),), cut, lambda *step: None)

    @pytest.mark.parametrize("upsampler", ["lanczos", "cubic", "interp23tap"])
    def test_they_are_the_scene_made_coarser(self, tmp_path, upsampler):
        """Against whole images: MS pixels are areas, and `lms` is what the network's own upsampler makes of them."""
        pair = write_scene(tmp_path, (224, 128))
        found = self.cut(pair, upsampler=upsampler).training
        assert (found.facts.upsampler, found.facts.phase, found.facts.sensor) == (upsampler, 1.5, "GENERIC")
        ms, pan = (torch.from_numpy(pixels(path)[None].astype("float64")) for path in (pair.ms, pair.pan))
        down, up = CentredSampling(4, 4.0), sampling_for(upsampler, 4, 4.0)
        low = down.degrade(ms, (0.3,) * 4)
        area = (0, slice(None), slice(32, 96), slice(32, 96))
        number = next(i for i in range(len(found)) if (found.stacks["gt"][i] == ms[area].numpy()).all())
        np.testing.assert_allclose(found.stacks["ms"][number], low[0, :, 8:24, 8:24], atol=0.01)
        np.testing.assert_allclose(found.stacks["pan"][number], down.degrade(pan, (0.15,))[area], atol=0.01)
        np.testing.assert_allclose(found.stacks["lms"][number], up.upsample(low)[area], atol=0.02)

    def test_a_gain_of_ones_own_makes_both_coarser_alike(self, tmp_path):
        pair = write_scene(tmp_path, (224, 128))
        found = self.cut(pair, mtf_gain=0.1)
        ms, pan = (torch.from_numpy(pixels(path)[None].astype("float64")) for path in (pair.ms, pair.pan))
        area = (0, slice(None), slice(32, 96), slice(32, 96))
        images = found.training.stacks
        number = next(i for i in range(len(found.training)) if (images["gt"][i] == ms[area].numpy()).all())
        down = CentredSampling(4, 4.0)
        np.testing.assert_allclose(images["ms"][number], down.degrade(ms, (0.1,) * 4)[0, :, 8:24, 8:24], atol=0.01)
        np.testing.assert_allclose(images["pan"][number], down.degrade(pan, (0.1,))[area], atol=0.01)
        assert "MTF gain 0.10 at Nyquist, instead of 0.30 of GENERIC" in found.notes[-1]

    def test_what_a_smooth_ms_leads_to_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setattr("fusioncli.workflows.scene_patches.softness_note", lambda *_: "MS is smooth")
        assert "MS is smooth" in self.cut(write_scene(tmp_path, (224, 128))).notes

    def test_validation_lies_apart(self, tmp_path):
        """Each MS pixel tells its row."""
        pair = write_scene(tmp_path)
        with_rows = np.broadcast_to(np.arange(176, dtype="uint16")[:, None], (4, 176, 64))
        write_raster(pair.ms, with_rows, FINE @ Affine.scale(4))
        found = self.cut(pair)
        learned, measured = (
            np.unique(np.concatenate([images.ravel() for images in patches.stacks["gt"].parts]))
            for patches in (found.training, found.validation)
        )
        assert measured.tolist() == list(range(112, 176))
        assert learned[0] == 0 and learned[-1] < 112 - 16

    def test_a_large_scene_does_not_fill_the_memory(self, scene, monkeypatch):
        limit = 3 * 64 * 64 * 4 * 14
        monkeypatch.setattr("fusioncli.workflows.scene_patches._TRAINING_BYTES", limit)
        monkeypatch.setattr("fusioncli.workflows.simulate.pair._BLOCK_PX", 64)
        some = self.cut(scene).training
        assert 1 <= len(some) <= 4


class TestRefusals:
    def refused(self, request, error, text, hint=""):
        with pytest.raises(error, match=text) as caught:
            finetune(request, quiet)
        assert hint in caught.value.hint
        assert not request.folder.exists() and not request.output.exists()

    def test_a_small_scene(self, request_of, tmp_path):
        pair = write_scene(tmp_path / "small", (64, 64))
        self.refused(request_of(pair), DataError, "256 x 256 PAN px are too few .* are needed", "larger scene")

    def test_other_bands(self, request_of, tmp_path):
        pair = write_scene(tmp_path / "three", bands=3)
        self.refused(request_of(pair), DataError, "bands 4, the scene has bands 3", "fusion weights ls")

    def test_another_ratio(self, request_of, tmp_path):
        pair = write_scene(tmp_path / "two", ratio=2)
        self.refused(request_of(pair), DataError, "ratio 4, the scene has ratio 2")

    def test_larger_numbers(self, request_of, tmp_path):
        pair = write_scene(tmp_path / "bright", gain=4.0)
        text = r"(MS|PAN) holds \d+, .*base.safetensors was trained for digital numbers up to 2047"
        self.refused(request_of(pair), DataError, text, "bit depth")

    def test_no_base(self, request_of, tmp_path):
        self.refused(request_of(base=tmp_path / "none.safetensors"), DataError, "none.safetensors")

    def test_a_base_that_is_an_adapter(self, request_of):
        report = finetune(request_of(output="first.safetensors"), quiet)
        self.refused(request_of(base=report.path), DataError, "first.safetensors is an adapter, of base.safetensors")

    def test_a_network_for_cubes(self, request_of, tmp_path):
        model = {"arch": "infn", "options": {}, "guide_bands": 3}
        base = write_base(tmp_path / "cube.safetensors", model)
        self.refused(request_of(base=base), UsageError, "not of MS and PAN")

    def test_the_same_place_twice(self, request_of, scene, tmp_path):
        other = write_scene(tmp_path / "beside", place=Affine.translation(20, 0) @ FINE)
        pairs = tuple(PairRequest((str(pair.ms),), str(pair.pan)) for pair in (scene, other))
        self.refused(request_of(pairs=pairs), DataError, "overlap on the ground")

    @pytest.mark.parametrize("output", ["scene.tif", "base.safetensors"])
    def test_a_name_that_will_not_do(self, request_of, base, output):
        path = base if output == base.name else Path(output)
        with pytest.raises(UsageError):
            finetune(request_of(output=str(path)), quiet)

    def test_an_adapter_that_exists(self, request_of):
        request = request_of()
        request.output.write_bytes(b"")
        with pytest.raises(DataError, match="exists already"):
            finetune(request, quiet)
