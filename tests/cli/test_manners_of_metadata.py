"""What a product says about itself: names, tags, colours, scales and grid of its inputs, provenance, file layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import Pair, write_raster
from raster_files import FINE, fused, rewritten, samples_of
from rasterio.enums import ColorInterp, Compression

import fusioncli
from fusioncli.core.synthetic.cameras import random_sensor
from fusioncli.core.synthetic.shots import Framing, shoot

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

NAMES = ("blue", "green", "red", "nir")
COLOURS = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.nir]


@pytest.fixture
def described_pair(make_pair) -> Pair:
    """A pair whose MS says all that a GeoTIFF can say."""
    pair = make_pair(photometric="MINISBLACK")
    with rasterio.open(pair.ms, "r+") as dataset:
        dataset.descriptions = NAMES
        dataset.colorinterp = COLOURS
        dataset.scales, dataset.offsets = (0.1, 0.2, 0.3, 0.4), (1.0, 2.0, 3.0, 4.0)
        dataset.units = ("W",) * 4
        dataset.nodata = 0
        dataset.update_tags(SATELLITE="GF2", ACQUISITION="2021-06-01", STATISTICS_MEAN="1")
        for band, name in enumerate(NAMES, 1):
            dataset.update_tags(band, WAVELENGTH=f"{name} & <more>", STATISTICS_MAXIMUM="7")
    return pair


@pytest.mark.parametrize("layout", ["--cog", "--no-cog"])
def test_descriptions_are_kept(described_pair, fusion, tmp_path, layout):
    fused(fusion, described_pair, tmp_path / "fused.tif", layout)
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.descriptions == NAMES
        assert list(dataset.colorinterp) == COLOURS
        assert (dataset.scales, dataset.offsets) == ((0.1, 0.2, 0.3, 0.4), (1.0, 2.0, 3.0, 4.0))
        assert dataset.units == ("W",) * 4
        assert dataset.nodata == 0
        assert [dataset.tags(band)["WAVELENGTH"] for band in dataset.indexes] == [f"{n} & <more>" for n in NAMES]
        assert dataset.tags()["ACQUISITION"] == "2021-06-01"
        assert not any("STATISTICS" in key for band in (0, 1, 2, 3, 4) for key in dataset.tags(band))


def test_grid_is_that_of_pan(make_pair, fusion, tmp_path):
    pair = make_pair()
    fused(fusion, pair, tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset, rasterio.open(pair.pan) as pan:
        assert dataset.transform == pan.transform
        assert dataset.crs == pan.crs
        assert dataset.shape == pan.shape


def test_pixel_is_point_means_the_same_ground(make_pair, fusion, tmp_path):
    pair = make_pair()
    expected = fused(fusion, pair, tmp_path / "area.tif")
    points = [rewritten(p, f"point_{p.name}") for p in (pair.ms, pair.pan)]
    for path, source in zip(points, (pair.ms, pair.pan), strict=True):
        with rasterio.open(path, "r+") as dataset, rasterio.open(source) as original:
            dataset.update_tags(AREA_OR_POINT="Point")
            dataset.transform = original.transform
    result = fused(fusion, Pair(*points), tmp_path / "point.tif")
    with rasterio.open(tmp_path / "point.tif") as dataset, rasterio.open(points[1]) as pan:
        assert dataset.bounds == pan.bounds
    assert (result == expected).all()


def test_without_georeferencing_none_is_invented(make_pair, fusion, tmp_path):
    pair = make_pair()
    bare = Pair(*(write_raster(tmp_path / f"bare_{p.name}", samples_of(p)) for p in (pair.ms, pair.pan)))
    outcome = fusion("pansharpen", *bare.flags, "-o", tmp_path / "fused.tif")
    assert "note: no georeferencing: MS and PAN are taken to start at the same corner, at ratio 4" in outcome.stderr
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.crs is None
        assert dataset.transform == Affine.identity()
    assert (samples_of(tmp_path / "fused.tif") == fused(fusion, pair, tmp_path / "referenced.tif")).all()


def test_missing_crs_is_taken_from_the_other(make_pair, fusion, tmp_path):
    pair = make_pair()
    ms = rewritten(pair.ms, "unnamed.tif", crs=None)
    outcome = fusion("pansharpen", "--ms", ms, "--pan", pair.pan, "-o", tmp_path / "fused.tif")
    assert "note: MS declares no CRS; taken to be EPSG:32631 like the other raster" in outcome.stderr
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.crs.to_epsg() == 32631


def test_provenance(described_pair, fusion, tmp_path):
    fused(fusion, described_pair, tmp_path / "fused.tif", "--method", "GSA", "--upsampler", "cubic")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        tags = {key: value for key, value in dataset.tags().items() if key.startswith("FUSION_")}
    assert tags == {
        "FUSION_SOFTWARE": f"fusioncli {fusioncli.__version__}",
        "FUSION_METHOD": "gsa",
        "FUSION_SENSOR": "GF2",
        "FUSION_UPSAMPLER": "cubic",
        "FUSION_GRID": "paste, ratio 4",
        "FUSION_MS": "ms.tif",
        "FUSION_PAN": "pan.tif",
    }


def test_provenance_of_the_gain(make_pair, fusion, tmp_path):
    """The user's own; it is what the method fuses with."""
    pair, flags = make_pair(), ("--method", "mtf-glp")
    assumed = fused(fusion, pair, tmp_path / "assumed.tif", *flags)
    given = {gain: fused(fusion, pair, tmp_path / f"{gain}.tif", *flags, "--mtf-gain", gain) for gain in ("0.3", "0.1")}
    assert (given["0.3"] == assumed).all() and (given["0.1"] != assumed).any()
    for name, tag in (("assumed", None), ("0.3", "0.30"), ("0.1", "0.10")):
        with rasterio.open(tmp_path / f"{name}.tif") as dataset:
            assert dataset.tags().get("FUSION_MTF_GAIN") == tag


