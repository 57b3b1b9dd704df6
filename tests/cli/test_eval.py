"""`fusion eval` from the outside: what is printed, written, refused, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import Pair, smooth_scene, write_raster

from fusioncli.models.catalogue import CUBE_METHODS, FAST_FOR_CUBES

FINE = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """A truth and two attempts at it."""
    truth = smooth_scene(4, 96, 112).round()
    noise = np.random.default_rng(1).normal(0, 1, truth.shape)
    pictures = {"gt": truth, "near": truth + 3 * noise, "far": truth + 30 * noise}
    return {
        name: write_raster(tmp_path / f"{name}.tif", image.round().astype("uint16"), FINE)
        for name, image in pictures.items()
    }


def against(images: dict[str, Path], *fused: str) -> list[object]:
    files = [word for name in fused for word in ("--fused", images[name])]
    return ["eval", "--reference", images["gt"], *files, "--bit-depth", 11, "--ratio", 4]


def test_table_marks_the_best_with_a_star(fusion: Callable, images) -> None:
    outcome = fusion(*against(images, "near", "far"))
    assert outcome.code == 0
    lines = outcome.stdout.splitlines()
    near = next(line for line in lines if "near.tif" in line)
    far = next(line for line in lines if "far.tif" in line)
    assert near.count("*") == 11
    assert "*" not in far
    for word in ("protocol: centred", "ratio: 4", "phase:", "kernel:", "border px: 0", "data range: 2047", "torch 2"):
        assert word in lines[-1], word


def test_json_of_a_perfect_image(fusion: Callable, images) -> None:
    outcome = fusion(*against(images, "gt"), "--json")
    report = outcome.json
    values = report["rows"][0]["values"]
    assert (values["ERGAS"], values["Q2n"], values["PSNR_pooled"]) == (0, 1, "inf")
    assert values["SAM"] == pytest.approx(0, abs=1e-5)
    assert report["mode"] == "against a reference"
    stated = {"protocol", "ratio", "phase", "kernel", "edges", "border_px", "data_range", "scale", "versions", "notes"}
    assert stated <= report.keys()
    assert report["rows"][0]["masked"] == 0


def test_reports_on_disk(fusion: Callable, images, tmp_path: Path) -> None:
    for name in ("report.md", "report.json", "report.csv"):
        outcome = fusion(*against(images, "near", "far"), "-o", tmp_path / name)
        assert outcome.code == 0
        assert outcome.last_line == str(tmp_path / name)
    assert "**" in (tmp_path / "report.md").read_text()
    rows = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 1 + len(rows) == 3
    again = fusion(*against(images, "near"), "--csv", tmp_path / "report.csv")
    assert again.code == 3
    assert "--overwrite" in again.stderr
    assert fusion(*against(images, "near"), "--csv", tmp_path / "report.csv", "--overwrite").code == 0
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 2
    refused = fusion(*against(images, "near"), "-o", tmp_path / "report.html")
    assert refused.code == 2
    assert "'.html'" in refused.stderr


def test_gate(fusion: Callable, images) -> None:
    """Exit 5, the table printed all the same, the miss named with value and limit."""
    assert fusion(*against(images, "near"), "--fail-under", "ERGAS=1", "--fail-under", "q2n=0.9").code == 0
    outcome = fusion(*against(images, "near", "far"), "--fail-under", "ERGAS=1", "--json")
    assert outcome.code == 5
    assert len(outcome.json["rows"]) == 2
    assert "error: ERGAS of" in outcome.stderr
    assert "above 1" in outcome.stderr
    assert "near.tif" not in outcome.stderr
    outcome = fusion(*against(images, "far"), "--fail-under", "EGRAS=1")
    assert outcome.code == 2
    assert "did you mean 'ERGAS'" in outcome.stderr
    assert not outcome.stdout
    outcome = fusion(*against(images, "far"), "--fail-under", "ERGAS")
    assert outcome.code == 2
    assert "INDEX=VALUE" in outcome.stderr


def test_deviation_over_tiles(fusion: Callable, images) -> None:
    row = fusion(*against(images, "far"), "--tiles", 32, "--json").json["rows"][0]
    assert row["mean"]["RMSE_pooled"] == pytest.approx(row["values"]["RMSE_pooled"], rel=0.02)
    assert 0 < row["std"]["RMSE_pooled"] < 3
    assert "±" in fusion(*against(images, "far"), "--tiles", 32).stdout


def test_hyperspectral_convention_is_peak_1(fusion: Callable, images) -> None:
    plain = fusion(*against(images, "far"), "--json").json["rows"][0]["values"]
    report = fusion(*against(images, "far"), "--suite", "hyperspectral", "--json").json
    values = report["rows"][0]["values"]
    assert list(values) == ["PSNR_band_mean", "SSIM", "SAM", "ERGAS", "RMSE_pooled", "CC"]
    assert report["data_range"] == 1
    assert values["RMSE_pooled"] == pytest.approx(plain["RMSE_pooled"] / 2047, rel=1e-9)
    for name in ("PSNR_band_mean", "SSIM", "SAM", "ERGAS"):
        assert values[name] == pytest.approx(plain[name], rel=1e-9), name
    assert fusion(*against(images, "far"), "--suite", "full-resolution").code == 2


def test_reduced_and_full_resolution(fusion: Callable, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair((48, 64))
    flags = [*pair.flags, "--method", "exp", "--method", "GSA", "--bit-depth", "11", "--threads", 2, "--json"]
    report = fusion("eval", "--reduced-res", *flags).json
    exp, gsa = report["rows"]
    assert (exp["image"], gsa["image"]) == ("exp", "gsa")
    assert gsa["values"]["ERGAS"] < exp["values"]["ERGAS"]
    assert (report["sensor"], report["grid"], report["ratio"]) == ("GENERIC", "paste", 4)
    report = fusion("eval", "--full-res", *flags).json
    assert report["rows"][0]["values"]["D_lambda"] == pytest.approx(0, abs=1e-6)
    assert all(0 <= row["values"]["QNR"] <= 1 for row in report["rows"])
    toolbox = fusion("eval", "--reduced-res", *flags, "--protocol", "toolbox", "--border", 0).json
    assert toolbox["phase"] == "PAN pixel floor(r/2) = 2 of 4"


@pytest.mark.parametrize("mode", ["--reduced-res", "--full-res"])
def test_auto_is_chosen_on_the_pair(
    fusion: Callable, make_pair: Callable[..., Pair], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `auto` took has the figures of its own row, and is said; nothing is remembered of a scene degraded once."""
    monkeypatch.setenv("FUSION_CACHE", str(tmp_path / "cache"))
    pair = make_pair((96, 96))
    names = ("auto", "refiner", "mtf-glp-fs", "mtf-glp-hpm", "gsa", "bt-h")
    methods = [flag for name in names for flag in ("--method", name)]
    report = fusion("eval", mode, *pair.flags, *methods, "--bit-depth", 11, "--threads", 2, "--json").json
    auto, *others = report["rows"]
    assert auto["image"] == "auto"
    [note] = [note for note in report["notes"] if note.startswith("auto: method ")]
    assert "expected ERGAS" in note
    taken = note.split()[2].rstrip(":").replace("generic-pansharpen-x4", "refiner")
    [same] = [row for row in others if row["image"] == taken]
    assert auto["values"] == same["values"]
    assert not (tmp_path / "cache" / "selfchecks").exists()


