"""Verdicts, offsets and extents of MS/PAN pairs, with figures worked out by hand and random lattices."""

import numpy as np
import pytest
from affine import Affine

from fusioncli.core.grid import Grid, Verdict, align, in_frame_of
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError

PAN_PX = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)
SEEDS = range(40)


def pan_grid(height, width, transform=PAN_PX):
    return Grid(height, width, transform, "EPSG:32631")


def ms_grid(height, width, ratio, offset=(0.0, 0.0), transform=PAN_PX):
    """An MS whose first corner lies `offset` (rows, columns) PAN px from PAN's; a ratio for both axes or for each."""
    rows, cols = ratio if isinstance(ratio, tuple) else (ratio, ratio)
    placed = transform @ Affine.translation(offset[1], offset[0]) @ Affine.scale(cols, rows)
    return Grid(height, width, placed, "EPSG:32631")


class TestPaste:
    @pytest.mark.parametrize("ratio", [1, 2, 3, 4, 5, 15, 32])
    def test_same_corner_and_whole_ratio(self, ratio):
        found = align(ms_grid(20, 30, ratio), pan_grid(20 * ratio, 30 * ratio))
        assert found.verdict is Verdict.PASTE
        assert found.reason == "every MS pixel covers whole PAN pixels"
        assert (found.ratio, found.gsd_ratio) == (ratio, pytest.approx((ratio, ratio)))
        assert found.output == found.scene == found.output_in_scene == Rect(0, 0, 20 * ratio, 30 * ratio)
        assert found.origin == found.ms_origin == (0, 0)

    def test_ms_reaches_beyond_pan_on_every_side(self):
        found = align(ms_grid(20, 30, 4, offset=(-8, -12)), pan_grid(50, 60))
        assert found.verdict is Verdict.PASTE
        assert found.output == Rect(0, 0, 50, 60)
        assert found.origin == (0, 0)
        assert found.ms_origin == (2, 3)
        assert found.scene == Rect(0, 0, 52, 60)

    def test_pan_reaches_beyond_ms_on_every_side(self):
        found = align(ms_grid(10, 12, 4, offset=(8, 20)), pan_grid(100, 100))
        assert found.output == Rect(8, 20, 48, 68)
        assert (found.origin, found.ms_origin) == ((8, 20), (0, 0))
        assert found.output_in_scene == found.scene == Rect(0, 0, 40, 48)

    def test_pan_corner_inside_an_ms_pixel(self):
        """PAN starts one row and three columns into an MS pixel: whole PAN px, so still pasted."""
        found = align(ms_grid(20, 30, 4, offset=(-1, -7)), pan_grid(64, 64))
        assert found.verdict is Verdict.PASTE
        assert found.offset_px == pytest.approx((-1, -7))
        assert found.output == Rect(0, 0, 64, 64)
        assert found.origin == (-1, -3)
        assert found.ms_origin == (0, 1)
        assert found.scene == Rect(0, 0, 68, 68)
        assert found.output_in_scene == Rect(1, 3, 65, 67)

    def test_odd_pan_sizes(self):
        found = align(ms_grid(26, 31, 4), pan_grid(101, 121))
        assert found.verdict is Verdict.PASTE
        assert found.output == Rect(0, 0, 101, 121)
        assert found.scene == Rect(0, 0, 104, 124)

    def test_south_up_on_both_sides(self):
        up = Affine(0.5, 0, 500000.0, 0, 0.5, 5700000.0)
        found = align(ms_grid(20, 30, 4, transform=up), pan_grid(80, 120, up))
        assert found.verdict is Verdict.PASTE
        assert found.output == Rect(0, 0, 80, 120)

    def test_both_rotated_alike(self):
        turned = PAN_PX @ Affine.rotation(30)
        found = align(ms_grid(20, 30, 4, transform=turned), pan_grid(80, 120, turned))
        assert found.verdict is Verdict.PASTE
        assert found.gsd_ratio == pytest.approx((4, 4))

    @pytest.mark.parametrize(
        ("offset", "verdict"), [(0.039, Verdict.PASTE), (-0.039, Verdict.PASTE), (0.041, Verdict.SNAP)]
    )
    def test_tolerance_is_a_hundredth_of_an_ms_pixel(self, offset, verdict):
        assert align(ms_grid(20, 30, 4, offset=(0, offset)), pan_grid(80, 120)).verdict is verdict

    def test_worldview_ratio_is_whole_while_the_drift_stays_below_a_hundredth_of_an_ms_pixel(self):
        """At 4.000246 PAN px per MS px corners drift apart by 0.04 PAN px after 162.6 MS px."""
        assert align(ms_grid(162, 100, 4.000246), pan_grid(648, 400)).verdict is Verdict.PASTE
        assert align(ms_grid(100, 162, 4.000246), pan_grid(400, 648)).verdict is Verdict.PASTE
        long = align(ms_grid(164, 100, 4.000246), pan_grid(656, 400))
        assert long.verdict is Verdict.SNAP
        assert "4.000246" in long.reason and "not" in long.reason
        assert long.ratio == 4


