"""Sensors: the published figures, fitting to the bands of a file, and the guess from tags and names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fusioncli.core.sensors import SENSORS, find_sensor, guess_sensor
from fusioncli.errors import UsageError

PUBLISHED_GAINS = {
    # Nyquist gains of the toolbox of Vivone et al. (2021), MS in band order, then PAN.
    "QB": ([0.34, 0.32, 0.30, 0.22], 0.15),
    "IKONOS": ([0.26, 0.28, 0.29, 0.28], 0.17),
    "GE1": ([0.23] * 4, 0.16),
    "WV4": ([0.23] * 4, 0.16),
    "WV2": ([0.35] * 7 + [0.27], 0.11),
    "WV3": ([0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315], 0.14),
    # Lee et al. 2014 (Moon), for blue, green, red, NIR; the PAN gain is assumed.
    "LANDSAT8": ([0.55, 0.55, 0.55, 0.55, 0.53, 0.53, 0.53], 0.15),
    "PRISMA": ([0.3], 0.2),
    "GENERIC": ([0.3], 0.15),
}


@pytest.mark.parametrize("name", PUBLISHED_GAINS)
def test_gains_are_the_published_ones(name):
    ms_mtf, pan_mtf = PUBLISHED_GAINS[name]
    assert list(SENSORS[name].ms_mtf) == ms_mtf
    assert SENSORS[name].pan_mtf == pan_mtf


def test_every_sensor_of_the_list_is_there():
    expected = (
        "WV2 WV3 WV4 GE1 QB IKONOS GF2 PLEIADES PNEO SPOT6 SPOT7 LANDSAT7 LANDSAT8 LANDSAT9 SENTINEL2 PRISMA ENMAP"
    )
    assert set(expected.split()) | {"GENERIC"} == set(SENSORS)


@pytest.mark.parametrize("sensor", SENSORS.values(), ids=lambda s: s.name)
def test_every_sensor_is_consistent(sensor):
    count = len(sensor.bands)
    assert len(sensor.codes) == len(sensor.ranges_nm) == len(sensor.wavelengths_nm) == count
    assert len(sensor.ms_mtf) == len(sensor.pan_weights) == max(count, 1)
    assert sum(sensor.pan_weights) == pytest.approx(1)
    assert all(weight >= 0 for weight in sensor.pan_weights)
    assert all(0 < gain < 1 for gain in (*sensor.ms_mtf, sensor.pan_mtf))
    assert all(low < high for low, high in sensor.ranges_nm)
    assert len(set(sensor.bands)) == len(set(sensor.codes)) == count
    assert 8 <= sensor.bit_depth <= 16
    assert sensor.ratio in (2, 3, 4, 6)
    assert sensor.source


@pytest.mark.parametrize("sensor", SENSORS.values(), ids=lambda s: s.name)
def test_a_band_far_from_the_pan_has_no_weight(sensor):
    """Nothing 50 nm or more outside the PAN's pass band may count, whatever a table says."""
    for weight, (low, high) in zip(sensor.pan_weights, sensor.ranges_nm, strict=False):
        gap = max(low - sensor.pan_nm.high_nm, sensor.pan_nm.low_nm - high)
        assert weight == 0 or not gap >= 50  # NaN where there is no PAN


def test_weights_of_landsat_8_are_the_published_ones():
    weights = dict(zip(SENSORS["LANDSAT8"].bands, SENSORS["LANDSAT8"].pan_weights, strict=True))
    assert weights["red"] == pytest.approx(0.42)
    assert weights["green"] == pytest.approx(0.51)
    assert weights["blue"] == pytest.approx(0.07)
    assert weights["nir"] == weights["swir1"] == weights["coastal"] == 0


def test_the_pan_of_spot_6_does_not_see_the_near_infrared():
    assert SENSORS["SPOT6"].pan_weights[SENSORS["SPOT6"].bands.index("nir")] == 0


