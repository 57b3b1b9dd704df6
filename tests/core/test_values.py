"""From floats to samples: rounding, clipping and nodata, checked value by value."""

import numpy as np
import pytest
import rasterio

from fusioncli.core.values import SAMPLE_TYPES, OutputValues, quantise, sample_type
from fusioncli.errors import UsageError

NAN, INF = float("nan"), float("inf")
FLOAT_MAX = float(np.finfo(np.float32).max)


def samples_of(numbers, values, valid=None, kind=np.float32):
    """One row of numbers through `quantise`."""
    mask = None if valid is None else np.array(valid, bool)[None, None]
    return quantise(np.array(numbers, kind)[None, None], mask, values)


def row(numbers, values, valid=None, kind=np.float32):
    samples, _ = samples_of(numbers, values, valid, kind)
    assert samples.dtype.name == values.dtype
    return samples[0, 0].tolist()


class TestRounding:
    def test_halves_go_to_even(self):
        numbers = [0.5, 1.5, 2.5, 3.5, 2.49, 2.51, 1000.5, 1001.5]
        assert row(numbers, OutputValues.of("uint16", None)) == [round(x) for x in numbers]

    def test_negative_halves(self):
        numbers = [-0.5, -1.5, -2.5, -2.51]
        assert row(numbers, OutputValues.of("int16", None)) == [0, -2, -2, -3]

    def test_floats_are_kept(self):
        numbers = [0.1, -1e-30, 12345.678]
        assert row(numbers, OutputValues.of("float32", None)) == np.float32(numbers).tolist()
        assert row(numbers, OutputValues.of("float64", None), kind=np.float64) == numbers


class TestClipping:
    @pytest.mark.parametrize("dtype", [name for name in SAMPLE_TYPES if "int" in name])
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    @pytest.mark.filterwarnings("error")
    def test_integers_never_wrap(self, dtype, kind):
        """Also where the type's largest number does not exist in float32."""
        info = np.iinfo(dtype)
        low, high = float(info.min), float(info.max)
        numbers = [low - 3, high + 1, high + 70000, -1e30, 1e30, -INF, INF, FLOAT_MAX]
        found = row(numbers, OutputValues.of(dtype, None), kind=kind)
        largest = int(kind(high)) if int(kind(high)) <= info.max else int(np.nextafter(kind(high), kind(0)))
        assert found == [info.min, largest, largest, info.min, largest, info.min, largest, largest]
        assert largest > 0.9999999 * high

    def test_the_classic_wraps(self):
        assert row([-3, 70000], OutputValues.of("uint16", None)) == [0, 65535]  # a plain cast gives 65533 and 4464

    @pytest.mark.filterwarnings("error")
    def test_infinite_floats_stay_finite(self):
        assert row([INF, -INF], OutputValues.of("float32", None)) == [FLOAT_MAX, -FLOAT_MAX]

    def test_bit_depth(self):
        assert row([-1, 2047.4, 2047.5, 3000], OutputValues.of("uint16", None, 11)) == [0, 2047, 2047, 2047]
        assert row([-1, 2047.25, 3000], OutputValues.of("float32", None, 11)) == [0, 2047, 2047]
        assert row([-5, 3000], OutputValues.of("int16", None, 11)) == [0, 2047]

    def test_bit_depth_beyond_the_precision_of_float32(self):
        assert row([2.0**31, 1e10], OutputValues.of("uint32", None, 31)) == [2**31 - 128] * 2

    def test_count_of_clipped_samples(self):
        """Half a number beyond the range still rounds into it: not clipped."""
        numbers = [-0.4, -0.6, 65535.4, 65536.0, INF, 7, NAN]
        assert samples_of(numbers, OutputValues.of("uint16", None))[1] == 3
        assert samples_of(numbers, OutputValues.of("uint16", 0.0), [1, 0, 1, 1, 0, 1, 1])[1] == 1
        assert samples_of([1, 2, 3], OutputValues.of("uint8", None))[1] == 0

    def test_count_over_bands_with_one_mask(self):
        fused = np.array([[[300.0, 1.0]], [[300.0, -9.0]]], np.float32)
        valid = np.array([[[True, False]]])
        assert quantise(fused, valid, OutputValues.of("uint8", 0.0))[1] == 2