class TestSnap:
    def test_landsat_half_pixel(self):
        """Landsat's PAN starts half a PAN pixel inside its MS."""
        found = align(ms_grid(50, 60, 2, offset=(-0.5, -1.5)), pan_grid(99, 121))
        assert found.verdict is Verdict.SNAP
        assert "-0.500 rows" in found.reason and "-1.500 columns" in found.reason
        assert found.ratio == 2
        assert found.offset_px == pytest.approx((-0.5, -1.5))
        assert found.origin == (0, 0)
        assert found.output == Rect(0, 0, 99, 118)  # MS ends at 99.5 and 118.5 PAN px
        assert found.scene == Rect(0, 0, 100, 118)

    def test_cells_count_from_the_pan_corner(self):
        """The first cell's centre, at 2.0, lies inside the MS by rows (from 0.5) but not by columns (from 2.25)."""
        found = align(ms_grid(50, 60, 4, offset=(0.5, 2.25)), pan_grid(300, 300))
        assert found.verdict is Verdict.SNAP
        assert found.origin == (0, 4)
        assert found.output == Rect(1, 4, 200, 242)  # MS ends at 200.5 and 242.25

    def test_the_grid_does_not_depend_on_where_the_ms_starts(self):
        """Rasters cut out of one PAN and MS in different places are resampled onto one lattice."""
        cuts = [align(ms_grid(50, 60, 4, offset=(0.5 + 4 * k, 2.25)), pan_grid(300, 300)) for k in range(5)]
        assert {(cut.origin[0] % 4, cut.origin[1] % 4) for cut in cuts} == {(0, 0)}

    def test_ratio_two_and_a_half(self):
        found = align(ms_grid(40, 60, 2.5), pan_grid(100, 150))
        assert found.verdict is Verdict.SNAP
        assert "2.5" in found.reason
        assert found.ratio == 2  # never coarser than the sensor
        assert found.gsd_ratio == pytest.approx((2.5, 2.5))
        assert found.output == Rect(0, 0, 100, 150)

    @pytest.mark.parametrize(
        ("ratio", "model_ratio"), [((4, 2), 2), ((2.0, 3.0), 2), ((3.9, 4.1), 3), ((3.995, 3.995), 4)]
    )
    def test_ratios_that_differ_by_axis_or_are_not_whole(self, ratio, model_ratio):
        rows, cols = ratio
        found = align(ms_grid(300, 300, ratio), pan_grid(int(300 * rows), int(300 * cols)))
        assert found.verdict is Verdict.SNAP
        assert found.gsd_ratio == pytest.approx(ratio)
        assert found.ratio == model_ratio
        assert (f"{rows:g} x {cols:g}" if rows != cols else f"{rows:g},") in found.reason


