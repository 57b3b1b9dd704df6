"""`fusion simulate`, `simulate synthetic`, `simulate demo`: files, words, exit codes."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest
from affine import Affine
from conftest import write_raster
from refusals import assert_refused, listing

from fusioncli.workflows.simulate import write

PATCH = ("--patch", "16")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pair(make_pair):
    """4 bands, 64 x 80 MS px: 20 patches of 16 px."""
    return make_pair(nodata=0)


def count(path) -> int:
    with h5py.File(path) as file:
        return len(file["gt"])


# Scenes -------------------------------------------------------------------------------------------


def test_a_pair_becomes_patches(fusion, pair):
    outcome = fusion("simulate", *pair.flags, *PATCH, "--sensor", "QB", "-o", "p.h5", "--licence", "mine")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout == "p.h5\n"
    assert "value_max is 2047 (11 bit of QuickBird)" in outcome.stderr
    with h5py.File("p.h5") as file:
        assert {name: item.shape for name, item in file.items()} == {
            "gt": (20, 4, 16, 16), "ms": (20, 4, 4, 4), "lms": (20, 4, 16, 16), "pan": (20, 1, 16, 16)
        }  # fmt: skip
        assert file.attrs["sensor"] == "QB"
        assert file.attrs["licence"] == "mine"
        assert list(file.attrs["bands"]) == ["blue", "green", "red", "nir"]


def test_training_and_validation_as_json(fusion, make_pair):
    files = make_pair((112, 48)).flags
    outcome = fusion("simulate", *files, *PATCH, "--stride", "8", "-o", "t.h5", "--validation", "v.h5", "--json")
    assert outcome.code == 0, outcome.stderr
    assert {name: file["patches"] for name, file in outcome.json["files"].items()} == {"t.h5": 40, "v.h5": 3}
    assert outcome.json["upsampler"] == "lanczos"
    assert (count("t.h5"), count("v.h5")) == (40, 3)


def test_a_dry_run_writes_nothing(fusion, pair, tmp_path):
    before = listing(tmp_path)
    outcome = fusion("simulate", *pair.flags, *PATCH, "-o", "p.h5", "--dry-run")
    assert outcome.code == 0
    assert "20 patches, 0.1 MB" in outcome.stdout
    assert "value_max" in outcome.stdout
    assert listing(tmp_path) == before


def test_an_interruption_promises_nothing(fusion, pair, tmp_path, monkeypatch):
    """Nothing is kept that the same command could take up."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = listing(tmp_path)
    monkeypatch.setattr(write, "patches_of", interrupted)
    outcome = fusion("simulate", *pair.flags, *PATCH, "-o", "p.h5")
    assert outcome.code == 130
    assert outcome.stderr.splitlines()[-1] == "interrupted: the same command starts afresh"
    assert listing(tmp_path) == before


def test_pairs_and_band_files(fusion, make_pair, tmp_path):
    """Two MS and two PAN are two pairs; four band files and one PAN are one."""
    one = make_pair((32, 32))
    two = (*one.flags, *one.flags)
    assert fusion("simulate", *two, *PATCH, "-o", "two.h5", "-q").code == 0
    assert count("two.h5") == 8
    bands = []
    for number in (4, 3, 2, 1):
        path = tmp_path / f"band{number}.tif"
        bands += ["--ms", _band(one.ms, path, number)]
    assert fusion("simulate", *bands, "--pan", one.pan, *PATCH, "-o", "stack.h5", "-q").code == 0
    with h5py.File("two.h5") as whole, h5py.File("stack.h5") as stacked:
        np.testing.assert_array_equal(stacked["gt"][()], whole["gt"][:4][:, ::-1])


def _band(source, path, number):
    import rasterio

    with rasterio.open(source) as dataset:
        return write_raster(path, dataset.read(number), dataset.transform)


def test_gaps_are_counted(fusion, make_pair):
    files = make_pair()
    import rasterio

    with rasterio.open(files.ms, "r+") as dataset:
        dataset.nodata = 0
        samples = dataset.read(1)
        samples[30, 40] = 0
        dataset.write(samples, 1)
    outcome = fusion("simulate", *files.flags, *PATCH, "-o", "p.h5")
    skipped = 20 - count("p.h5")
    assert skipped > 0
    assert f"note: {skipped} patches that lack data are left out" in outcome.stderr