def test_twins_differ_only_in_their_names():
    for one, other in (("SPOT6", "SPOT7"), ("LANDSAT8", "LANDSAT9")):
        a, b = SENSORS[one], SENSORS[other]
        assert (a.bands, a.ms_mtf, a.pan_weights, a.pan_mtf) == (b.bands, b.ms_mtf, b.pan_weights, b.pan_mtf)
        assert not set(a.aliases) & set(b.aliases)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("WV3", "WV3"),
        ("wv03", "WV3"),
        ("WorldView-3", "WV3"),
        ("worldview 2", "WV2"),
        ("QB02", "QB"),
        ("GeoEye", "GE1"),
        ("ikonos", "IKONOS"),
        ("gf-2", "GF2"),
        ("PHR1A", "PLEIADES"),
        ("phr 1b", "PLEIADES"),
        ("Pléiades", "PLEIADES"),
        ("Pleiades Neo", "PNEO"),
        ("SPOT 6", "SPOT6"),
        ("spot_7", "SPOT7"),
        ("LANDSAT_8", "LANDSAT8"),
        ("l9", "LANDSAT9"),
        ("Landsat 7 ETM+", "LANDSAT7"),
        ("prisma", "PRISMA"),
        ("EnMAP", "ENMAP"),
        ("sentinel 2", "SENTINEL2"),
        ("S2B", "SENTINEL2"),
        ("none", "GENERIC"),
    ],
)
def test_find_sensor(name, expected):
    assert find_sensor(name).name == expected


@pytest.mark.parametrize("sensor", SENSORS.values(), ids=lambda s: s.name)
def test_every_alias_finds_its_sensor(sensor):
    for alias in (sensor.name, sensor.title, *sensor.aliases):
        assert find_sensor(alias) is sensor


@pytest.mark.parametrize(
    ("typo", "nearest"),
    [("wv5", "WV"), ("quickbrid", "QB"), ("landsat", "LANDSAT"), ("plaiades", "PLEIADES")],
)
def test_unknown_sensor_suggests_the_nearest(typo, nearest):
    with pytest.raises(UsageError, match=typo) as caught:
        find_sensor(typo)
    assert nearest in caught.value.hint
    assert caught.value.exit_code == 2


def test_unlike_anything_lists_all():
    with pytest.raises(UsageError) as caught:
        find_sensor("§§§")
    assert all(name in caught.value.hint for name in SENSORS)


def test_select_by_number_name_and_code_agree():
    landsat = SENSORS["LANDSAT8"]
    by_number = landsat.select([4, 3, 2])
    assert by_number.bands == ("red", "green", "blue")
    assert by_number == landsat.select(["red", "Green", "blue"]) == landsat.select(["B4", "b3", "B2"])
    assert by_number.ms_mtf == (0.55, 0.55, 0.55)
    assert by_number.pan_weights == pytest.approx((0.42, 0.51, 0.07))
    assert by_number.wavelengths_nm == pytest.approx((654.5, 561.5, 482))
    assert by_number.note == ""


def test_select_renormalises_the_weights():
    sensor = SENSORS["QB"].select(["blue", "green", "red"])
    assert sensor.pan_weights == pytest.approx((0.35 / 1.9, 0.70 / 1.9, 0.85 / 1.9))


def test_select_of_bands_the_pan_does_not_see_uses_equal_weights_and_says_so():
    sensor = SENSORS["LANDSAT8"].select(["nir", "swir1"])
    assert sensor.pan_weights == (0.5, 0.5)
    assert "equal weights" in sensor.note


def test_codes_follow_the_producer_not_the_position():
    assert SENSORS["LANDSAT7"].select(["B7"]).bands == ("swir2",)
    assert SENSORS["PLEIADES"].select(["B0"]).bands == ("blue",)


def test_nir_finds_the_first_near_infrared():
    assert SENSORS["WV3"].select(["nir"]).bands == ("nir1",)
    assert SENSORS["WV3"].select(["Red Edge"]).bands == ("red_edge",)


