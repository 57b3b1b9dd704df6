"""Tiles and parts: every pixel once, weights that sum to one, and the same tiles from wherever one looks."""

from dataclasses import replace

import numpy as np
import pytest

from fusioncli.core import tiling
from fusioncli.core.tiling import Blend, Exact, Rect, Tiling, Untiled, Whole, blend_weights, parts

SEEDS = range(25)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiling, "TILE_PX", 32)


def plan(height, width, rule, ratio=4, bands=4, masked=False):
    return Tiling.of(Rect(0, 0, height, width), ratio, rule, bands, masked)


def random_plan(seed, rule=None):
    """A scene of whole MS pixels, often smaller than a tile or ragged, and a rule."""
    rng = np.random.default_rng(seed)
    ratio = int(rng.integers(1, 6))
    height, width = (int(n) * ratio for n in rng.integers(1, 120 // ratio + 1, 2))
    tile_px = int(rng.integers(2, 12)) * ratio
    overlap_px = int(rng.integers(0, tile_px // 2 + 1))
    rules = [Exact(int(rng.integers(0, 20))), Whole(int(rng.integers(0, 20))), Blend(tile_px, overlap_px)]
    rule = {"exact": rules[0], "whole": rules[1], "blend": rules[2], None: rules[seed % 3]}[rule]
    return plan(height, width, rule, ratio, masked=bool(rng.integers(2))), rng


def random_area(rng, scene):
    rows, cols = (sorted(map(int, rng.integers(0, n, 2))) for n in (scene.height, scene.width))
    return Rect(rows[0], cols[0], rows[1] + 1, cols[1] + 1)


def key(tile):
    weights = tuple(None if w is None else w.tobytes() for w in (tile.row_weight, tile.col_weight))
    return tile.read, tile.keep, weights


def coverage(plan, tiles):
    """Summed weight at every pixel of the scene."""
    total = np.zeros((plan.scene.height, plan.scene.width))
    for tile in tiles:
        rows = np.ones(tile.keep.height) if tile.row_weight is None else tile.row_weight
        cols = np.ones(tile.keep.width) if tile.col_weight is None else tile.col_weight
        assert rows.shape == (tile.keep.height,) and cols.shape == (tile.keep.width,)
        total[tile.keep.slices(plan.scene)] += np.outer(rows, cols)
    return total


class TestExact:
    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("rule", ["exact", "whole"])
    def test_every_pixel_is_kept_once(self, rule, seed):
        tiling, _ = random_plan(seed, rule)
        assert (coverage(tiling, tiling.tiles(tiling.scene)) == 1).all()

    @pytest.mark.parametrize("seed", SEEDS)
    def test_windows_are_equal_large_and_on_ms_pixel_corners(self, seed):
        tiling, _ = random_plan(seed, "exact")
        for tile in tiling.tiles(tiling.scene):
            read = tile.read
            assert (read.height, read.width) == tiling.largest_px
            assert all(edge % tiling.ratio == 0 for edge in (read.row0, read.col0, read.row1, read.col1))

    @pytest.mark.parametrize("masked", [False, True])
    def test_halo_reaches_the_pixels_a_result_depends_on(self, masked):
        tiling = plan(100, 100, Exact(7), ratio=4, masked=masked)
        need = 14 if masked else 7  # nearest valid neighbours of what the filter sees
        assert tiling.halo_px == (16 if masked else 8)
        for tile in tiling.tiles(tiling.scene):
            assert tile.read.intersect(tile.keep.grow(need)) == tile.keep.grow(need)

    def test_side_is_a_multiple_of_the_ratio(self):
        assert plan(300, 300, Exact(0), ratio=3).tile_px == 30
        assert plan(300, 300, Exact(0), ratio=15).tile_px == 30
        assert plan(300, 300, Exact(0), ratio=40).tile_px == 40

    def test_side_shrinks_with_bands_but_not_below_a_few_halos(self, monkeypatch):
        monkeypatch.setattr(tiling, "TILE_PX", 8192)
        sides = {bands: plan(9000, 300, Exact(0), ratio=1, bands=bands).tile_px for bands in (1, 64, 256, 10**6, 10**7)}
        assert sides[1] == 8192
        assert sides[64] == 2 * sides[256] < 8192
        assert 100 < sides[10**6] == sides[10**7] < sides[256]


class TestBlend:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_weights_sum_to_one_everywhere(self, seed):
        tiling, _ = random_plan(seed, "blend")
        np.testing.assert_allclose(coverage(tiling, tiling.tiles(tiling.scene)), 1, atol=1e-6)

    @pytest.mark.parametrize("length", [64, 65, 68, 100, 111, 112, 113, 160])
    def test_weights_sum_to_one_with_ragged_ends(self, length):
        tiling = plan(length, 3 * length, Blend(64, 16), ratio=1)
        np.testing.assert_allclose(coverage(tiling, tiling.tiles(tiling.scene)), 1, atol=1e-6)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_weights_are_positive_and_at_most_one(self, seed):
        tiling, _ = random_plan(seed, "blend")
        for tile in tiling.tiles(tiling.scene):
            for weight in (tile.row_weight, tile.col_weight):
                assert weight is not None and weight.dtype == np.float32
                assert (weight > 0).all() and (weight <= 1).all()

    @pytest.mark.parametrize("seed", SEEDS)
    def test_every_tile_has_the_training_size_and_lies_inside_the_scene(self, seed):
        tiling, _ = random_plan(seed, "blend")
        for tile in tiling.tiles(tiling.scene):
            assert tile.read.height == tile.read.width == tiling.rule.tile_px
            assert tile.read.row0 % tiling.ratio == tile.read.col0 % tiling.ratio == 0
            if tiling.scene.height >= tiling.rule.tile_px:
                assert tile.read.row0 >= 0 and tile.read.row1 <= tiling.scene.height

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_halo_is_read_around_tiles_and_changes_nothing_else(self, seed):
        bare, rng = random_plan(seed, "blend")
        halo_px = int(rng.integers(1, 5)) * bare.ratio
        tiling = plan(bare.scene.height, bare.scene.width, replace(bare.rule, halo_px=halo_px), bare.ratio, masked=True)
        area = random_area(rng, bare.scene)
        grown = [(tile.read.grow(halo_px), *key(tile)[1:]) for tile in bare.tiles(area)]
        assert [key(tile) for tile in tiling.tiles(area)] == grown
        assert tiling.largest_px == (bare.rule.tile_px + 2 * halo_px,) * 2

    def test_scene_smaller_than_a_tile_is_one_tile(self):
        tiling = plan(20, 40, Blend(64, 16))
        (tile,) = tiling.tiles(tiling.scene)
        assert tile.read == Rect(0, 0, 64, 64)
        assert tile.keep == Rect(0, 0, 20, 40)
        assert (tile.row_weight == 1).all() and (tile.col_weight == 1).all()

    def test_ramps_follow_sin_squared_and_stop_at_scene_edges(self):
        first, last = blend_weights([0, 48], 64, 112)
        ramp = np.sin(np.pi / 2 * (np.arange(16) + 0.5) / 16) ** 2
        np.testing.assert_allclose(first, [*np.ones(48), *ramp[::-1]], atol=1e-6)
        np.testing.assert_allclose(last, [*ramp, *np.ones(48)], atol=1e-6)

    def test_last_tile_is_shifted_inward(self):
        tiling = plan(64, 120, Blend(64, 16))
        assert [tile.read.col0 for tile in tiling.tiles(tiling.scene)] == [0, 48, 56]

    def test_without_overlap_nothing_is_blended(self):
        tiling = plan(64, 128, Blend(64, 0))
        assert [tile.read.col0 for tile in tiling.tiles(tiling.scene)] == [0, 64]
        assert all((tile.col_weight == 1).all() for tile in tiling.tiles(tiling.scene))


class TestUntiled:
    def test_the_scene_is_one_tile_from_everywhere(self):
        tiling = plan(100, 200, Untiled())
        assert tiling.halo_px == 0
        assert tiling.largest_px == (100, 200)
        for area in (tiling.scene, Rect(7, 9, 8, 10)):
            (tile,) = tiling.tiles(area)
            assert tile.read == tile.keep == tiling.scene
            assert tile.row_weight is None


@pytest.mark.parametrize("seed", range(60))
def test_an_area_sees_the_tiles_of_the_whole_scene(seed):
    """The owner computes every tile that touches its area, in the scene's order, and no other."""
    tiling, rng = random_plan(seed)
    area = random_area(rng, tiling.scene)
    expected = [key(tile) for tile in tiling.tiles(tiling.scene) if not tile.keep.intersect(area).empty]
    assert [key(tile) for tile in tiling.tiles(area)] == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_partition_the_output(seed):
    rng = np.random.default_rng(seed)
    row, col = map(int, rng.integers(0, 10, 2))
    output = Rect(row, col, row + int(rng.integers(1, 90)), col + int(rng.integers(1, 90)))
    part_px = int(rng.integers(1, 100))
    count = np.zeros((output.height, output.width), int)
    for part in parts(output, part_px):
        assert 0 < part.height <= part_px and 0 < part.width <= part_px
        count[part.slices(output)] += 1
    assert (count == 1).all()


def test_parts_go_row_by_row():
    corners = [(part.row0, part.col0) for part in parts(Rect(0, 0, 30, 25), 20)]
    assert corners == [(0, 0), (0, 20), (20, 0), (20, 20)]


def test_rect():
    rect = Rect(2, 3, 10, 7)
    assert (rect.height, rect.width, rect.empty) == (8, 4, False)
    assert rect.intersect(Rect(0, 5, 4, 100)) == Rect(2, 5, 4, 7)
    assert rect.intersect(Rect(10, 3, 12, 7)).empty
    assert rect.grow(2) == Rect(0, 1, 12, 9)
    assert rect.shift(5, -1) == Rect(7, 2, 15, 6)
    assert Rect(4, 5, 6, 7).slices(rect) == (slice(2, 4), slice(2, 4))