def test_provenance_of_what_the_packaged_network_is_corrected_by(fusion, tmp_path):
    """A smooth MS: the gain that it shows, unless the user knows better."""
    rng = np.random.default_rng([77, 1])
    shot = shoot(rng, replace(random_sensor(rng, 4, 4), ms_mtf=(0.06,) * 4), Framing(256, 256))
    ms = write_raster(tmp_path / "ms.tif", shot.ms, FINE @ Affine.scale(4))
    pan = write_raster(tmp_path / "pan.tif", shot.pan, FINE)
    for flags, gain in (((), "0.07"), (("--mtf-gain", "0.3"), "0.30"), (("--upsampler", "interp23tap"), None)):
        product = tmp_path / "fused.tif"
        outcome = fusion(
            "pansharpen", "--ms", ms, "--pan", pan, "--method", "refiner", *flags, "-o", product, "--overwrite"
        )
        note = f"note: corrected by MS through an MTF gain of {gain} at Nyquist, measured, not 0.30 of GENERIC"
        assert outcome.code == 0 and (note in outcome.stderr) == (not flags), outcome.stderr
        with rasterio.open(product) as dataset:
            assert dataset.tags().get("FUSION_CORRECTED") == (gain and f"by MS through an MTF gain of {gain}")


def test_cloud_optimized_by_default(make_pair, fusion, tmp_path):
    fused(fusion, make_pair(shape=(140, 150)), tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.compression is Compression.deflate
        assert dataset.profile["tiled"]
        assert dataset.block_shapes[0] == (512, 512)
        assert dataset.overviews(1) == [2]


def test_overviews_leave_gaps_out(make_pair, fusion, tmp_path):
    """Averages beside a gap are those of the valid pixels."""
    pair = make_pair(shape=(140, 150))
    ms, pan = (samples_of(p) for p in (pair.ms, pair.pan))
    ms[:, :, :75], pan[:, :, :300] = 0, 0
    holed = Pair(*(rewritten(p, f"half_{p.name}", s, nodata=0) for p, s in ((pair.ms, ms), (pair.pan, pan))))
    full = fused(fusion, holed, tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif", overview_level=0) as overview:
        small = overview.read()
    assert not small[:, :, :150].any()
    assert abs(small[:, :, 150].mean() / full[:, :, 300:302].mean() - 1) < 0.01


def test_plain_geotiff(make_pair, fusion, tmp_path):
    cog = fused(fusion, make_pair(), tmp_path / "cog.tif")
    plain = fused(fusion, make_pair(), tmp_path / "plain.tif", "--no-cog")
    assert (plain == cog).all()
    with rasterio.open(tmp_path / "plain.tif") as dataset:
        assert "LAYOUT" not in dataset.tags(ns="IMAGE_STRUCTURE")
        assert dataset.profile["tiled"]
        assert dataset.overviews(1) == []
        assert dataset.compression is Compression.deflate


@pytest.mark.parametrize(
    ("flags", "compression", "block"),
    [
        (["--co", "COMPRESS=ZSTD", "--co", "BLOCKSIZE=128"], Compression.zstd, (128, 128)),
        (["--co", "compress=lzw"], Compression.lzw, (512, 512)),
        (["--co", "COMPRESS=NONE"], None, (512, 512)),
        (["--no-cog", "--co", "COMPRESS=ZSTD", "--co", "BLOCKXSIZE=64"], Compression.zstd, (256, 64)),
        (["--no-cog", "--co", "TILED=NO", "--co", "COMPRESS=PACKBITS"], Compression.packbits, None),
    ],
)
def test_creation_options(make_pair, fusion, tmp_path, flags, compression, block):
    fused(fusion, make_pair(), tmp_path / "fused.tif", *flags)
    with rasterio.open(tmp_path / "fused.tif") as dataset:
        assert dataset.compression is compression
        assert dataset.block_shapes[0] == block if block else not dataset.profile["tiled"]


def test_companions_of_a_replaced_file_go_with_it(make_pair, fusion, tmp_path):
    """External overviews and statistics would describe the old picture."""
    pair = make_pair()
    (tmp_path / "fused.tif").touch()
    for suffix in (".aux.xml", ".ovr"):
        (tmp_path / f"fused.tif{suffix}").write_text("<PAMDataset/>")
    fused(fusion, pair, tmp_path / "fused.tif", "--overwrite", "--no-cog")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fused.tif", "ms.tif", "pan.tif"]


def test_stacked_band_files(make_pair, fusion, tmp_path):
    """Single-band files, in the order given, are as good as one file; each keeps its own name and tags."""
    pair = make_pair()
    samples = samples_of(pair.ms)
    files = []
    for number, name in enumerate(NAMES):
        files.append(write_raster(tmp_path / f"{name}.tif", samples[number], FINE @ Affine.scale(4)))
        with rasterio.open(files[-1], "r+") as dataset:
            dataset.descriptions = (name,)
            dataset.update_tags(1, CODE=f"B{number}")
    flags = [word for path in files[::-1] for word in ("--ms", path)]
    outcome = fusion("pansharpen", *flags, "--pan", pair.pan, "-o", tmp_path / "stacked.tif", "--fast")
    assert outcome.code == 0, outcome.stderr
    expected = fused(fusion, pair, tmp_path / "one.tif", "--fast")[::-1]
    assert abs(samples_of(tmp_path / "stacked.tif").astype(int) - expected).max() <= 1
    with rasterio.open(tmp_path / "stacked.tif") as dataset:
        assert dataset.descriptions == NAMES[::-1]
        assert [dataset.tags(band)["CODE"] for band in dataset.indexes] == ["B3", "B2", "B1", "B0"]
        assert dataset.tags()["FUSION_MS"] == "nir.tif red.tif green.tif blue.tif"
