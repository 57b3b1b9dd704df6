"""INFN's geometry and weights: neighbours, cells without pixels, borders, ties, cosines."""

import math
from fractions import Fraction

import naive_infn
import pytest
import torch

from fusioncli.models.infn import local
from fusioncli.models.infn.positions import SIDES, Axis, Placement

RATIOS = [1, 2, 3, 4, 5, 8, Fraction(5, 2), Fraction(8, 3), Fraction(2, 3)]
PHASES = [0, Fraction(-1, 8), Fraction(1, 3), Fraction(-3, 4)]


def axis(cells, pixels, ratio, phase=0):
    placement = Placement.of_ratio(float(ratio), float(ratio), float(phase))
    return Axis(placement.row_scale, placement.row_offset, cells, pixels)


def lattice(cells, pixels, ratio, phase=0):
    return Placement.of_ratio(float(ratio), float(ratio), float(phase)).lattice(cells, pixels)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("phase", PHASES)
def test_neighbours_are_those_of_exact_fractions(ratio, phase):
    cells, pixels = 7, math.ceil(7 * ratio) + 2
    line = axis(cells, pixels, ratio, phase)
    names = line.repeat(line.extend(torch.arange(cells), 0), 0)
    exact = naive_infn.places(pixels, ratio, phase)
    for side in (0, 1):
        index, distance = naive_infn.neighbours(exact, cells, side)
        assert line.neighbours(names, 0, side).tolist() == index
        ours = 2 * (line.fractions(torch.zeros(0, dtype=torch.float64)) - side)
        assert torch.allclose(ours, torch.tensor(distance, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_part_of_an_axis_is_cut_from_the_whole(ratio):
    whole = axis(9, 30, ratio)
    names = torch.arange(9)
    for start, stop in ((0, 7), (11, 12), (13, 30)):
        part = whole.part(start, stop)
        for side in (0, 1):
            expected = whole.neighbours(whole.repeat(whole.extend(names, 0), 0), 0, side)[start:stop]
            assert torch.equal(part.neighbours(part.repeat(part.extend(names, 0), 0), 0, side), expected)


def test_a_whole_ratio_copies_nothing_per_neighbour():
    line = axis(5, 15, 3)
    ready = line.repeat(line.extend(torch.arange(5), 0), 0)
    assert line.neighbours(ready, 0, 1).untyped_storage().data_ptr() == ready.untyped_storage().data_ptr()


def test_decimation_from_pixel_2_of_4_lies_on_that_pixel():
    line = Placement.of_ratio(4, 4, phase_cells=(4 - 1 - 2 * 2) / 8).lattice((4, 4), (16, 16)).rows
    assert line.positions(torch.zeros(0))[2::4].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("phase", PHASES)
def test_pooling_takes_the_largest_of_the_nearest(ratio, phase):
    torch.manual_seed(1)
    cells, pixels = (5, 6), (math.ceil(5 * ratio) - 2, math.ceil(6 * ratio) + 1)  # rows end before, columns beyond
    guide = torch.randn(2, 3, *(max(n, 1) for n in pixels))
    rows, cols = (naive_infn.places(n, ratio, phase) for n in guide.shape[-2:])
    expected = naive_infn.pooled(guide, rows, cols, cells)
    assert torch.equal(local.pool_guide(guide, lattice(cells, guide.shape[-2:], ratio, phase)), expected)


@pytest.mark.parametrize("ratio", [Fraction(5, 2), Fraction(8, 3)])
def test_pooling_is_the_scattered_maximum(ratio):
    """Where no cell is empty, and no pixel outside: amax by cell number, rows and columns at once."""
    torch.manual_seed(2)
    cells, pixels = (6, 9), (int(6 * ratio), int(9 * ratio))
    guide = torch.randn(1, 2, *pixels)
    u = [torch.tensor([float(x) for x in naive_infn.places(n, ratio)], dtype=torch.float64) for n in pixels]
    ids = (torch.floor(u[0] + 0.5)[:, None] * cells[1] + torch.floor(u[1] + 0.5)).long().flatten()
    flat = torch.full((1, 2, cells[0] * cells[1]), -torch.inf)
    flat.scatter_reduce_(2, ids.expand(1, 2, -1), guide.flatten(2), "amax")
    assert torch.equal(local.pool_guide(guide, lattice(cells, pixels, ratio)), flat.unflatten(2, cells))


def test_pooling_aligned_cells_is_max_pooling():
    torch.manual_seed(3)
    guide = torch.randn(2, 3, 12, 24)
    grids = Placement.of_ratio(3, 4).lattice((4, 6), (12, 24))
    assert grids.rows.aligned and grids.cols.aligned
    expected = torch.nn.functional.adaptive_max_pool2d(guide, (4, 6))
    assert torch.equal(local.pool_guide(guide, grids), expected)
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(local.pool_guide(guide, grids), expected)
    finally:
        torch.use_deterministic_algorithms(False)
    assert not axis(4, 12, 3, Fraction(1, 3)).aligned and axis(4, 16, 4, Fraction(-1, 8)).aligned
    assert not axis(4, 13, 3).aligned and not axis(4, 10, 2.5).aligned


def test_weights_sum_to_one():
    torch.manual_seed(4)
    grids = lattice((5, 6), (13, 16), Fraction(8, 3))
    cosines = torch.rand(2, 13, 16, 4) * 2 - 1
    for temperature in (1.0, 0.01):
        for areas in (None, grids):
            weights = local.weights(cosines, temperature, areas)
            assert (weights >= 0).all() and torch.allclose(weights.sum(-1), torch.ones(2, 13, 16), atol=1e-6)


def test_weights_by_hand():
    """Softmax at temperature 1 is nearly uniform."""
    plain = local.weights(torch.tensor([1, 0.9, 0.9, 0.8]), 1.0, None)
    assert plain.tolist() == pytest.approx([0.276, 0.249, 0.249, 0.226], abs=5e-4)
    plain = local.weights(torch.tensor([1, 0.5, 0.5, 0.2]), 1.0, None)
    assert plain.tolist() == pytest.approx([0.376, 0.228, 0.228, 0.169], abs=5e-4)


def test_equal_cells_weigh_as_bilinear_areas():
    weights = local.weights(torch.ones(1, 8, 8, 4), 1.0, lattice((2, 2), (8, 8), 4))
    near, far = 0.875, 0.125  # pixel 2 lies 1/8 past the centre of cell 0
    assert weights[0, 2, 2].tolist() == pytest.approx([near * near, near * far, far * near, far * far])


def test_the_nearest_cell_is_its_own_best_neighbour():
    torch.manual_seed(5)
    grids = lattice((6, 7), (18, 21), 3)
    latent = grids.extend(torch.randn(1, 6, 7, 8))
    cosines = local.latent_cosines(latent, grids)
    assert torch.allclose(cosines.amax(-1), torch.ones(1, 18, 21), atol=1e-6)
    assert cosines[0, 1, 1].argmax() == SIDES.index((0, 0))  # the centre of a cell
    assert cosines[0, 3, 6].argmax() == SIDES.index((1, 1))  # a third of a cell before the next one's centre
    assert cosines.abs().max() <= 1 + 1e-6


def test_cosines_of_nothing_are_zero():
    grids = lattice((2, 2), (4, 4), 2)
    assert not local.latent_cosines(grids.extend(torch.zeros(1, 2, 2, 3)), grids).any()
