"""Q2n: the toolbox's edge cases and maps, the naive definition, and the algebra behind it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from golden_scenes import golden_scene
from metric_scenes import GOLDEN, nchw
from naive_q2n import naive_q2n_map, product
from pytest import approx

from fusioncli.errors import UsageError
from fusioncli.metrics.hypercomplex import sign_table
from fusioncli.metrics.q2n import Q2n, q2n

SIGN_TABLE_DIGESTS = {  # SHA-256 of the tables of the toolbox's product, int8, row-major
    1: "4bf5122f344554c5",
    2: "ae0c359ec39763b6",
    4: "b7ddfad03d1a93d0",
    8: "ea795f5a0d895256",
    16: "10937448e1d2ef50",
    32: "7971f5ba97872131",
    64: "51ab22c51290abf1",
    128: "9d17937d9e93d672",
    256: "f0a512a8a491fdc8",
}

_GT, _, _POOR = golden_scene("qb")
GT, POOR = _GT[:64, :64].astype(float), _POOR[:64, :64]
ZERO = np.zeros((64, 64, 4))


def with_values(image: np.ndarray, rows: int, value: float, bands: slice = slice(None)) -> np.ndarray:
    image = image.copy()
    image[:rows, :rows, bands] = value
    return image


def cropped(scene: str, rows: int, cols: int, bands: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    gt, _, poor = golden_scene(scene)
    return gt[:rows, :cols, :bands], poor[:rows, :cols, :bands]


CASES = {
    "both_zero": (ZERO, ZERO),
    "const_equal": (ZERO + 100, ZERO + 100),
    "const_100_vs_110": (ZERO + 100, ZERO + 110),
    "gt_zero_f_nonzero": (ZERO, POOR),
    "gt_nonzero_f_zero": (GT, ZERO),
    "one_block_nodata_both": (with_values(GT, 32, 0), with_values(POOR, 32, 0)),
    "part_block_nodata_both": (with_values(GT, 20, 0), with_values(POOR, 20, 0)),
    "one_constant_band_block": (with_values(GT, 32, 500, slice(1, 2)), POOR),
    "unit_range": (GT / 2047, POOR / 2047),
    "scaled_x10": (GT * 10, POOR * 10),
    "scaled_x100_saturates": (GT * 100, POOR * 100),
    "negatives_clip": (GT, POOR - 900),
    "plus_half_rounding": (GT, GT + 0.5),
    "plain": (GT, POOR),
    "swapped_args": (POOR, GT),
    "shift16": (GT, POOR),
    "block16": (GT, POOR),
    "block8": (GT, POOR),
    **{f"bands{n}": cropped("qb", 64, 64, n) for n in range(1, 5)},
    **{f"wv3_bands{n}": cropped("wv3", 64, 64, n) for n in range(5, 9)},
    "size_100x70": cropped("wv3", 100, 70),
    "size_33x95": cropped("wv3", 33, 95),
    "hsi31": cropped("hsi", 96, 64),
    "hs103": cropped("hs103", 64, 64),
}
SETTINGS = {"shift16": {"shift_px": 16}, "block16": {"block_px": 16}, "block8": {"block_px": 8}}


def test_every_case_has_a_figure() -> None:
    assert CASES.keys() == GOLDEN["q2n_cases"].keys()


@pytest.mark.parametrize("case", CASES)
def test_toolbox_case(case: str) -> None:
    reference, fused = (nchw(image) for image in CASES[case])
    assert q2n(reference, fused, **SETTINGS.get(case, {})) == approx(GOLDEN["q2n_cases"][case], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", GOLDEN["q2n_maps"])
def test_toolbox_map(case: str) -> None:
    pairs = CASES | {
        "qb__DEG": (_GT, _POOR),
        "ikonos__DEG_cut21": tuple(x[20:-21, 20:-21] for x in golden_scene("ikonos")[::2]),
    }
    quality = Q2n().quality_map(*(nchw(image) for image in pairs[case]))
    np.testing.assert_allclose(quality.numpy(), GOLDEN["q2n_maps"][case], rtol=1e-9)


@pytest.mark.parametrize(("size", "bands"), [((64, 96), 4), ((45, 70), 3), ((40, 33), 8), ((50, 64), 13)])
def test_closed_form_equals_the_definition(size: tuple[int, int], bands: int) -> None:
    rng = np.random.default_rng(bands)
    reference = rng.integers(0, 4000, (*size, bands)).astype(float)
    fused = reference + rng.normal(0, 300, reference.shape)
    reference[:16, :16, 0] = 0
    quality = Q2n(block_px=16).quality_map(nchw(reference), nchw(fused)).numpy()
    np.testing.assert_allclose(quality, naive_q2n_map(reference, fused, 16), rtol=1e-10)


@pytest.mark.parametrize("n", SIGN_TABLE_DIGESTS)
def test_sign_table_is_the_toolbox_s(n: int) -> None:
    assert hashlib.sha256(sign_table(n).tobytes()).hexdigest()[:16] == SIGN_TABLE_DIGESTS[n]


def test_sign_table_states_the_product() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 16))
    terms = sign_table(16) * np.outer(a, b)
    units = np.arange(16)[:, None] ^ np.arange(16)
    np.testing.assert_allclose([terms[units == k].sum() for k in range(16)], product(a, b), atol=1e-12)


def test_sixteen_bit_data_loses_nothing_to_round_off() -> None:
    """One level of noise on 65,000: sums reach 2**42 and their products 2**52, still exact in float64."""
    rng = np.random.default_rng(1)
    reference = 65000 + rng.integers(0, 2, (32, 32, 4)).astype(float)
    fused = 65000 + rng.integers(0, 2, (32, 32, 4)).astype(float)
    shifted = q2n(nchw(reference - 64000), nchw(fused - 64000))
    assert q2n(nchw(reference), nchw(fused)) == approx(shifted, rel=1e-12)


def test_impossible_blocks_are_refused() -> None:
    for settings in ({"block_px": 1}, {"block_px": 8, "shift_px": 9}, {"block_px": 8, "shift_px": 1}):
        with pytest.raises(UsageError, match="blocks"):
            Q2n(**settings)


def test_integer_types_are_taken_as_they_are() -> None:
    reference, fused = torch.from_numpy(_GT), torch.from_numpy(_GT[::-1].copy())
    narrow = [x.permute(2, 0, 1)[None] for x in (reference, fused)]
    assert q2n(*narrow) == q2n(*(x.double() for x in narrow)) == q2n(*(x.float() for x in narrow))