class TestWarp:
    def test_other_crs(self):
        ms = Grid(20, 30, Affine(1e-5, 0, 3.0, 0, -1e-5, 51.5), "EPSG:4326")
        found = align(ms, pan_grid(80, 120), ms_to_pan=ms_grid(20, 30, 4).transform)
        assert found.verdict is Verdict.WARP
        assert found.reason == "MS is in EPSG:4326, PAN in EPSG:32631"
        assert found.ratio == 4
        assert found.output == Rect(0, 0, 80, 120)

    def test_rotated_against_pan(self):
        turned = ms_grid(20, 30, 4).transform @ Affine.rotation(10)
        found = align(Grid(20, 30, turned, "EPSG:32631"), pan_grid(80, 120))
        assert found.verdict is Verdict.WARP
        assert "rotated" in found.reason
        assert found.gsd_ratio == pytest.approx((4, 4))

    def test_flipped_against_pan(self):
        up = PAN_PX @ Affine.translation(0, 80) @ Affine.scale(4, -4)  # stored from the last row to the first
        found = align(Grid(20, 30, up, "EPSG:32631"), pan_grid(80, 120))
        assert found.verdict is Verdict.WARP
        assert "flipped" in found.reason
        assert found.output == Rect(0, 0, 80, 120)

    def test_a_rotation_that_moves_no_corner_is_ignored(self):
        hardly = ms_grid(20, 30, 4).transform @ Affine.rotation(0.001)
        assert align(Grid(20, 30, hardly, "EPSG:32631"), pan_grid(80, 120)).verdict is Verdict.PASTE


class TestRefusals:
    def test_inputs_swapped(self):
        with pytest.raises(DataError, match=r"0\.25 PAN pixels wide") as caught:
            align(pan_grid(80, 120), ms_grid(20, 30, 4))
        assert "swapped" in caught.value.hint

    def test_ratio_above_32(self):
        with pytest.raises(DataError, match="33 PAN pixels wide, more than 32"):
            align(ms_grid(20, 30, 33), pan_grid(660, 990))

    def test_ratio_of_one_axis_below_one(self):
        with pytest.raises(DataError, match=r"0\.5 PAN pixels wide"):
            align(ms_grid(20, 30, (4, 0.5)), pan_grid(80, 15))

    def test_same_georeferencing_with_sizes_times_four(self):
        with pytest.raises(DataError, match="contradicts the sizes: MS is 30 x 20 px, PAN 120 x 80 px") as caught:
            align(ms_grid(20, 30, 1), pan_grid(80, 120))
        assert "--ignore-georef" in caught.value.hint

    @pytest.mark.parametrize("offset", [(400, 0), (0, 400), (-80, 0), (0, -120), (1e6, 1e6)])
    def test_no_overlap(self, offset):
        with pytest.raises(DataError, match="do not overlap: MS spans x ") as caught:
            align(ms_grid(20, 30, 4, offset=offset), pan_grid(80, 120))
        assert "fusion info" in caught.value.hint

    @pytest.mark.parametrize("offset", [(79.5, 0.5), (0.5, 118.5), (78.5, 0.5), (-79.3, 0.0)])
    def test_snap_with_less_than_half_an_ms_pixel_in_common(self, offset):
        with pytest.raises(DataError, match="overlap"):
            align(ms_grid(20, 30, 4, offset=offset), pan_grid(80, 120))