def test_cubes(fusion, tmp_path):
    write_raster(tmp_path / "cube.tif", np.random.default_rng(0).integers(0, 1000, (7, 32, 48)).astype(np.uint16))
    np.savetxt("srf.csv", np.eye(2, 7) + 0.1, delimiter=",")
    outcome = fusion(
        "simulate", "--hsi", "cube.tif", "--srf", "srf.csv", "--bit-depth", "10", *PATCH, "-o", "c.h5", "--json"
    )
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["shapes"] == {
        "gt": [7, 16, 16], "hsi": [7, 4, 4], "msi": [2, 16, 16], "hsi_up": [7, 16, 16]
    }  # fmt: skip
    assert count("c.h5") == 6


def write_cube_pair(folder, size=(36, 48), ratio=3, offset_m=0.0):
    """HSI of 7 bands and 30 m; MSI of 2 bands and `ratio` times smaller pixels."""
    rng, coarse = np.random.default_rng(0), Affine(30.0, 0, 500000.0, 0, -30.0, 5700000.0)
    fine = Affine.translation(offset_m, 0) @ coarse @ Affine.scale(1 / ratio)
    cube, sharp = (
        rng.integers(1, 1000, (bands, size[0] * scale, size[1] * scale)).astype(np.uint16)
        for bands, scale in ((7, 1), (2, ratio))
    )
    write_raster(folder / "hsi.tif", cube, coarse)
    write_raster(folder / "msi.tif", sharp, fine)
    return "--hsi", "hsi.tif", "--msi", "msi.tif"


def test_cubes_beside_a_sharper_raster(fusion, tmp_path):
    files = write_cube_pair(tmp_path)
    outcome = fusion("simulate", *files, "--bit-depth", "10", "--patch", "12", "-o", "c.h5", "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["shapes"] == {
        "gt": [7, 12, 12], "hsi": [7, 4, 4], "hsi_up": [7, 12, 12], "msi": [2, 12, 12]
    }  # fmt: skip
    assert outcome.json["ratio"] == 3
    assert count("c.h5") == 12


@pytest.mark.parametrize(
    ("given", "arguments", "code", "error", "hint"),
    [
        ({"ratio": 1}, (), 2, "HSI and MSI have pixels of one size", "--ratio 4"),
        ({"ratio": 2}, ("--ratio", "4"), 2, "an HSI pixel is 2 MSI pixels wide, --ratio is 4", "--ratio 2"),
        ({"offset_m": 9000.0}, (), 3, "HSI and MSI do not overlap", "belong together"),
        ({"size": (2, 2)}, (), 3, "too little to be degraded by 3", "larger scene"),
        ({"size": (6, 6)}, ("--patch", "12"), 3, "cannot hold patches of 4 px", "smaller --patch"),
    ],
)
def test_cubes_and_rasters_that_do_not_go_together(fusion, tmp_path, given, arguments, code, error, hint):
    files = write_cube_pair(tmp_path, **given)
    before = listing(tmp_path)
    patch = arguments or ("--patch", "12")
    assert_refused(fusion("simulate", *files, "--bit-depth", "10", *patch, "-o", "c.h5"), code, error, hint)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        ((), 2, "simulate takes pairs (--ms and --pan) or hyperspectral scenes (--hsi)", "synthetic --help"),
        (("--ms", "a.tif"), 2, "1 --ms and 0 --pan do not make pairs", "once per pair"),
        (("--ms", "a", "--ms", "b", "--ms", "c", "--pan", "d", "--pan", "e"), 2, "3 --ms and 2 --pan", "per pair"),
        (("--hsi", "a.tif"), 2, "needs either the spectral responses", "--srf FILE or --msi FILE"),
        (("--hsi", "a.tif", "--srf", "b.csv", "--msi", "c.tif"), 2, "needs either", "--srf FILE or --msi FILE"),
        (("--hsi", "a.tif", "--msi", "b.tif", "--msi", "c.tif"), 2, "1 --hsi and 2 --msi do not make pairs", "--msi"),
        (("--hsi", "a.tif", "--msi", "b.tif", "--coregister"), 2, "--coregister measures", "leave it out"),
        (("--hsi", "a.tif", "--msi", "b.tif", "--protocol", "uestc"), 2, "no protocol is called 'uestc'", "toolbox"),
        (("--ms", "a.tif", "--pan", "b.tif"), 3, "a.tif: no such file", "check the path"),
        (("--ms", "a.tif", "--pan", "b.tif", "-o", "no/p.h5"), 3, "folder no does not exist", "mkdir"),
        (("--ms", "a.tif", "--pan", "b.tif", "-j", "0"), 2, "--threads takes", "--threads 2"),
        (("--ms", "a.tif", "--pan", "b.tif", "--data-range", "1", "--bit-depth", "8"), 2, "both state the peak", "one"),
        (("--ms", "a.tif", "--pan", "b.tif", "--dtype", "int16"), 2, "cannot be stored as int16", "uint16 or float32"),
        (("synthetic",), 2, "named sensors, or for random ones", "--random-sensors"),
        (("synthetic", "--sensor", "QB", "--random-sensors"), 2, "named sensors, or for random ones", "--sensor"),
        (("synthetic", "--sensor", "QB", "--size", "32"), 2, "does not hold patches of 64 px", "--size"),
        (("demo", "-o", "nowhere"), 3, "folder nowhere does not exist", "mkdir"),
        (("drawn",), 2, "No such command", "fusion simulate --help"),
    ],
)
def test_refusals(fusion, tmp_path, arguments, code, error, hint):
    assert_refused(fusion("simulate", *arguments), code, error, hint)
    assert listing(tmp_path) == set()


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (("--patch", "18"), 2, "--patch 18 is no multiple of the ratio 4", "--patch 16"),
        (("--patch", "256"), 3, "cannot hold patches of 64 px", "smaller --patch"),
        (("--bit-depth", "8"), 3, "more than value_max 255", "--bit-depth"),
        (("--protocol", "uestc"), 2, "no protocol is called 'uestc'", "centred, toolbox"),
        (("--sensor", "WV9"), 2, "no sensor is called 'WV9'", "use one of"),
        (("--validation", "p.h5"), 2, "cannot hold training and validation patches", "two files"),
    ],
)
def test_refusals_of_a_good_pair(fusion, pair, tmp_path, arguments, code, error, hint):
    before = listing(tmp_path)
    assert_refused(fusion("simulate", *pair.flags, "-o", "p.h5", *PATCH, *arguments), code, error, hint)
    assert listing(tmp_path) == before


