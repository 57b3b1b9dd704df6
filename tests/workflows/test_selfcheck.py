"""Methods are compared on windows of the scene itself: where they lie, what comes out, and that it is remembered."""

import json
import re
from math import inf
from pathlib import Path

import pytest
import rasterio
import torch
from fusion_jobs import fuse, pixels, plain, plan, run, same_bits, snapped

from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Rect
from fusioncli.io.downloads import cache_folder
from fusioncli.io.scene import PairRequest, open_pair
from fusioncli.models.classical.base import Optics
from fusioncli.models.networks import build_network
from fusioncli.models.registry import build
from fusioncli.models.weights import save_weights
from fusioncli.ops.sampling import sampling_for
from fusioncli.workflows import selfcheck
from fusioncli.workflows.plan import choose_sensor
from fusioncli.workflows.selfcheck import Score, compare, compare_once, windows

METHODS = ("exp", "mtf-glp-fs", "gsa", "brovey")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FUSION_CACHE", str(tmp_path / "cache"))


def opened(files):
    pair = open_pair(PairRequest((str(files.ms),), str(files.pan)))
    sensor, _ = choose_sensor(None, pair)
    sampling = sampling_for("lanczos", pair.alignment.ratio, pair.alignment.mean_gsd_ratio)
    optics = Optics(sensor.ms_mtf, sensor.pan_mtf, sensor.pan_weights)
    return pair, sensor, {name: build(name, sampling, optics) for name in METHODS}


def save_generic(folder: Path, spoiled: float = 0.0) -> Path:
    """A refiner as it starts, which is MTF-GLP-FS; or one that adds nonsense."""
    config = ModelConfig(arch="refiner", bands=3, ratio=4)
    torch.manual_seed(0)
    network = build_network(config)
    torch.nn.init.normal_(network.tail.bias, mean=spoiled, std=spoiled)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "any.safetensors"
    save_weights(path, network.state_dict(), Identity.of_model(config, value_max=4095, upsampler="lanczos"))
    return path


@pytest.mark.parametrize(
    ("cells", "side", "expected"),
    [
        (Rect(0, 0, 100, 100), 20, [(15, 15), (15, 65), (65, 15), (65, 65)]),
        (Rect(4, 2, 34, 102), 20, [(9, 17), (9, 67)]),
        (Rect(0, 0, 10, 12), 20, [(0, 0)]),
        (Rect(0, 0, 5, 500), 20, []),
        (Rect(3, 3, 1, 9), 20, []),
    ],
)
def test_windows_lie_in_the_middle_of_equal_pieces(cells, side, expected):
    found = windows(cells, side)
    assert [(window.row0, window.col0) for window in found] == expected
    for window in found:
        assert window.intersect(cells) == window
        assert max(window.height, window.width) <= side


def test_the_order_is_that_of_fusion_eval(tmp_path, fusion):
    files = plain(tmp_path, 60, 60)
    scores = compare(*opened(files))
    assert {score.method for score in scores} == set(METHODS)
    assert [score.ergas for score in scores] == sorted(score.ergas for score in scores)
    asked = [part for name in METHODS for part in ("--method", name)]
    said = fusion("eval", "--reduced-res", "--ms", files.ms, "--pan", files.pan, *asked, "--json")
    rows = {row["image"]: row["values"]["ERGAS"] for row in said.json["rows"]}
    for score in scores:  # the windows leave out the scene's border
        assert score.ergas == pytest.approx(rows[score.method], rel=0.15)


def test_gaps_do_not_count(tmp_path):
    files = plain(tmp_path, 140, 140)
    whole = compare(*opened(files))
    with rasterio.open(files.ms, "r+") as ms, rasterio.open(files.pan, "r+") as pan:
        for layer, ratio in ((ms, 1), (pan, 4)):
            samples = layer.read()
            samples[:, 60 * ratio : 64 * ratio, 66 * ratio : 70 * ratio] = 0
            layer.write(samples)
            layer.nodata = 0
    expected = {score.method: score.ergas for score in whole}
    holed = compare(*opened(files))
    assert len(holed) == len(METHODS)
    for score in holed:
        assert score.ergas == pytest.approx(expected[score.method], rel=0.2)


def test_what_was_found_is_remembered(tmp_path, monkeypatch):
    job = opened(plain(tmp_path))
    first = compare_once(*job)
    [kept] = (cache_folder() / "selfchecks").iterdir()
    assert [entry["method"] for entry in json.loads(kept.read_text())] == [score.method for score in first]
    monkeypatch.setattr(selfcheck, "compare", lambda *_: pytest.fail("compared again"))
    assert compare_once(*job) == first


def test_a_broken_note_is_found_again(tmp_path):
    job = opened(plain(tmp_path))
    first = compare_once(*job)
    [kept] = (cache_folder() / "selfchecks").iterdir()
    kept.write_text("[{")
    assert compare_once(*job) == first