def test_auto_for_cubes_is_the_one_that_fuses_them(fusion: Callable, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair((48, 64), bands=12)
    flags = ["--hsi", pair.ms, "--msi", pair.pan, "--bit-depth", 12, "--method", "auto", "--json"]
    assert [row["image"] for row in fusion("eval", *flags).json["rows"]] == [FAST_FOR_CUBES]


def test_a_gain_beside_the_sensor(fusion: Callable, make_pair: Callable[..., Pair]) -> None:
    """MS pixels are areas of PAN pixels here, and that is seen and stated; fusing by it agrees with the MS best."""
    pair = make_pair((96, 96))
    flags = ["eval", "--full-res", *pair.flags, "--method", "mtf-glp", "--bit-depth", 11, "--json", "--mtf-gain"]
    known, assumed = (fusion(*flags, gain).json for gain in ("measured", 0.1))
    assert known["mtf_gain"] == pytest.approx(0.62, abs=0.05)
    assert assumed["mtf_gain"] == 0.1
    assert any("at Nyquist, measured, instead of 0.30 of GENERIC" in note for note in known["notes"])
    assert known["rows"][0]["values"]["R-ERGAS"] < assumed["rows"][0]["values"]["R-ERGAS"]


def test_fused_files_at_full_resolution(fusion: Callable, make_pair: Callable[..., Pair], tmp_path: Path) -> None:
    pair = make_pair((24, 32))
    fusion("pansharpen", *pair.flags, "--method", "gsa", "-o", tmp_path / "gsa.tif")
    outcome = fusion("eval", "--full-res", *pair.flags, "--fused", tmp_path / "gsa.tif", "--json")
    assert outcome.json["rows"][0]["image"] == str(tmp_path / "gsa.tif")
    other = write_raster(tmp_path / "other.tif", np.ones((4, 96, 124), "uint16"), FINE)
    outcome = fusion("eval", "--full-res", *pair.flags, "--fused", other)
    assert outcome.code == 3
    assert "4 x 96 x 124 (bands, rows, columns), what it is compared with 4 x 96 x 128" in outcome.stderr


def test_cube(fusion: Callable, make_pair: Callable[..., Pair]) -> None:
    """The hyperspectral flags: every method for cubes, and the cube that is only upsampled."""
    pair = make_pair((48, 64), bands=12)
    outcome = fusion("eval", "--hsi", pair.ms, "--msi", pair.pan, "--bit-depth", 12, "--json")
    assert outcome.code == 0
    row, *others = outcome.json["rows"]
    assert row["image"] == "exp"
    assert [other["image"] for other in others] == [method.name for method in CUBE_METHODS]
    assert 15 < row["values"]["PSNR_band_mean"] < 60
    assert fusion("eval", "--hsi", pair.ms).code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "got none of them"),
        (["--reduced-res", "--full-res"], "--reduced-res and --full-res"),
        (["--reduced-res"], "need a pair"),
        (["--reference", "gt.tif"], "needs images to compare"),
        (["--reduced-res", "--ms", "a", "--pan", "b", "--fused", "c"], "fuses the degraded pair itself"),
        (["--full-res", "--ms", "a", "--pan", "b", "--protocol", "matlab"], "no protocol is called 'matlab'"),
        (["--full-res", "--ms", "a", "--pan", "b", "--data-range", "1", "--bit-depth", "8"], "both state the peak"),
        (["--full-res", "--ms", "a", "--pan", "b", "--method", "gasa"], "no method is called 'gasa'"),
        (["--full-res", "--ms", "a", "--pan", "b", "--mtf-gain", "7"], "--mtf-gain takes a number between 0 and 1"),
        (["--data", "a.h5", "--mtf-gain", "0.2"], "--mtf-gain goes with --reduced-res and --full-res"),
    ],
)
def test_usage(fusion: Callable, arguments: list[str], message: str) -> None:
    outcome = fusion("eval", *arguments)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert "hint: " in outcome.stderr


