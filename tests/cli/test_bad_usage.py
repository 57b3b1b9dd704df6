"""Command lines that make no sense: exit code 2 and the nearest thing that does; bugs and interruptions."""

from __future__ import annotations

import pytest
from refusals import assert_refused, listing

from fusioncli.cli import parsing
from fusioncli.core import tiling
from fusioncli.workflows import engine, memory, plan

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def misuse(make_pair, fusion, tmp_path):
    """Run `fusion pansharpen` with flags that are refused before anything is written."""

    def run(error: str, hint: str, *flags: str) -> None:
        pair = make_pair(shape=(16, 16))
        outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", *flags)
        assert_refused(outcome, 2, error, hint)
        assert listing(tmp_path) == {"ms.tif", "pan.tif"}

    return run


def test_unknown_method(misuse):
    misuse("no method is called 'mtf-glp-hmp'", "did you mean 'mtf-glp-hpm'?", "--method", "mtf-glp-hmp")


def test_unknown_sensor(misuse):
    misuse("no sensor is called 'wv33'", "WV3", "--sensor", "wv33")


def test_unknown_upsampler(misuse):
    misuse("no upsampler is called 'cubik'", "cubic", "--upsampler", "cubik")


@pytest.mark.parametrize("side_px", ["1", "255", "0", "-5"])
def test_parts_smaller_than_tiles(misuse, side_px):
    """Each would compute a whole tile for its few pixels."""
    misuse(f"parts of {side_px} px are too small", "--part-size 256 or more", "--part-size", side_px)


def test_the_smallest_part_size_is_the_same_everywhere(fusion):
    assert parsing.MIN_PART_PX == memory._MIN_PART_PX == tiling._MIN_TILE_PX
    assert "at least 256" in " ".join(fusion("pansharpen", "--help").stdout.replace("│", " ").split())


def test_nodata_that_is_no_number(misuse):
    misuse("--nodata takes a number, got 'nothing'", "--nodata 0", "--nodata", "nothing")


def test_unknown_option(misuse):
    misuse("No such option: --methd", "fusion pansharpen --help", "--methd", "gs")


def test_unknown_command(fusion):
    assert_refused(fusion("pansharpn"), 2, "Did you mean 'pansharpen'?", "fusion --help")


def test_missing_pan(fusion):
    assert_refused(fusion("pansharpen", "--ms", "ms.tif"), 2, "--pan", "fusion pansharpen --help")


def test_option_without_its_value(fusion):
    assert_refused(fusion("pansharpen", "--ms"), 2, "--ms", "fusion pansharpen --help")


def test_superfluous_argument(misuse):
    misuse("extra", "fusion pansharpen --help", "extra.tif")


def test_no_command_shows_the_help(fusion):
    outcome = fusion()
    assert outcome.code == 2
    assert "pansharpen" in outcome.stdout
    assert outcome.stderr == ""


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,nan,nan,nan", "inf,0,1,2", "5,5,5,5", ""])
def test_malformed_bounds(misuse, text):
    misuse(f"--bounds takes two opposite corners, got '{text}'", "X0,Y0,X1,Y1", "--bounds", text)


def test_bounds_outside(make_pair, fusion, tmp_path):
    pair = make_pair(shape=(16, 16))
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", "--bounds", "1,2,3,4")
    assert_refused(outcome, 3, "the area of interest holds no pixel", "fusion info")


@pytest.mark.parametrize("text", ["0,0,0,0", "-1,1,1,1", "nan,1,1,1", "inf,1,1,1", "a,b,c,d", ""])
def test_malformed_pan_weights(misuse, text):
    misuse(f"--pan-weights takes one number of at least 0 per band, got '{text}'", "0.2,0.3", "--pan-weights", text)


@pytest.mark.parametrize("text", ["0", "1", "-0.3", "30", "nan", "sharp", ""])
def test_malformed_mtf_gain(misuse, text):
    error = f"--mtf-gain takes a number between 0 and 1, or 'measured', got '{text}'"
    misuse(error, "--mtf-gain measured", "--mtf-gain", text)


def test_pan_weights_of_other_bands(misuse):
    misuse("3 PAN weights for 4 MS bands", "one number per band", "--pan-weights", "0.3,0.3,0.4")


@pytest.mark.parametrize("option", ["--nodata", "--src-nodata"])
def test_malformed_nodata(misuse, option):
    misuse(f"{option} takes a number, got 'zero'", f"{option} 0", option, "zero")


@pytest.mark.parametrize("text", ["-1", "65536", "1.5", "nan", "inf"])
def test_nodata_that_does_not_fit(misuse, text):
    misuse(f"nodata {float(text):g} cannot be stored as uint16", "--nodata", "--nodata", text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "two", "²", ""])
def test_malformed_threads(misuse, text):
    misuse(f"--threads takes a number or ALL_CPUS, got '{text}'", "--threads 2", "--threads", text)


