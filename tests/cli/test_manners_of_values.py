"""Numbers: never beyond the sensor's range, never wrapped, never on nodata; types and ranges of the two inputs."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from conftest import Pair
from raster_files import fused, gentle_pair, rewritten, samples_of

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

ADDITIVE = ("--method", "mtf-glp")


@pytest.fixture
def bright_pair(make_pair) -> Pair:
    """11-bit data near the top of its range: sharpening overshoots it."""
    pair = make_pair()
    for path in (pair.ms, pair.pan):
        samples = (samples_of(path).astype(float) + 1050).clip(0, 2047).astype("uint16")
        rewritten(path, path.name, samples)
    return pair


def test_eleven_bits_overflow_without_a_bit_depth(bright_pair, fusion, tmp_path):
    """The danger is real: the values leave the range of the sensor unless the bit depth is known."""
    assert fused(fusion, bright_pair, tmp_path / "free.tif", *ADDITIVE).max() > 2047


def test_bit_depth_clips_and_reports_the_share(bright_pair, fusion, tmp_path):
    free = fused(fusion, bright_pair, tmp_path / "free.tif", *ADDITIVE)
    output = tmp_path / "clipped.tif"
    outcome = fusion("pansharpen", *bright_pair.flags, "-o", output, *ADDITIVE, "--bit-depth", "11", "--json")
    np.testing.assert_array_equal(samples_of(output), free.clip(0, 2047))
    share = (free > 2047).mean()
    assert outcome.json["clipped"] == pytest.approx(share, abs=1e-12)
    assert f"note: {share:.3%} of the samples were clipped to 0 … 2047" in outcome.stderr


def test_nbits_of_the_file_is_the_bit_depth(bright_pair, fusion, tmp_path):
    given = fused(fusion, bright_pair, tmp_path / "given.tif", *ADDITIVE, "--bit-depth", "11")
    ms = rewritten(bright_pair.ms, "nbits.tif", nbits=11)
    declared = fused(fusion, Pair(ms, bright_pair.pan), tmp_path / "declared.tif", *ADDITIVE)
    np.testing.assert_array_equal(declared, given)


def test_nothing_is_said_when_nothing_is_clipped(fusion, tmp_path):
    pair = gentle_pair(tmp_path, dtype="uint16")
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "fused.tif", "--json")
    assert outcome.json["clipped"] == 0
    assert "clipped" not in outcome.stderr


@pytest.mark.parametrize("method", ["mtf-glp-fs", "gsa", "brovey"])
def test_pan_of_fewer_bits_is_promoted(make_pair, fusion, tmp_path, method):
    pair = make_pair()
    eighth = samples_of(pair.pan) // 8
    narrow = rewritten(pair.pan, "narrow.tif", eighth.astype("uint8"))
    wide = rewritten(pair.pan, "wide.tif", eighth)
    outcome = fusion("pansharpen", "--ms", pair.ms, "--pan", narrow, "-o", tmp_path / "n.tif", "--method", method)
    assert "note: MS is uint16 and PAN uint8; the product is uint16" in outcome.stderr
    result = samples_of(tmp_path / "n.tif")
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, fused(fusion, Pair(pair.ms, wide), tmp_path / "w.tif", "--method", method))
    if method != "brovey":  # which keeps the scale of PAN
        assert result.max() > 900


@pytest.mark.parametrize("method", ["exp", "mtf-glp", "mtf-glp-fs", "gs", "gsa"])
def test_negative_floats(fusion, tmp_path, method):
    """Methods that add detail commute with any linear rescaling, into negative numbers too."""
    pair = gentle_pair(tmp_path)
    plain = fused(fusion, pair, tmp_path / "plain.tif", "--method", method)
    shifted = Pair(*(rewritten(p, f"x{p.name}", (samples_of(p) - 600) / 1000) for p in (pair.ms, pair.pan)))
    result = fused(fusion, shifted, tmp_path / "shifted.tif", "--method", method)
    assert result.dtype == np.float32
    assert result.min() < -0.1
    np.testing.assert_allclose(result, (plain - 600) / 1000, atol=2e-4)


@pytest.mark.parametrize("method", ["mtf-glp-fs", "mtf-glp-hpm", "bt-h", "brovey"])
def test_values_never_land_on_nodata(make_pair, fusion, tmp_path, method):
    """Nodata in the middle of the data's range, absent from both inputs: every pixel is valid, before and after."""
    pair = make_pair()
    plain = fused(fusion, pair, tmp_path / "plain.tif", "--method", method)
    assert (plain == 600).any()
    declared = [samples_of(path) for path in (pair.ms, pair.pan)]
    for samples in declared:
        samples[samples == 600] = 601
    files = [rewritten(p, f"nd_{p.name}", s, nodata=600) for p, s in zip((pair.ms, pair.pan), declared, strict=True)]
    result = fused(fusion, Pair(*files), tmp_path / "declared.tif", "--method", method)
    with rasterio.open(tmp_path / "declared.tif") as dataset:
        assert dataset.nodata == 600
        assert dataset.read_masks().all()
    assert not (result == 600).any()