def test_images_that_do_not_fit(fusion: Callable, images, tmp_path: Path) -> None:
    made = {
        "smaller": (smooth_scene(4, 96, 111), FINE),
        "fewer bands": (smooth_scene(3, 96, 112), FINE),
        "elsewhere": (smooth_scene(4, 96, 112), FINE @ Affine.translation(1, 0)),
    }
    messages = {"smaller": "4 x 96 x 111", "fewer bands": "3 x 96 x 112", "elsewhere": "corners up to 1 px apart"}
    for name, (image, transform) in made.items():
        path = write_raster(tmp_path / "other.tif", image.astype("uint16"), transform)
        outcome = fusion("eval", "--reference", images["gt"], "--fused", path)
        assert outcome.code == 3, name
        assert messages[name] in outcome.stderr


def test_values_over_the_declared_depth(fusion: Callable, images) -> None:
    outcome = fusion("eval", "--reference", images["gt"], "--fused", images["near"], "--bit-depth", 8)
    assert outcome.code == 3
    assert "more than the peak 255 (stated)" in outcome.stderr
    assert "--data-range" in outcome.stderr


def test_float_images_need_a_peak(fusion: Callable, images, tmp_path: Path) -> None:
    unit = {
        name: write_raster(tmp_path / f"{name}_unit.tif", smooth_scene(4, 96, 112, seed) / np.float32(4000), FINE)
        for seed, name in enumerate(("gt", "near"))
    }
    flags = ["eval", "--reference", unit["gt"], "--fused", unit["near"]]
    outcome = fusion(*flags)
    assert outcome.code == 2
    assert "whose peak is not stated" in outcome.stderr
    outcome = fusion(*flags, "--data-range", 1, "--json")
    assert outcome.json["rows"][0]["values"]["Q2n"] is None
    assert any("--scale" in note for note in outcome.json["notes"])
    outcome = fusion(*flags, "--data-range", 1, "--scale", 10000, "--json")
    assert 0 < outcome.json["rows"][0]["values"]["Q2n"] < 1


