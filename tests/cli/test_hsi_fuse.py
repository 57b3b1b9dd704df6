"""`fusion hsi-fuse` on files: metadata, bad bands, any cut the same bytes, and refusals in its own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import Outcome, write_raster
from raster_files import rewritten, samples_of
from refusals import assert_refused

from fusioncli.cli import parsing
from fusioncli.core import tiling
from fusioncli.models.catalogue import CUBE_METHODS
from fusioncli.models.hyperspectral import cnmf

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

NAMES = [method.name for method in CUBE_METHODS]
FINE = Affine(10, 0, 500000.0, 0, -10, 5700000.0)
BANDS, RATIO = 12, 3
CENTRES_NM = np.linspace(450, 1000, BANDS).round(1)
Fusion = Callable[..., Outcome]


class Cube(NamedTuple):
    """Two files of one scene."""

    hsi: Path
    msi: Path

    @property
    def flags(self) -> list[str]:
        return ["--hsi", str(self.hsi), "--msi", str(self.msi)]


def scene(height: int = 96, width: int = 120) -> np.ndarray:
    """(BANDS, height, width), about 100 … 1500, mixed from four spectra."""
    rng = np.random.default_rng(3)
    rows, cols = np.mgrid[:height, :width]
    fields = [np.sin(rows / (3 + k)) * np.cos(cols / (4 + k) + k) + 0.3 * rng.normal(size=rows.shape) for k in range(4)]
    shares = np.exp(fields)
    spectra = np.array([700 + 500 * np.sin(k + CENTRES_NM / (100 + 60 * k)) for k in range(4)])
    return np.tensordot(spectra.T, shares / shares.sum(0), 1).clip(50)


def tag_centres(path: Path, centres: np.ndarray = CENTRES_NM) -> None:
    with rasterio.open(path, "r+") as dataset:
        for number, centre in enumerate(centres, 1):
            dataset.update_tags(number, wavelength=f"{centre}", wavelength_units="Nanometers")


def averaged(samples: np.ndarray) -> np.ndarray:
    bands, height, width = samples.shape
    return samples.reshape(bands, height // RATIO, RATIO, width // RATIO, RATIO).mean((2, 4))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unmixing that has not converged is as good for what is tested here."""
    for name, value in {"ENDMEMBERS": 8, "_ROUNDS": 20, "_COARSE_STEPS": 60, "_FINE_STEPS": 40}.items():
        monkeypatch.setattr(cnmf, name, value)


@pytest.fixture
def cube(tmp_path: Path) -> Cube:
    """Ratio 3, uint16, wavelengths in both."""
    truth = scene()
    hsi = write_raster(tmp_path / "hsi.tif", averaged(truth).round().astype("uint16"), FINE @ Affine.scale(RATIO))
    msi = write_raster(tmp_path / "msi.tif", truth[[1, 5, 10]].round().astype("uint16"), FINE)
    tag_centres(hsi)
    tag_centres(msi, CENTRES_NM[[1, 5, 10]])
    return Cube(hsi, msi)


def envi(folder: Path, samples: np.ndarray, header: str) -> Path:
    """An ENVI file of which some header lines are ours."""
    path = write_raster(folder / "cube.img", samples, FINE @ Affine.scale(RATIO), driver="ENVI", interleave="bil")
    with path.with_suffix(".hdr").open("a") as file:
        file.write(header)
    return path


def fuse(fusion: Fusion, cube: Cube, output: Path, *flags: object) -> np.ndarray:
    outcome = fusion("hsi-fuse", *cube.flags, "-o", output, "--overwrite", *flags)
    assert outcome.code == 0, outcome.stderr
    assert outcome.last_line == str(output)
    return samples_of(output)