@pytest.mark.parametrize("text", ["nonsense", "complex64", "float16", "bool", "str"])
def test_dtype_that_no_geotiff_has(misuse, text):
    misuse(f"dtype {text} cannot be written", "uint16", "--dtype", text)


@pytest.mark.parametrize("text", ["0", "33", "eleven"])
def test_malformed_bit_depth(misuse, text):
    misuse("--bit-depth", "fusion pansharpen --help", "--bit-depth", text)


def test_bit_depth_beyond_the_type(misuse):
    misuse("17 bit do not fit uint16", "widen --dtype", "--bit-depth", "17")


@pytest.mark.parametrize("option", ["--co", "--config"])
@pytest.mark.parametrize("text", ["COMPRESS", "=ZSTD"])
def test_malformed_key_and_value(misuse, option, text):
    misuse(f"{option} takes KEY=VALUE, got '{text}'", f"for example {option} ", option, text)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--co", "COMPRESS=ZIPP"], "'ZIPP' is an unexpected value for COMPRESS"),
        (["--co", "COLOUR=RED"], "driver COG does not support creation option COLOUR"),
        (["--co", "BLOCKSIZE=7"], "should be >= 128"),
        (["--co", "COMPRESS=JPEG"], "BitsPerSample 16 not allowed for JPEG"),
        (["--no-cog", "--co", "BLOCKXSIZE=100"], 'Bad value 100 for "TileWidth"'),
    ],
)
def test_creation_option_that_gdal_would_ignore_or_spoil(misuse, flags, reason):
    misuse(reason, "https://gdal.org/drivers/raster/", *flags)


def test_cache_size_that_is_no_number(misuse):
    misuse("GDAL_CACHEMAX takes a number of MB, got 'much'", "GDAL_CACHEMAX=256", "--config", "GDAL_CACHEMAX=much")


@pytest.mark.parametrize("name", ["fused.jp2", "fused.PNG", "fused.vrt"])
def test_name_of_another_format(make_pair, fusion, tmp_path, name):
    """The file would be a GeoTIFF all the same."""
    outcome = fusion("pansharpen", *make_pair(shape=(16, 16)).flags, "-o", tmp_path / name)
    assert_refused(outcome, 2, "the result is a GeoTIFF", "-o fused.tif")
    assert listing(tmp_path) == {"ms.tif", "pan.tif"}


@pytest.mark.parametrize("name", ["tpu", "meta", "cuda:x"])
def test_unknown_device(misuse, name):
    misuse(name, "cpu", "--device", name)


def test_memory_that_is_not_enough(make_pair, fusion, tmp_path):
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif", "--mem-limit", "100")
    assert_refused(outcome, 3, "the limit is 100 MB", "--mem-limit")


def test_correction_without_an_output(make_pair, fusion):
    assert_refused(fusion("align", *make_pair().flags, "--correct"), 2, "--correct needs a file", "-o aligned_ms.tif")


def test_info_of_nothing(fusion):
    assert_refused(fusion("info"), 2, "FILE", "fusion info --help")
    assert_refused(fusion("info", "nowhere.tif"), 3, "nowhere.tif: no such file")


def test_a_bug_is_called_a_bug(make_pair, fusion, monkeypatch, tmp_path):
    def divide(*_: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(engine, "quantise", divide)
    outcome = fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif")
    assert_refused(
        outcome, 1, "unexpected ZeroDivisionError: division by zero", "this is a bug; add --debug and report it"
    )
    assert "fused.tif" not in listing(tmp_path)


def test_debug_shows_where(make_pair, fusion, monkeypatch, tmp_path):
    def divide(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(plan, "open_registered", divide)
    with pytest.raises(ZeroDivisionError):
        fusion("pansharpen", *make_pair().flags, "-o", tmp_path / "fused.tif", "--debug")


def test_interruption_keeps_finished_parts(make_pair, fusion, monkeypatch, tmp_path):
    """Ctrl-C on the second of four parts; the same command then reuses the first."""
    pair = make_pair(shape=(128, 128))
    flags = [*pair.flags, "-o", tmp_path / "fused.tif", "--part-size", "256", "--threads", "1"]
    quantise, calls = engine.quantise, []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return quantise(*arguments)

    monkeypatch.setattr(engine, "quantise", interrupted)
    outcome = fusion("pansharpen", *flags)
    assert outcome.code == 130
    assert outcome.stderr.splitlines()[-1] == "interrupted: what is finished is kept, the same command resumes"
    assert "fused.tif" not in listing(tmp_path)
    del calls[:]
    assert fusion("pansharpen", *flags, "--no-resume").stderr.splitlines()[-1] == (
        "interrupted: the same command starts afresh"
    )
    assert fusion("pansharpen", *flags, "--json").json["reused_parts"] >= 1
    assert listing(tmp_path) == {"ms.tif", "pan.tif", "fused.tif"}