class TestWithoutGeoreferencing:
    def bare(self, height, width):
        return Grid(height, width, Affine.identity())

    def test_whole_ratio_from_the_sizes(self):
        ms, note = in_frame_of(self.bare(80, 120), self.bare(20, 30))
        assert ms.transform.almost_equals(Affine.scale(4))
        assert note is not None and "same corner" in note and "ratio 4" in note
        assert align(ms, self.bare(80, 120)).verdict is Verdict.PASTE

    def test_ragged_pan_keeps_the_whole_ratio(self):
        """PAN has up to ratio - 1 px more or fewer than MS x ratio."""
        ms, _ = in_frame_of(self.bare(83, 117), self.bare(20, 30))
        assert ms.transform.almost_equals(Affine.scale(4))
        assert align(ms, self.bare(83, 117)).output == Rect(0, 0, 80, 117)

    def test_other_sizes_stretch(self):
        ms, _ = in_frame_of(self.bare(100, 150), self.bare(40, 60))
        found = align(ms, self.bare(100, 150))
        assert found.verdict is Verdict.SNAP
        assert found.gsd_ratio == pytest.approx((2.5, 2.5))

    def test_ms_larger_than_pan_is_refused(self):
        ms, _ = in_frame_of(self.bare(20, 30), self.bare(80, 120))
        with pytest.raises(DataError, match="PAN must be the finer raster"):
            align(ms, self.bare(20, 30))

    def test_only_one_is_georeferenced(self):
        with pytest.raises(DataError, match=r"^MS has no georeferencing"):
            in_frame_of(pan_grid(80, 120), self.bare(20, 30))
        with pytest.raises(DataError, match=r"^PAN has no georeferencing"):
            in_frame_of(self.bare(80, 120), ms_grid(20, 30, 4))

    def test_nothing_is_assumed_about_georeferenced_grids(self):
        ms = ms_grid(20, 30, 4)
        assert in_frame_of(pan_grid(80, 120), ms) == (ms, None)


class TestGrid:
    def test_bounds_of_a_rotated_grid(self):
        grid = Grid(10, 20, Affine.rotation(90), None)  # columns go up, rows go left
        assert grid.bounds == pytest.approx((-10, 0, 0, 20))

    def test_windows_and_coarser_grids_keep_pixels_in_place(self):
        part = pan_grid(80, 120).window(Rect(10, 20, 30, 60))
        assert (part.height, part.width) == (20, 40)
        assert part.transform @ (0, 0) == pytest.approx(PAN_PX @ (20, 10))
        assert part.crs == "EPSG:32631"
        grid = pan_grid(80, 120).coarser(4, 20, 30)
        assert grid.transform @ (0, 0) == PAN_PX @ (0, 0)
        assert grid.transform @ (30, 20) == pytest.approx(PAN_PX @ (120, 80))


class TestArea:
    def test_area_keeps_the_lattice(self):
        whole = align(ms_grid(20, 30, 4, offset=(-1, -7)), pan_grid(64, 64))
        part = whole.within(Rect(10, 11, 31, 40))
        assert part.output == Rect(10, 11, 31, 40)
        assert part.origin == (7, 9)  # -1 + 2 · 4 and -3 + 3 · 4: the last MS corners at or before (10, 11)
        assert part.ms_origin == (2, 4)
        assert part.scene == Rect(0, 0, 24, 32)

    def test_area_reaching_outside_is_cut_or_refused(self):
        whole = align(ms_grid(20, 30, 4), pan_grid(80, 120))
        assert whole.within(Rect(-5, 100, 20, 500)).output == Rect(0, 100, 20, 120)
        with pytest.raises(DataError, match="area of interest") as caught:
            whole.within(Rect(80, 0, 100, 120))
        assert "--bounds" in caught.value.hint

    @pytest.mark.parametrize("seed", SEEDS)
    def test_random_areas(self, seed):
        rng = np.random.default_rng(seed)
        whole, ms, pan = random_alignment(rng)
        rows, cols = (sorted(rng.integers(start, end, 2)) for start, end in zip(corner(whole), far(whole), strict=True))
        part = whole.within(Rect(rows[0], cols[0], rows[1] + 1, cols[1] + 1))
        check(part, ms, pan)
        for axis in range(2):
            moved = part.origin[axis] - whole.origin[axis]
            assert moved % whole.ratio == 0
            assert part.ms_origin[axis] - whole.ms_origin[axis] == moved // whole.ratio


def corner(alignment):
    return alignment.output.row0, alignment.output.col0