def test_zero_as_nodata_does_not_swallow_shadows(make_pair, fusion, tmp_path):
    pair = make_pair()
    dark = [rewritten(p, f"dark_{p.name}", np.maximum(samples_of(p), 500) - 499, nodata=0) for p in (pair.ms, pair.pan)]
    result = fused(fusion, Pair(*dark), tmp_path / "fused.tif")
    assert result.min() == 1


def test_dtype(make_pair, fusion, tmp_path):
    pair = make_pair()
    as_is = fused(fusion, pair, tmp_path / "u16.tif")
    exact = fused(fusion, pair, tmp_path / "f32.tif", "--dtype", "float32")
    assert (as_is.dtype, exact.dtype) == (np.uint16, np.float32)
    np.testing.assert_array_equal(as_is, np.rint(exact).clip(0, 65535))


def test_narrow_dtype_clips_instead_of_wrapping(make_pair, fusion, tmp_path):
    pair = make_pair()
    as_is = fused(fusion, pair, tmp_path / "u16.tif")
    outcome = fusion("pansharpen", *pair.flags, "-o", tmp_path / "u8.tif", "--dtype", "uint8")
    np.testing.assert_array_equal(samples_of(tmp_path / "u8.tif"), as_is.clip(0, 255))
    assert "of the samples were clipped to 0 … 255" in outcome.stderr


@pytest.mark.parametrize("dtype", ["uint32", "int32"])
def test_widest_integers_do_not_wrap(make_pair, fusion, tmp_path, dtype):
    """The largest number of these types rounds up as a float."""
    pair = make_pair()
    top = np.iinfo(dtype).max
    factor = top // 1200
    high = [rewritten(p, f"high_{p.name}", samples_of(p).astype(dtype) * factor) for p in (pair.ms, pair.pan)]
    result = fused(fusion, Pair(*high), tmp_path / "fused.tif", "--fast").astype(float)
    plain = fused(fusion, pair, tmp_path / "plain.tif", "--dtype", "float64", "--fast") * factor
    assert (plain > top).any()
    assert np.abs(result - plain.clip(np.iinfo(dtype).min, top)).max() < 1e-4 * top


def test_sixty_four_bit_integers_need_a_word(make_pair, fusion, tmp_path):
    pair = make_pair()
    ms = rewritten(pair.ms, "wide.tif", samples_of(pair.ms).astype("int64"))
    outcome = fusion("pansharpen", "--ms", ms, "--pan", pair.pan, "-o", tmp_path / "fused.tif")
    assert outcome.code == 2
    assert "dtype int64 cannot be written" in outcome.stderr
    result = fused(fusion, Pair(ms, pair.pan), tmp_path / "fused.tif", "--dtype", "uint16")
    np.testing.assert_array_equal(result, fused(fusion, pair, tmp_path / "plain.tif"))


def test_relative_pan_weights(make_pair, fusion, tmp_path):
    """Published weights seldom sum to one; they are shares."""
    pair = make_pair()
    brovey = "--method", "brovey", "--pan-weights"
    shares = fused(fusion, pair, tmp_path / "a.tif", *brovey, "0.1,0.2,0.3,0.4")
    relative = fused(fusion, pair, tmp_path / "b.tif", *brovey, "1 2 3 4")
    assert np.abs(shares.astype(int) - relative).max() <= 1
    assert abs(shares.mean() / samples_of(pair.ms).mean() - 1) < 0.05