def test_files_are_kept_unless_told_otherwise(fusion, pair, tmp_path):
    (tmp_path / "p.h5").write_text("precious")
    command = ("simulate", *pair.flags, *PATCH, "-o", "p.h5")
    assert_refused(fusion(*command), 3, "p.h5 exists already", "--overwrite")
    assert (tmp_path / "p.h5").read_text() == "precious"
    assert fusion(*command, "--overwrite").code == 0
    assert count("p.h5") == 20


# Drawings -----------------------------------------------------------------------------------------


def test_drawn_patches(fusion):
    flags = ("--scenes", "2", "--size", "32", *PATCH, "-j", "1", "--seed", "5")
    outcome = fusion(
        "simulate", "synthetic", "--random-sensors", "--bands", "3", *flags, "-o", "t.h5", "--validation", "v.h5"
    )
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.splitlines() == ["t.h5", "v.h5"]
    assert (count("t.h5"), count("v.h5")) == (4, 4)
    planned = fusion("simulate", "synthetic", "--sensor", "WV3", *flags, "-o", "w.h5", "--dry-run", "--json").json
    assert planned["files"]["w.h5"]["patches"] == 8
    assert planned["shapes"]["gt"] == [8, 16, 16]
    assert planned["licence"].startswith("CC0")


def test_the_sample_scene_can_be_fused(fusion, tmp_path):
    outcome = fusion("simulate", "demo", "-o", tmp_path)
    assert outcome.code == 0, outcome.stderr
    ms, pan = outcome.stdout.splitlines()
    assert fusion("pansharpen", "--ms", ms, "--pan", pan, "--method", "exp", "-o", "fused.tif", "-q").code == 0
    assert_refused(fusion("simulate", "demo", "-o", tmp_path), 3, "exists already", "--overwrite")


@pytest.mark.parametrize("words", ["simulate", "simulate synthetic", "simulate demo"])
def test_help_is_light(words):
    program = (
        f"import sys; from fusioncli.cli.main import main; assert main({[*words.split(), '--help']!r}) == 0; "
        "assert not {'torch', 'rasterio', 'scipy', 'h5py'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Example: fusion simulate" in done.stdout