@pytest.mark.parametrize("band", [0, 5, -1, "swir1", "B9"])
def test_select_of_a_missing_band_is_a_usage_error(band):
    with pytest.raises(UsageError, match="QuickBird has no band") as caught:
        SENSORS["QB"].select([band])
    assert "blue, green, red, nir" in caught.value.hint


def test_for_bands_all():
    assert SENSORS["WV3"].for_bands(8) is SENSORS["WV3"]


def test_for_bands_four_of_worldview_3_are_2_3_5_7():
    sensor = SENSORS["WV3"].for_bands(4)
    assert sensor.ms_mtf == (0.355, 0.360, 0.365, 0.335)
    assert sensor.bands == ("blue", "green", "red", "nir1")
    assert "blue, green, red, nir1" in sensor.note


def test_for_bands_three_drops_the_near_infrared():
    assert SENSORS["QB"].for_bands(3).ms_mtf == (0.34, 0.32, 0.30)
    assert SENSORS["PLEIADES"].for_bands(3).bands == ("red", "green", "blue")
    assert SENSORS["LANDSAT8"].for_bands(3).bands == ("blue", "green", "red")


def test_for_bands_unmatched_uses_the_mean_gain_and_says_so():
    sensor = SENSORS["QB"].for_bands(5)
    assert sensor.ms_mtf == pytest.approx((0.295,) * 5)
    assert sensor.pan_weights == pytest.approx((0.2,) * 5)
    assert "4 bands" in sensor.note
    assert "image 5" in sensor.note
    assert len(sensor.bands) == len(sensor.codes) == len(sensor.wavelengths_nm) == 5
    assert all(math.isnan(centre) for centre in sensor.wavelengths_nm)


def test_for_bands_spreads_a_hyperspectral_sensor():
    sensor = SENSORS["PRISMA"].for_bands(66)
    assert sensor.ms_mtf == (0.3,) * 66
    assert sensor.pan_weights == pytest.approx((1 / 66,) * 66)
    assert sensor.note == ""
    assert sensor.pan_mtf == 0.2


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"SATID": "WV03"}, "WV3"),
        ({"SATELLITEID": "QB02"}, "QB"),
        ({"SATELLITEID": "PHR 1A"}, "PLEIADES"),
        ({"SATELLITEID": "SPOT 6"}, "SPOT6"),
        ({"IMAGE_1.SATID": '"GE01"'}, "GE1"),
        ({"SPACECRAFT_ID": "LANDSAT_8", "SENSOR_ID": "OLI_TIRS"}, "LANDSAT8"),
        ({"SENSOR": "GF2"}, "GF2"),
        ({"TIFFTAG_IMAGEDESCRIPTION": "WorldView-2 ortho of somewhere"}, "WV2"),
        ({"satellite": "Pléiades Neo 4"}, "PNEO"),
        ({"TIFFTAG_IMAGEDESCRIPTION": "about LANDSAT 7", "SATELLITE": "LANDSAT_9"}, "LANDSAT9"),
    ],
)
def test_guess_from_tags(tags, expected):
    sensor, reason = guess_sensor({"AREA_OR_POINT": "Area", **tags}, ["LE07_scene.tif"], 4, 4)
    assert sensor.name == expected
    assert "the tag" in reason
    assert len(sensor.ms_mtf) == 4


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("LC08_L1TP_016037_20170813_B4.TIF", "LANDSAT8"),
        ("LE07_L1TP_016037_B1.TIF", "LANDSAT7"),
        ("LC09_L2SP_1.tif", "LANDSAT9"),
        ("WV03N33_174861E069_MS00.tif", "WV3"),
        ("IMG_PHR1A_MS_201201.TIF", "PLEIADES"),
        ("IMG_PNEO3_2021_MS-FS.TIF", "PNEO"),
        ("IMG_SPOT7_MS_001_A.tif", "SPOT7"),
        ("GF2_PMS1_E113_MSS1.tiff", "GF2"),
        ("scene_qb.tif", "QB"),
        ("PRS_L2D_STD_2020.tif", "PRISMA"),
        ("ENMAP01-____L2A-DT0000.TIF", "ENMAP"),
    ],
)
def test_guess_from_file_names(filename, expected):
    sensor, reason = guess_sensor({"SENSOR": "MS"}, [f"/data/{filename}"], 4, None)
    assert sensor.name == expected
    assert filename in reason