class TestNodata:
    @pytest.mark.parametrize(
        ("dtype", "nodata", "numbers", "expected"),
        [
            ("uint16", 0, [0, 0.4, -7, 1], [1, 1, 1, 1]),
            ("uint16", 65535, [65535, 65534.6, 9e9], [65534, 65534, 65534]),
            ("uint8", 255, [255, 300, 254], [254, 254, 254]),
            ("int16", -32768, [-32768, -1e9, 5], [-32767, -32767, 5]),
            ("int16", -9999, [-9999, -9998.7, -9998], [-9998, -9998, -9998]),
            ("int8", 127, [127, 200], [126, 126]),
            ("int32", -(2**31), [-(2.0**31), -1e12], [1 - 2**31, 1 - 2**31]),
            ("uint32", 2**32 - 1, [2.0**32 - 1, 1e12], [2**32 - 256, 2**32 - 256]),
        ],
    )
    def test_valid_integers_never_land_on_it(self, dtype, nodata, numbers, expected):
        assert row(numbers, OutputValues.of(dtype, nodata)) == expected

    def test_bit_depth_that_ends_at_it(self):
        assert row([5000], OutputValues.of("uint16", 2047, 11)) == [2046]

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("nodata", [-9999.0, 0.0, 1000.0, 1e-30, -1e30])
    @pytest.mark.filterwarnings("error", "ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_gdal_sees_valid_floats_as_valid(self, dtype, nodata, tmp_path):
        """GDAL compares floats with nodata at a tolerance of a few units in the last place."""
        kind = np.dtype(dtype).type
        near = [nodata] * 2
        for _ in range(6):
            near += [np.nextafter(kind(near[-2]), kind(0)), np.nextafter(kind(near[-1]), kind(-1))]
        samples, _ = samples_of([*near, nodata], OutputValues.of(dtype, nodata), [*(1 for _ in near), 0], kind)
        path = tmp_path / "nodata.tif"
        size = {"height": 1, "width": samples.shape[2], "count": 1}
        with rasterio.open(path, "w", driver="GTiff", dtype=dtype, nodata=nodata, **size) as dataset:
            dataset.write(samples)
        with rasterio.open(path) as dataset:
            assert (dataset.read_masks(1)[0] > 0).tolist() == [True] * len(near) + [False]
        np.testing.assert_allclose(samples[0, 0], [*near, nodata], rtol=3e-6, atol=1e-37)

    @pytest.mark.parametrize("nodata", [FLOAT_MAX, -FLOAT_MAX])
    @pytest.mark.filterwarnings("error")
    def test_valid_floats_never_land_on_the_largest_float(self, nodata):
        for found in row([nodata, INF, -INF, 1.0], OutputValues.of("float32", nodata)):
            assert found != nodata and abs(found) <= FLOAT_MAX

    def test_gaps_hold_it(self):
        assert row([5, 6, 7], OutputValues.of("uint16", 0), [1, 0, 1]) == [5, 0, 7]
        assert row([5, 6, 7], OutputValues.of("int16", -9999), [0, 0, 1]) == [-9999, -9999, 7]

    def test_nan_as_nodata(self):
        found = row([5, 6, NAN], OutputValues.of("float32", NAN), [1, 0, 1])
        assert found[0] == 5 and np.isnan(found[1:]).all()

    def test_undefined_results_are_gaps(self):
        assert row([NAN, 5, INF], OutputValues.of("uint16", 0)) == [0, 5, 65535]
        assert row([NAN, 5, 6], OutputValues.of("uint16", 9), [1, 1, 0]) == [9, 5, 9]
        assert row([NAN, 5], OutputValues.of("float32", -9999.0)) == [-9999, 5]

    def test_undefined_results_without_nodata_are_zero(self):
        assert row([NAN, 5], OutputValues.of("uint16", None)) == [0, 5]

    def test_without_nodata_nothing_moves(self):
        values = OutputValues.of("uint16", None)
        assert row([0, 65535], values) == [0, 65535]
        assert row([0, 7], values, [0, 1]) == [0, 7]

    def test_gaps_without_nodata_are_zero(self):
        assert row([5, 7], OutputValues.of("uint16", None), [0, 1]) == [0, 7]
        assert row([5, 7], OutputValues.of("float32", None), [0, 1]) == [0, 7]

    def test_masks_by_band(self):
        fused = np.full((2, 1, 3), 7, np.float32)
        valid = np.array([[[1, 0, 1]], [[0, 1, 1]]], bool)
        samples, _ = quantise(fused, valid, OutputValues.of("uint8", 0))
        assert samples.tolist() == [[[7, 0, 7]], [[0, 7, 7]]]


class TestTypes:
    def test_ranges(self):
        assert OutputValues.of("int16", None) == OutputValues("int16", None, -32768, 32767)
        assert OutputValues.of("uint16", 0, 12) == OutputValues("uint16", 0, 0, 4095)
        assert OutputValues.of("UInt16", None).dtype == "uint16"

    @pytest.mark.parametrize("name", ["foo", "complex64", "int64", "uint64", "float16", "bool", "u2", ""])
    def test_types_that_no_output_has(self, name):
        for refuses in (sample_type, lambda dtype: OutputValues.of(dtype, None)):
            with pytest.raises(UsageError, match="cannot be written") as caught:
                refuses(name)
            assert "uint16" in caught.value.hint

    @pytest.mark.parametrize(
        ("dtype", "nodata"),
        [("uint8", -1), ("uint8", 256), ("uint16", 0.5), ("int16", NAN), ("uint16", INF), ("float32", 1e300)],
    )
    def test_nodata_that_the_type_cannot_hold(self, dtype, nodata):
        with pytest.raises(UsageError, match=f"cannot be stored as {dtype}"):
            OutputValues.of(dtype, nodata)

    def test_bit_depth_that_the_type_cannot_hold(self):
        with pytest.raises(UsageError, match="11 bit do not fit uint8"):
            OutputValues.of("uint8", None, 11)
        with pytest.raises(UsageError, match="16 bit do not fit int16"):
            OutputValues.of("int16", None, 16)

    def test_fill(self):
        assert OutputValues.of("uint8", 3).fill == 3
        assert OutputValues.of("uint8", None).fill == 0