@pytest.mark.parametrize("name", ["auto", *NAMES])
def test_the_result_is_closer_to_the_truth_than_upsampling(
    name: str, fusion: Fusion, cube: Cube, tmp_path: Path
) -> None:
    plain = fuse(fusion, cube, tmp_path / "exp.tif", "--method", "exp")
    result = fuse(fusion, cube, tmp_path / "out.tif", "--method", name)
    assert result.dtype == np.uint16
    errors = [np.sqrt(np.square(each - scene()).mean()) for each in (plain, result)]
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("name", NAMES)
def test_any_part_size_gives_the_same_bytes(
    name: str, fusion: Fusion, cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With gaps in both files and many small tiles."""
    monkeypatch.setattr(tiling, "TILE_PX", 48)
    monkeypatch.setattr(parsing, "MIN_PART_PX", 1)
    hsi, msi = samples_of(cube.hsi), samples_of(cube.msi)
    hsi[4, 5:9, 7:12] = 0
    msi[:, 60:70, 80:100] = 0
    holed = Cube(rewritten(cube.hsi, "h.tif", hsi, nodata=0), rewritten(cube.msi, "m.tif", msi, nodata=0))
    flags = ["--method", name, "--no-cog", "--dtype", "float32"]
    whole = fuse(fusion, holed, tmp_path / "whole.tif", *flags, "--part-size", 4000, "--threads", 1)
    parts = fuse(fusion, holed, tmp_path / "parts.tif", *flags, "--part-size", 64, "--threads", 3)
    assert whole.tobytes() == parts.tobytes()
    assert (whole[:, 62:68, 82:98] == 0).all()
    assert (whole[4, 16:26, 22:35] == 0).all()
    assert (whole[:, :12] != 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_one_tile_or_many_give_the_same_numbers(
    name: str, fusion: Fusion, cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fuse(fusion, cube, tmp_path / "whole.tif", "--method", name)
    monkeypatch.setattr(tiling, "TILE_PX", 48)
    tiled = fuse(fusion, cube, tmp_path / "tiled.tif", "--method", name)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert (tiled != whole).mean() < 1e-3


def test_metadata(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    fuse(fusion, cube, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as dataset, rasterio.open(cube.msi) as msi:
        assert (dataset.transform, dataset.crs, dataset.shape) == (msi.transform, msi.crs, msi.shape)
        assert [float(dataset.tags(n)["wavelength"]) for n in dataset.indexes] == list(CENTRES_NM)
        found_um = [float(dataset.tags(n, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) for n in dataset.indexes]
        np.testing.assert_allclose(found_um, CENTRES_NM / 1000, rtol=1e-6)
        tags = dataset.tags()
    assert (tags["FUSION_METHOD"], tags["FUSION_HSI"], tags["FUSION_MSI"]) == ("hyper-lmmse", "hsi.tif", "msi.tif")


def test_an_envi_cube_keeps_wavelengths_and_its_bad_bands_stay_empty(
    fusion: Fusion, cube: Cube, tmp_path: Path
) -> None:
    samples = samples_of(cube.hsi).astype("int16")
    samples[7] = -9999
    listed = ", ".join(f"{nm / 1000:.4f}" for nm in CENTRES_NM)
    bad = ", ".join("0" if band in (2, 3) else "1" for band in range(BANDS))
    header = f"wavelength units = Micrometers\nwavelength = {{{listed}}}\nbbl = {{{bad}}}\ndata ignore value = -9999\n"
    path = envi(tmp_path, samples, header)
    outcome = fusion("hsi-fuse", "--hsi", path, "--msi", cube.msi, "-o", tmp_path / "out.tif", "--json")
    assert outcome.code == 0, outcome.stderr
    assert "bands 3-4 of" in outcome.stderr and "rejected by the bad band list" in outcome.stderr
    assert "band 8 of" in outcome.stderr
    assert outcome.json["size"] == [BANDS, 96, 120]
    with rasterio.open(tmp_path / "out.tif") as dataset:
        result, nodata = dataset.read(), dataset.nodata
        centres = [float(dataset.tags(n, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) for n in dataset.indexes]
    assert nodata == -9999
    empty = [2, 3, 7]
    assert (result[empty] == -9999).all()
    good = [band for band in range(BANDS) if band not in empty]
    assert (result[good] != -9999).all()
    np.testing.assert_allclose(centres, CENTRES_NM / 1000, rtol=1e-4)
    without = rewritten(cube.hsi, "good.tif", samples_of(cube.hsi)[good].astype("int16"), nodata=-9999, dtype="int16")
    np.testing.assert_array_equal(result[good], fuse(fusion, Cube(without, cube.msi), tmp_path / "good_out.tif"))


def test_several_files_are_stacked(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    msi = samples_of(cube.msi)
    files = [rewritten(cube.msi, f"b{band}.tif", msi[band : band + 1]) for band in range(3)]
    halves = [rewritten(cube.hsi, f"h{n}.tif", half) for n, half in enumerate(np.split(samples_of(cube.hsi), 2))]
    flags = [word for path in halves for word in ("--hsi", path)] + [word for path in files for word in ("--msi", path)]
    outcome = fusion("hsi-fuse", *flags, "-o", tmp_path / "stacked.tif")
    assert outcome.code == 0, outcome.stderr
    np.testing.assert_array_equal(samples_of(tmp_path / "stacked.tif"), fuse(fusion, cube, tmp_path / "one.tif"))


def test_agreement_with_both_inputs_is_reported(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    found = {}
    for name in ("hyper-lmmse", "exp"):
        outcome = fusion("hsi-fuse", *cube.flags, "-o", tmp_path / f"{name}.tif", "--method", name, "--json")
        assert "sampled windows the result differs from MSI by" in outcome.stderr
        found[name] = outcome.json["consistency"]
    for against in ("msi", "hsi"):
        assert 0 < found["hyper-lmmse"][against] < 0.4 * found["exp"][against]
    assert found["exp"]["windows"] == 9


def test_known_responses(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    table = np.zeros((3, BANDS))
    table[[0, 1, 2], [1, 5, 10]] = 1
    np.savetxt(tmp_path / "srf.csv", table, delimiter=",")
    for name in ("hyper-gsa", "cnmf"):
        fuse(fusion, cube, tmp_path / "out.tif", "--method", name, "--srf", tmp_path / "srf.csv")
    np.savetxt(tmp_path / "srf.csv", table[:2], delimiter=",")
    outcome = fusion("hsi-fuse", *cube.flags, "-o", tmp_path / "no.tif", "--srf", tmp_path / "srf.csv")
    assert_refused(outcome, 3, "holds responses of 2 bands, MSI has 3")


def test_the_responses_of_a_sensor(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    """WorldView-4's pass bands, 450-510, 510-580, 655-690 and 780-920 nm, as Gaussians written by hand."""
    msi = write_raster(tmp_path / "four.tif", scene()[[1, 3, 6, 10]].round().astype("uint16"), FINE)
    middles, widths = np.array([480, 545, 672.5, 850])[:, None], np.array([60, 70, 35, 140])[:, None]
    table = np.exp(-4 * np.log(2) * ((CENTRES_NM - middles) / widths) ** 2)
    np.savetxt(tmp_path / "srf.csv", table, delimiter=",")
    four = cube._replace(msi=msi)
    named, written = (
        fuse(fusion, four, tmp_path / "out.tif", "--method", "hyper-gsa", "--srf", srf)
        for srf in ("wv4", tmp_path / "srf.csv")
    )
    np.testing.assert_allclose(named, written, atol=1)


def test_some_bands_of_a_sensor_go_by_their_codes(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    """Sentinel-2's 542-578, 459-525 and 780-886 nm, in files of one band each."""
    files = [tmp_path / f"S2A_T33UUB_{code}.tif" for code in ("B03", "B02", "B08")]
    for file, place in zip(files, (3, 1, 10), strict=True):
        write_raster(file, scene()[[place]].round().astype("uint16"), FINE)
    middles, widths = np.array([560, 492, 833])[:, None], np.array([36, 66, 106])[:, None]
    np.savetxt(tmp_path / "srf.csv", np.exp(-4 * np.log(2) * ((CENTRES_NM - middles) / widths) ** 2), delimiter=",")
    made = []
    for number, srf in enumerate(("sentinel-2", tmp_path / "srf.csv")):
        out = tmp_path / f"{number}.tif"
        msi = [flag for file in files for flag in ("--msi", file)]
        outcome = fusion("hsi-fuse", "--hsi", cube.hsi, *msi, "-o", out, "--method", "hyper-gsa", "--srf", srf)
        assert outcome.code == 0, outcome.stderr
        assert "Sentinel-2 MSI, because" not in outcome.stderr  # that is not what took the cube
        made.append(samples_of(out))
    np.testing.assert_allclose(*made, atol=1)


@pytest.mark.parametrize(
    ("srf", "error"),
    [
        ("WV4", "WV4 has 4 bands, MSI has 3"),
        ("WV5.csv", "WV5.csv is not a table of spectral responses"),
    ],
)
def test_responses_that_will_not_do(fusion: Fusion, cube: Cube, tmp_path: Path, srf: str, error: str) -> None:
    outcome = fusion("hsi-fuse", *cube.flags, "-o", tmp_path / "no.tif", "--srf", srf)
    assert_refused(outcome, 3, error)


def test_a_sensor_needs_wavelengths(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    msi = write_raster(tmp_path / "four.tif", scene()[[1, 3, 6, 10]].round().astype("uint16"), FINE)
    bare = write_raster(tmp_path / "bare.tif", averaged(scene()).round().astype("uint16"), FINE @ Affine.scale(RATIO))
    outcome = fusion("hsi-fuse", "--hsi", bare, "--msi", msi, "-o", tmp_path / "no.tif", "--srf", "WV4")
    assert_refused(outcome, 3, "the responses of WV4 are known by wavelength, and HSI states none")
    tag_centres(bare, np.linspace(400, 700, BANDS))
    outcome = fusion("hsi-fuse", "--hsi", bare, "--msi", msi, "-o", tmp_path / "no.tif", "--srf", "WV4")
    assert_refused(outcome, 3, "HSI has no band in the light of MSI bands 4 of WV4")


def test_a_snapped_pair(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    moved = rewritten(cube.hsi, "moved.tif", transform=FINE @ Affine.translation(0.5, 0.5) @ Affine.scale(RATIO))
    outcome = fusion("hsi-fuse", "--hsi", moved, "--msi", cube.msi, "-o", tmp_path / "out.tif", "--json")
    assert outcome.code == 0, outcome.stderr
    assert (outcome.json["verdict"], outcome.json["reason"][:10]) == ("snap", "HSI starts")


def test_wavelengths(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    """Missing ones are a note, and an image of other light a strong one."""
    bare = [rewritten(path, f"bare_{path.name}") for path in cube]
    assert "no wavelengths in" not in fusion("hsi-fuse", *cube.flags, "-o", tmp_path / "a.tif").stderr
    text = fusion("hsi-fuse", "--hsi", bare[0], "--msi", bare[1], "-o", tmp_path / "b.tif").stderr
    assert "no wavelengths in HSI and MSI" in text
    tag_centres(bare[1], np.array([1600.0, 2100.0, 2200.0]))
    text = fusion("hsi-fuse", "--hsi", cube.hsi, "--msi", bare[1], "-o", tmp_path / "c.tif").stderr
    assert "no MSI band lies in the spectrum of HSI, 450 … 1000 nm" in text
    tag_centres(bare[1], np.array([500.0, 700.0, 1600.0]))
    text = fusion("hsi-fuse", "--hsi", cube.hsi, "--msi", bare[1], "-o", tmp_path / "d.tif").stderr
    assert "MSI bands 3 (1600 nm) lie outside the spectrum of HSI" in text


class TestRefusals:
    @pytest.fixture
    def refuse(self, fusion: Fusion, tmp_path: Path) -> Callable[..., None]:
        def refuse(cube: Cube, error: str, hint: str, *flags: object, code: int = 3) -> None:
            outcome = fusion("hsi-fuse", *cube.flags, "-o", tmp_path / "no.tif", *flags)
            assert_refused(outcome, code, error, hint)
            assert not (tmp_path / "no.tif").exists()

        return refuse

    def test_swapped(self, refuse: Callable[..., None], cube: Cube) -> None:
        refuse(
            Cube(cube.msi, cube.hsi), "an HSI pixel is 0.3333 MSI pixels wide: MSI must be the finer", "--hsi and --msi"
        )

    def test_apart(self, refuse: Callable[..., None], cube: Cube) -> None:
        far = rewritten(cube.msi, "far.tif", transform=Affine.translation(90000, 0) @ FINE)
        refuse(Cube(cube.hsi, far), "HSI and MSI do not overlap", "fusion info FILE")

    def test_one_band(self, refuse: Callable[..., None], cube: Cube) -> None:
        one = rewritten(cube.hsi, "one.tif", samples_of(cube.hsi)[:1])
        refuse(Cube(one, cube.msi), "HSI must have several bands", "swapped?")
        pan = rewritten(cube.msi, "pan.tif", samples_of(cube.msi)[:1])
        refuse(Cube(one, pan), "HSI must have several bands", "fusion pansharpen")

    def test_nothing_but_nodata(self, refuse: Callable[..., None], cube: Cube) -> None:
        blank = rewritten(cube.hsi, "blank.tif", np.zeros_like(samples_of(cube.hsi)), nodata=0)
        refuse(Cube(blank, cube.msi), "holds an image", "bad band list")

    def test_a_constant_guide(self, refuse: Callable[..., None], cube: Cube) -> None:
        flat = rewritten(cube.msi, "flat.tif", np.full_like(samples_of(cube.msi), 7))
        refuse(Cube(cube.hsi, flat), "MSI is constant", "--msi")

    def test_a_pansharpening_method(self, refuse: Callable[..., None], cube: Cube) -> None:
        refuse(cube, "gsa sharpens by 1 band, MSI has 3", "hyper-lmmse", "--method", "gsa", code=2)

    def test_an_output_that_is_an_input(self, fusion: Fusion, cube: Cube) -> None:
        assert_refused(fusion("hsi-fuse", *cube.flags, "-o", cube.msi, "--overwrite"), 2, "is an input")


def test_pansharpening_methods_serve_one_band(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    pan = rewritten(cube.msi, "pan.tif", samples_of(cube.msi)[:1])
    fuse(fusion, Cube(cube.hsi, pan), tmp_path / "out.tif", "--method", "mtf-glp-fs")


def test_evaluation_offers_every_method(fusion: Fusion, cube: Cube) -> None:
    outcome = fusion("eval", *cube.flags, "--bit-depth", 11, "--json")
    assert outcome.code == 0, outcome.stderr
    rows = {row["image"]: row["values"] for row in outcome.json["rows"]}
    assert list(rows) == ["exp", *NAMES]
    assert rows["hyper-lmmse"]["ERGAS"] < rows["exp"]["ERGAS"]


def test_a_cube_that_shares_the_pixels_of_its_companion(fusion: Fusion, cube: Cube, tmp_path: Path) -> None:
    """Only the cube is degraded, by the ratio that is named."""
    truth = write_raster(tmp_path / "truth.tif", scene().round().astype("uint16"), FINE)
    flags = ["eval", "--hsi", truth, "--msi", cube.msi, "--bit-depth", 11, "--json", "--method", "hyper-lmmse"]
    outcome = fusion(*flags)
    assert_refused(outcome, 2, "HSI and MSI have pixels of one size", "--ratio 4")
    outcome = fusion(*flags, "--ratio", 3)
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["ratio"] == 3
    assert outcome.json["rows"][0]["values"]["SAM"] < 5