def test_a_place_that_cannot_be_written_to_stops_nobody(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FUSION_CACHE", str(tmp_path / "file"))
    assert compare_once(*opened(plain(tmp_path)))


def test_auto_takes_the_best_and_says_what_it_expects(tmp_path):
    files = plain(tmp_path)
    job = plan(files, "auto")
    [note] = [note for note in job.notes if "expected ERGAS" in note]
    names = ("generic-pansharpen-x4", "mtf-glp-fs", "mtf-glp-hpm", "gsa", "bt-h")
    expected = {name: float(re.search(rf"{name}:?(?: expected ERGAS)? ([\d.]+)", note)[1]) for name in names}
    assert note.startswith(f"method {min(expected, key=expected.get)}: expected ERGAS ")
    fused = pixels(run(job).path)
    assert same_bits(fuse(files, job.model.card.name), fused)


def test_weights_that_fit_take_part(tmp_path):
    save_generic(cache_folder())
    job = plan(plain(tmp_path), "auto")
    [note] = [note for note in job.notes if "expected ERGAS" in note]
    assert ", any " in note


def test_weights_that_do_badly_are_not_taken(tmp_path):
    save_generic(cache_folder(), spoiled=2.0)
    job = plan(plain(tmp_path), "auto")
    [note] = [note for note in job.notes if "expected ERGAS" in note]
    assert ", any " in note and not note.startswith("method any")


def test_weights_of_another_ratio_or_kind_do_not_take_part(tmp_path):
    save_generic(cache_folder())
    (cache_folder() / "broken.safetensors").write_bytes(b"no weights")
    assert auto_note(plan(plain(tmp_path / "four"), "auto")).count("any ") == 1
    assert "any " not in auto_note(plan(snapped(tmp_path / "three"), "auto"))


def auto_note(job):
    return next(note for note in job.notes if "--method overrides" in note)


def test_a_scene_too_small_to_tell_gets_what_does_best_on_others(tmp_path):
    job = plan(plain(tmp_path, 5, 5), "auto")
    assert job.model.card.name == "refiner"
    assert auto_note(job).startswith("method generic-pansharpen-x4: the scene is too small or too full of gaps")


def test_without_packaged_weights_that_is_the_fast_method(tmp_path, monkeypatch):
    monkeypatch.setattr("fusioncli.workflows.auto.PACKAGED", tmp_path / "none")
    job = plan(plain(tmp_path, 5, 5), "auto")
    assert job.model.card.name == "mtf-glp-fs"
    assert "too small or too full of gaps" in auto_note(job)


def test_a_scene_without_contrast_gets_the_fast_method(tmp_path, monkeypatch):
    """Every method failed on it."""
    monkeypatch.setattr(selfcheck, "compare", lambda *_: [Score("gsa", inf, inf)])
    assert plan(plain(tmp_path), "auto").model.card.name == "mtf-glp-fs"


def test_the_toolbox_phase_is_not_compared(tmp_path, fusion):
    """Its filters see another phase than the degraded scene has."""
    files = plain(tmp_path)
    flags = ["--ms", files.ms, "--pan", files.pan, "-o", tmp_path / "x.tif", "--upsampler", "interp23tap"]
    said = fusion("pansharpen", *flags, "--json")
    assert said.json["method"] == "mtf-glp-fs"
    assert "methods are not compared with --upsampler interp23tap" in said.stderr


def test_the_product_names_its_weights(tmp_path, fusion):
    files = plain(tmp_path)
    flags = ["--ms", files.ms, "--pan", files.pan, "--upsampler", "cubic", "--overwrite"]
    for method, weights in (("refiner", "generic-pansharpen-x4.safetensors sha256:"), ("gsa", None)):
        assert fusion("pansharpen", *flags, "--method", method, "-o", tmp_path / "x.tif").code == 0
        with rasterio.open(tmp_path / "x.tif") as product:
            tags = product.tags()
        assert tags["FUSION_UPSAMPLER"] == ("lanczos" if weights else "cubic")
        assert tags.get("FUSION_WEIGHTS", "").startswith(weights or "")
        assert ("FUSION_WEIGHTS" in tags) == bool(weights)


def test_fast_compares_nothing(tmp_path, fusion):
    files = plain(tmp_path)
    out = tmp_path / "fast.tif"
    said = fusion("pansharpen", "--ms", files.ms, "--pan", files.pan, "-o", out, "--fast", "--json")
    assert said.json["method"] == "mtf-glp-fs"
    assert "expected ERGAS" not in said.stderr
    assert not (cache_folder() / "selfchecks").exists()


@pytest.mark.parametrize("named", [("--method", "gs"), ("--weights", "w.safetensors"), ("--adapter", "a.safetensors")])
def test_fast_and_another_method_exclude_each_other(tmp_path, fusion, named):
    files = plain(tmp_path)
    said = fusion("pansharpen", "--ms", files.ms, "--pan", files.pan, "-o", tmp_path / "x.tif", "--fast", *named)
    assert said.code == 2
    assert "error: --fast names a method already" in said.stderr and "hint: leave out --fast" in said.stderr
    assert not (tmp_path / "x.tif").exists()