def far(alignment):
    return alignment.output.row1, alignment.output.col1


def random_alignment(rng, whole_px=None):
    """An MS somewhere around a PAN, with at least an MS pixel in common."""
    whole_px = bool(rng.integers(2)) if whole_px is None else whole_px
    ratio = int(rng.integers(1, 9)) if whole_px else float(rng.uniform(1.05, 8))
    ms_shape, pan_shape = rng.integers(3, 60, 2), rng.integers(9, 200, 2)
    low = -ratio * (ms_shape - 2)
    offset = rng.integers(np.ceil(low), pan_shape - 2 * ratio) if whole_px else rng.uniform(low, pan_shape - 2 * ratio)
    ms, pan = ms_grid(*map(int, ms_shape), ratio, tuple(map(float, offset))), pan_grid(*map(int, pan_shape))
    return align(ms, pan), ms, pan


def check(alignment, ms, pan):
    """What must hold for every pair, recomputed from the transforms."""
    into_pan = ~pan.transform @ ms.transform
    ratio, slack = alignment.ratio, 0.051
    ms_start, ms_end = (into_pan.f, into_pan.c), (into_pan @ (ms.width, ms.height))[::-1]
    sizes = (alignment.scene.height, alignment.scene.width)
    inside = alignment.output_in_scene
    for axis in range(2):
        start, end, origin = corner(alignment)[axis], far(alignment)[axis], alignment.origin[axis]
        assert 0 <= start < end <= (pan.height, pan.width)[axis]
        assert ms_start[axis] - slack <= start and end <= ms_end[axis] + slack
        assert origin <= start < origin + ratio
        assert sizes[axis] % ratio == 0
        assert end <= origin + sizes[axis] < end + ratio
        assert (inside.row0, inside.col0)[axis] == start - origin
        assert (inside.row1, inside.col1)[axis] == end - origin
        cells = sizes[axis] // ratio
        if alignment.verdict is Verdict.PASTE:
            assert origin == pytest.approx(ms_start[axis] + alignment.ms_origin[axis] * ratio, abs=0.01 * ratio)
            assert 0 <= alignment.ms_origin[axis] <= (ms.height, ms.width)[axis] - cells
        else:  # the centre of every cell can be interpolated
            assert ms_start[axis] <= origin + ratio / 2 + slack
            assert origin + (cells - 0.5) * ratio <= ms_end[axis] + slack


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("whole_px", [True, False])
def test_random_pairs(seed, whole_px):
    alignment, ms, pan = random_alignment(np.random.default_rng(1000 + seed), whole_px)
    assert alignment.verdict is (Verdict.PASTE if whole_px else Verdict.SNAP)
    check(alignment, ms, pan)


@pytest.mark.parametrize("seed", SEEDS)
def test_paste_covers_all_that_both_rasters_hold(seed):
    """With whole-pixel offsets the output is exactly the integer intersection."""
    rng = np.random.default_rng(2000 + seed)
    alignment, ms, pan = random_alignment(rng, whole_px=True)
    starts = [round(x) for x in ((~pan.transform @ ms.transform).f, (~pan.transform @ ms.transform).c)]
    ends = [start + n * alignment.ratio for start, n in zip(starts, (ms.height, ms.width), strict=True)]
    expected = Rect(*(max(0, s) for s in starts), min(ends[0], pan.height), min(ends[1], pan.width))
    assert alignment.output == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_snap_loses_less_than_one_ms_pixel(seed):
    alignment, ms, pan = random_alignment(np.random.default_rng(3000 + seed), whole_px=False)
    into_pan = ~pan.transform @ ms.transform
    ends = (into_pan @ (ms.width, ms.height))[::-1]
    for axis, start in enumerate((into_pan.f, into_pan.c)):
        assert corner(alignment)[axis] < max(0, start) + alignment.ratio
        assert far(alignment)[axis] > min((pan.height, pan.width)[axis], ends[axis]) - alignment.ratio
