"""What `fusion train` says of sources that are no patch files."""

import pytest
from refusals import assert_refused, listing

QB = '{scenes = 1, sensors = ["QB"]}'


@pytest.mark.parametrize(
    ("recipe", "sets", "code", "error", "hint"),
    [
        ("pnn-small", ['data.train={scenes = 1, sensors = ["WV9"]}'], 2, "no sensor is called 'WV9'", "use one of"),
        ("pnn-small", [f"data.train={QB}", "model.bands=8"], 2, "scenes of QB have bands 4", "--set model.bands=4"),
        ("pnn-small", [f"data.train={QB}", f"data.validation={QB}"], 2, "equal seeds draw equal scenes", ""),
        ("pretrain-edsr-small", ["data.train=empty"], 3, "empty holds no picture", "PNG, JPEG or TIFF"),
        ("pretrain-edsr-small", ["data.train=nowhere"], 3, "nowhere: no such folder", "PNG, JPEG or TIFF"),
        ("pretrain-edsr-small", ["data.patch_px=50"], 2, "should be a multiple of 3, for the task sr3", ""),
    ],
)
def test_refusals(fusion, tmp_path, monkeypatch, recipe, sets, code, error, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    flags = [f"--set={text}" for text in sets]
    assert_refused(fusion("train", recipe, *flags, "--device", "cpu"), code, error, hint)
    assert listing(tmp_path) == {"empty"}