def test_gaps(fusion: Callable, tmp_path: Path) -> None:
    """NaN and nodata are left out and reported; an image without any valid pixel is refused."""
    truth = smooth_scene(2, 64, 64).astype("float32")
    holed = truth + 1
    holed[0, :32] = np.nan
    gt = write_raster(tmp_path / "gt.tif", truth, FINE)
    fused = write_raster(tmp_path / "holed.tif", holed, FINE)
    outcome = fusion("eval", "--reference", gt, "--fused", fused, "--data-range", 2047, "--json")
    (row,) = outcome.json["rows"]
    assert row["masked"] == 0.5
    assert row["values"]["RMSE_pooled"] == pytest.approx(1, rel=1e-4)
    assert "50.00%" in fusion("eval", "--reference", gt, "--fused", fused, "--data-range", 2047).stdout
    empty = write_raster(tmp_path / "empty.tif", np.zeros((2, 64, 64), "float32"), FINE, nodata=0)
    outcome = fusion("eval", "--reference", gt, "--fused", empty, "--data-range", 2047)
    assert outcome.code == 3
    assert "no pixel holds data in all images" in outcome.stderr


def test_constant_bands_and_zero_spectra(fusion: Callable, tmp_path: Path) -> None:
    """What is undefined is null with a reason; the other indices keep their values."""
    truth = smooth_scene(3, 64, 64).round().astype("uint16")
    flat, black = truth.copy(), truth.copy()
    flat[1] = 500
    black[:, :20, :20] = 0
    gt = write_raster(tmp_path / "gt.tif", truth, FINE)
    files = [write_raster(tmp_path / f"{name}.tif", x, FINE) for name, x in (("flat", flat), ("black", black))]
    outcome = fusion("eval", "--reference", gt, "--fused", files[0], "--fused", files[1], "--bit-depth", 11, "--json")
    first, second = (row["values"] for row in outcome.json["rows"])
    assert [name for name, value in first.items() if value is None] == ["CC"]
    assert "CC is undefined: band 2 is constant" in outcome.json["notes"]
    assert "NaN" not in outcome.stdout
    assert second["SAM"] == pytest.approx(0, abs=1e-4)  # pixels without a spectrum have no angle
    outcome = fusion("eval", "--reference", gt, "--fused", files[0], "--bit-depth", 11, "--fail-under", "CC=0.5")
    assert outcome.code == 5
    assert "is undefined" in outcome.stderr


def test_help_names_every_mode(fusion: Callable) -> None:
    text = fusion("eval", "--help").stdout
    for flag in ("--reduced-res", "--full-res", "--reference", "--data", "--hsi", "--fail-under", "--protocol"):
        assert flag in text