def test_guess_from_the_folder_name():
    sensor, reason = guess_sensor({}, ["archive/WV02_2019/tile/ms.tif"], 8, 4)
    assert sensor.name == "WV2"
    assert "folder" in reason


def test_a_letter_run_inside_a_word_names_nothing():
    sensor, _ = guess_sensor({"DESCRIPTION": "IMAGE1 of Pike"}, ["page10.tif", "QBE.tif", "SQL7X.tif"], 4, 4)
    assert sensor.name == "GENERIC"


def test_guess_of_stacked_single_band_files_knows_the_bands():
    files = [f"LC08_L1TP_016037_20170813_01_RT_{band}.TIF" for band in ("B4", "B3", "B2", "B8")]
    sensor, reason = guess_sensor({}, files, 3, 2.0)
    assert sensor.bands == ("red", "green", "blue")
    assert sensor.pan_weights == pytest.approx((0.42, 0.51, 0.07))
    assert ";" not in reason


def test_guess_believes_the_names_that_the_file_gives_its_bands():
    sensor, reason = guess_sensor({"SATID": "WV03"}, [], 3, 4, names=("Red", "Green", "Blue"))
    assert sensor.bands == ("red", "green", "blue")
    assert sensor.ms_mtf == (0.365, 0.360, 0.355)
    assert ";" not in reason


@pytest.mark.parametrize("names", [("red", None, "blue"), ("first", "second", "third"), ("red", "green")])
def test_guess_falls_back_to_the_number_of_bands_when_names_are_of_no_use(names):
    sensor, _ = guess_sensor({"SATID": "QB02"}, [], 3, 4, names=names)
    assert sensor.bands == ("blue", "green", "red")


def test_guess_says_what_it_assumed_of_the_bands():
    _, reason = guess_sensor({"SATID": "WV03"}, [], 4, 4)
    assert "blue, green, red, nir1" in reason


def test_guess_from_eight_bands():
    sensor, reason = guess_sensor({}, ["ms.tif", "pan.tif"], 8, 4.0)
    assert sensor is SENSORS["WV3"]
    assert "WorldView-2" in reason
    assert "--sensor WV2" in reason


@pytest.mark.parametrize(("bands", "ratio", "expected"), [(7, 2, "LANDSAT8"), (66, 6, "PRISMA"), (7, 4, "GENERIC")])
def test_guess_from_bands_and_ratio(bands, ratio, expected):
    sensor, reason = guess_sensor({}, [], bands, ratio)
    assert sensor.name == expected
    assert len(sensor.ms_mtf) == bands
    assert str(bands) in reason


@pytest.mark.parametrize("bands", [1, 3, 4, 5, 12])
def test_guess_of_nothing_is_generic(bands):
    sensor, reason = guess_sensor({}, ["ms.tif"], bands, None)
    assert sensor.name == "GENERIC"
    assert sensor.ms_mtf == (0.3,) * bands
    assert sensor.pan_mtf == 0.15
    assert sensor.pan_weights == pytest.approx((1 / bands,) * bands)
    assert "0.3" in reason
    assert "0.15" in reason


def test_the_manual_lists_every_sensor_with_its_gains():
    manual = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in manual.splitlines() if line.startswith("| `") and "--" not in line}
    assert list(rows) == list(SENSORS)
    for name, row in rows.items():
        gains, pan_gain = (cell.split() for cell in row.split("|")[4:6])
        expected = SENSORS[name].ms_mtf
        assert [float(gain) for gain in gains] == list(expected if len(set(expected)) > 1 else expected[:1])
        assert float(pan_gain[0]) == SENSORS[name].pan_mtf
