"""Patches of real pairs and cubes against formulas written out here; areas, gaps, blocks, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import write_raster
from simulate_jobs import RATIO, plan, read_all, silent, simulate, textured, write_pair

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError, UsageError
from fusioncli.io.patches import open_patches
from fusioncli.io.responses import read_responses
from fusioncli.io.scene import PairRequest
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.simulate import cube as cube_module
from fusioncli.workflows.simulate import pair as pair_module
from fusioncli.workflows.simulate.areas import Cutting, blocks, split
from fusioncli.workflows.simulate.plan import plan_cubes, plan_pairs
from fusioncli.workflows.simulate.request import CubeRequest, PatchOutput, SceneRequest
from fusioncli.workflows.simulate.write import write_patches

GAINS, PAN_GAIN = (0.34, 0.32, 0.30, 0.22), 0.15  # QuickBird's
NAMES = ("gt", "ms", "lms", "pan")


# Areas --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_areas_are_apart_and_hold_whole_patches(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(60, 200, 2)
    side, guard, share = int(rng.integers(2, 12)), int(rng.integers(0, 12)), float(rng.uniform(0.01, 0.5))
    training, validation = split(Rect(0, 0, height, width), side, share, guard)
    assert validation is not None
    seen = np.zeros((height, width), int)
    seen[training.row0 : training.row1, training.col0 : training.col1] += 1
    grown = validation.grow(guard).intersect(Rect(0, 0, height, width))
    seen[grown.row0 : grown.row1, grown.col0 : grown.col1] += 1
    assert (seen == 1).all()
    strip = min(validation.height, validation.width)
    assert strip % side == 0
    assert abs(strip / max(height, width) - share) <= max(side / max(height, width), 1e-9)


def test_blocks_hold_every_patch_once():
    area, side, stride = Rect(3, 5, 90, 118), 8, 3
    patches = [patch for block in blocks(area, side, stride, 30) for patch in block.patches]
    expected = {(row, col) for row in range(3, 83, 3) for col in range(5, 111, 3)}
    assert {(patch.row0, patch.col0) for patch in patches} == expected
    assert len(patches) == len(expected)
    assert all(max(block.rect.height, block.rect.width) <= 30 for block in blocks(area, side, stride, 30))


def test_a_scene_too_small_to_be_split():
    with pytest.raises(DataError, match="20 x 12 low-resolution px cannot hold patches of 8 px, 6 cells of guard"):
        split(Rect(0, 0, 20, 12), 8, 0.1, 6)
    assert split(Rect(0, 0, 20, 12), 8, 0.0, 6) == (Rect(0, 0, 20, 12), None)


@pytest.mark.parametrize("cutting", [Cutting(62, 64), Cutting(64, 2), Cutting(3, 3)])
def test_patches_are_whole_low_resolution_pixels(cutting):
    with pytest.raises(UsageError, match="is no multiple of the ratio 4"):
        cutting.in_cells(4)


# Values -------------------------------------------------------------------------------------------


def gaussian(gain: float, length: int, centre: float) -> np.ndarray:
    """Weights along an axis of the filter that keeps `gain` of a wave at the Nyquist frequency of the coarse grid."""
    sigma = RATIO * np.sqrt(-2 * np.log(gain)) / np.pi
    weights = np.exp(-0.5 * ((np.arange(length) - centre) / sigma) ** 2)
    return weights / weights.sum()


def lanczos_weights(length: int, centre: float) -> np.ndarray:
    x = np.arange(length) - centre
    weights = np.where(np.abs(x) < 4, np.sinc(x) * np.sinc(x / 4), 0)
    return weights / weights.sum()


def test_centred_patches_are_what_the_formulas_say(tmp_path):
    """Every pixel in the middle of the scene, where no border is seen, to the rounding of the stored numbers."""
    ms, pan = textured(4, 96, 112)
    found = simulate(write_pair(tmp_path, ms, pan), tmp_path, Cutting(16, 16), sensor="QB")
    assert {name: image.shape for name, image in found.items()} == {
        "gt": (42, 4, 16, 16), "ms": (42, 4, 4, 4), "lms": (42, 4, 16, 16), "pan": (42, 1, 16, 16)
    }  # fmt: skip
    row, col, number = 3, 3, 3 * 7 + 3  # patch in the fourth row and column of seven
    truth = ms[:, 16 * row : 16 * row + 16, 16 * col : 16 * col + 16]
    np.testing.assert_array_equal(found["gt"][number], truth)

    def at(axis_length: int, gain: float, index: int) -> np.ndarray:
        return gaussian(gain, axis_length, RATIO * index + (RATIO - 1) / 2)

    for band, gain in enumerate(GAINS):
        low = [[at(96, gain, r) @ ms[band] @ at(112, gain, c) for c in range(28)] for r in range(24)]
        np.testing.assert_allclose(
            found["ms"][number, band], np.array(low)[4 * row :, 4 * col :][:4, :4], atol=0.6, rtol=0
        )
        rows = [lanczos_weights(24, (16 * row + i + 0.5) / 4 - 0.5) for i in range(16)]
        cols = [lanczos_weights(28, (16 * col + i + 0.5) / 4 - 0.5) for i in range(16)]
        np.testing.assert_allclose(
            found["lms"][number, band], rows @ np.array(low) @ np.array(cols).T, atol=0.7, rtol=0
        )
    pan_rows = [at(96 * 4, PAN_GAIN, 16 * row + i) for i in range(16)]
    pan_cols = [at(112 * 4, PAN_GAIN, 16 * col + i) for i in range(16)]
    np.testing.assert_allclose(found["pan"][number, 0], pan_rows @ pan @ np.array(pan_cols).T, atol=0.6, rtol=0)


@pytest.mark.parametrize(("protocol", "phase", "total"), [("centred", 1.5, 1.0), ("toolbox", 2.0, 0.9987)])
def test_the_phase_is_the_one_that_is_stated(tmp_path, protocol, phase, total):
    """On a ramp every filter shows where its sample lies; the toolbox's kernels do not sum to one."""
    rows, cols = np.mgrid[0:160, 0:160]
    ms = (300 + 3.0 * rows + 2.0 * cols).astype(np.float32)[None].repeat(4, 0)
    pan = (300 + 3.0 * (np.mgrid[0:640, 0:640][0] / 4 - 0.375)).astype(np.float32)
    found = simulate(write_pair(tmp_path, ms, pan), tmp_path, Cutting(32, 32), protocol=protocol, sensor="GENERIC")
    assert found["gt"].dtype == np.float32
    middle, origin = 12, 64  # third row and column of five
    k = np.arange(8)
    at = origin + 4 * k + phase
    expected = total * (300 + 3.0 * at[:, None] + 2.0 * at[None, :])
    np.testing.assert_allclose(found["ms"][middle, 0], expected, rtol=2e-4)
    fine = origin + np.arange(32)
    expected = total * (300 + 3.0 * fine[:, None] + 2.0 * fine[None, :])
    np.testing.assert_allclose(found["lms"][middle, 0], expected, atol=0.4)  # Lanczos bends a ramp by 0.24
    np.testing.assert_allclose(found["pan"][middle, 0, :, 5], 300 + 3.0 * fine, rtol=2e-4)
    (file,) = open_patches(tmp_path / "train.h5", NAMES)
    assert (file.facts.phase, file.facts.protocol) == (phase, protocol)
    assert file.facts.upsampler == {"centred": "lanczos", "toolbox": "interp23tap"}[protocol]


def test_patches_do_not_depend_on_how_the_scene_is_cut_into_blocks(tmp_path, monkeypatch):
    ms, pan = textured(4, 128, 96)
    pair, results = write_pair(tmp_path, ms, pan), []
    for block_px, threads in ((384, 1), (32, 2)):
        monkeypatch.setattr(pair_module, "_BLOCK_PX", block_px)
        found = simulate(pair, tmp_path, Cutting(16, 16), sensor="QB", protocol="toolbox", threads=threads)
        order = np.lexsort(found["gt"].reshape(len(found["gt"]), -1).T)
        results.append({name: image[order].astype(int) for name, image in found.items()})
    one, other = results
    assert len(one["gt"]) == 48
    for name in NAMES:
        assert np.abs(one[name] - other[name]).max() <= 1, name
        assert (one[name] != other[name]).mean() < 1e-4


def test_the_type_follows_the_scene_unless_it_is_named(tmp_path):
    ms, pan = textured(3, 32, 32)
    pair = write_pair(tmp_path, ms, pan)
    for dtype, expected in ((None, np.uint16), ("float32", np.float32)):
        assert simulate(pair, tmp_path, Cutting(16, 16), dtype=dtype)["lms"].dtype == expected
    with pytest.raises(UsageError, match="cannot be stored as int8"):
        simulate(pair, tmp_path, Cutting(16, 16), dtype="int8")


# Training and validation --------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["centred", "toolbox"])
def test_no_validation_pixel_reaches_a_training_patch_nor_the_reverse(tmp_path, protocol):
    """Change everything that one side calls its truth, and PAN below: the other side's patches stay as they were."""
    ms, pan = textured(4, 224, 64)
    cutting = Cutting(16, 16, 0.25)
    training, validation = simulate(write_pair(tmp_path, ms, pan), tmp_path, cutting, True, protocol=protocol)
    assert len(training["gt"]) > len(validation["gt"]) > 0
    first_validated = next(row for row in range(224) if (ms[:, row, :16] == validation["gt"][0, :, 0]).all())
    last_trained = max(
        row for row in range(224) if any((ms[:, row, :16] == patch[:, -1]).all() for patch in training["gt"])
    )
    assert first_validated - last_trained > 20

    def changed(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        other_ms, other_pan = ms.copy(), pan.copy()
        other_ms[:, rows] = 2047 - other_ms[:, rows]
        fine = slice(rows.start * RATIO, rows.stop * RATIO)
        other_pan[fine] = 2047 - other_pan[fine]
        return other_ms, other_pan

    for number, rows in enumerate((slice(first_validated, 224), slice(0, last_trained + 1))):
        pair = write_pair(tmp_path, *changed(rows))
        again = simulate(pair, tmp_path, cutting, True, protocol=protocol)
        for name in NAMES:
            np.testing.assert_array_equal(again[number][name], (training, validation)[number][name])
            assert not np.array_equal(again[1 - number][name], (training, validation)[1 - number][name])


def test_training_patches_may_overlap_and_validation_patches_never_do(tmp_path):
    pair = write_pair(tmp_path, *textured(3, 160, 32))
    training, validation = simulate(pair, tmp_path, Cutting(16, 8, 0.2), True)
    rows = (160 - 32 - 24) // 8 - 1
    assert len(training["gt"]) == rows * 3
    assert len(validation["gt"]) == 4


def test_scenes_of_one_place_cannot_be_split(tmp_path):
    pairs = [write_pair(tmp_path / str(n), *textured(3, 160, 32, n), at_m=at) for n, at in enumerate((0.0, 30.0))]
    with pytest.raises(DataError, match="overlap on the ground"):
        simulate(pairs, tmp_path, Cutting(16, 16, 0.2), True)
    assert len(simulate(pairs, tmp_path, Cutting(16, 16))["gt"]) == 2 * 20
    apart = [pairs[0], write_pair(tmp_path / "2", *textured(3, 160, 32, 2), at_m=64.0)]
    training, _ = simulate(apart, tmp_path, Cutting(16, 16, 0.2), True)
    (file,) = open_patches(tmp_path / "train.h5", NAMES)
    assert file.facts.sources == ("0/ms.tif", "0/pan.tif", "2/ms.tif", "2/pan.tif")
    assert len(training["gt"]) == 2 * 2 * 6


# Gaps ---------------------------------------------------------------------------------------------


def test_patches_near_missing_pixels_are_left_out_and_no_others(tmp_path):
    ms, pan = textured(4, 160, 160)
    whole = simulate(write_pair(tmp_path, ms, pan), tmp_path, Cutting(16, 16), sensor="QB")
    ms[2, 70:73, 84] = 0
    pan[8:12, 500] = 0
    job = plan(write_pair(tmp_path, ms, pan, nodata=0), tmp_path, Cutting(16, 16), sensor="QB")
    margin, missing = job.sources[0].margin, {(70 // 4, 21), (72 // 4, 21), (0, 500 // 16)}
    expected = [
        (r, c)
        for r, c in itertools.product(range(10), repeat=2)
        if not any(
            4 * r - margin <= row < 4 * r + 4 + margin and 4 * c - margin <= col < 4 * c + 4 + margin
            for row, col in missing
        )
    ]
    assert 60 < len(expected) < 90
    assert job.skipped == 100 - len(expected)
    assert any(f"{job.skipped} patches that lack data are left out" in note for note in job.notes)
    write_patches(job, silent)
    found = read_all(job.output.path)
    kept = [r * 10 + c for r, c in expected]
    for name in NAMES:
        np.testing.assert_array_equal(found[name], whole[name][kept])


def test_no_complete_patch_is_an_error(tmp_path):
    ms, pan = textured(3, 64, 64)
    ms[0, ::16] = 0
    with pytest.raises(DataError, match=r"no training patch of 32 px is complete \(4 lack data\)"):
        plan(write_pair(tmp_path, ms, pan, nodata=0), tmp_path, Cutting(32, 32))


# Refusals -----------------------------------------------------------------------------------------


def test_a_peak_that_is_too_low_is_found_before_anything_has_its_name(tmp_path):
    ms, pan = textured(3, 64, 64)
    for name, top in (("MS", 1700), ("PAN", 1800)):
        ms[1, 40, 40], pan[100, 100] = 1750 if name == "MS" else 1600, 1900 if name == "PAN" else 1600
        ms, pan = np.minimum(ms, 1750), np.minimum(pan, 1900)
        with pytest.raises(DataError, match=f"{name} holds 1[789][0-9]{{2}}, more than value_max {top}"):
            simulate(write_pair(tmp_path, np.minimum(ms, 1760), pan), tmp_path, Cutting(16, 16), value_max=float(top))
    assert not (tmp_path / "train.h5").exists()


def test_scenes_of_different_kinds_are_not_mixed(tmp_path):
    three, four = (write_pair(tmp_path / str(bands), *textured(bands, 32, 32)) for bands in (3, 4))
    with pytest.raises(DataError, match=r"3/ms.tif has 3 bands, 4/ms.tif 4"):
        plan([three, four], tmp_path, Cutting(16, 16))


def test_one_name_for_both_files(tmp_path):
    with pytest.raises(UsageError, match="cannot hold training and validation"):
        PatchOutput(tmp_path / "a.h5", tmp_path / "b" / ".." / "a.h5").check()


# Cubes --------------------------------------------------------------------------------------------

SRF = "# three bands of six\n0, 0, 0, 0, 1, 3\n0 0 2 2 0 0\n1;1;0;0;0;0\n"


def cube_request(tmp_path, protocol="centred", **options):
    (tmp_path / "srf.csv").write_text(SRF)
    cube = np.random.default_rng(1).integers(0, 2000, (6, 96, 80)).astype(np.uint16)
    path = write_raster(tmp_path / "cube.tif", cube)
    output = PatchOutput(tmp_path / "cube.h5", overwrite=True, peak=Peak(2047.0, "stated"))
    request = CubeRequest([str(path)], tmp_path / "srf.csv", 4, output, Cutting(16, 16), protocol=protocol, **options)
    return cube.astype(float), request


def test_a_cube_is_seen_through_responses_and_through_the_uestc_filter(tmp_path):
    """Gaussian of 3 x 3 px, sigma 0.5, around px 4 k + 2."""
    cube, request = cube_request(tmp_path, "uestc")
    write_patches(plan_cubes(request, silent), silent)
    found = read_all(request.output.path)
    number, (row, col) = 2 * 5 + 3, (32, 48)
    np.testing.assert_array_equal(found["gt"][number], cube[:, row : row + 16, col : col + 16])
    truth = found["gt"][number].astype(float)
    expected = [(truth[4] + 3 * truth[5]) / 4, (truth[2] + truth[3]) / 2, (truth[0] + truth[1]) / 2]
    np.testing.assert_allclose(found["msi"][number], expected, atol=0.51)
    taps = np.exp(-2.0 * np.arange(-1, 2) ** 2)
    taps /= taps.sum()
    for i, j in itertools.product(range(4), repeat=2):
        r, c = row + 4 * i + 2, col + 4 * j + 2
        low = taps @ cube[:, r - 1 : r + 2, c - 1 : c + 2] @ taps
        np.testing.assert_allclose(found["hsi"][number, :, i, j], low, atol=0.51)
    np.testing.assert_array_equal(found["hsi_up"][:, :, 2::4, 2::4], found["hsi"])  # interpolation keeps its samples


def test_a_centred_cube(tmp_path, monkeypatch):
    cube, request = cube_request(tmp_path)
    write_patches(plan_cubes(request, silent), silent)
    found = read_all(request.output.path)
    weights = [[gaussian(0.3, n, 4 * k + 1.5) for k in range(n // 4)] for n in (96, 80)]
    low = np.array(weights[0]) @ cube @ np.array(weights[1]).T
    np.testing.assert_allclose(found["hsi"][2 * 5 + 2], low[:, 8:12, 8:12], atol=0.6)
    monkeypatch.setattr(cube_module, "_BLOCK_SAMPLES", 6 * 32 * 32)
    write_patches(plan_cubes(request, silent), silent)
    again = read_all(request.output.path)
    order = [np.lexsort(images["gt"].reshape(30, -1).T) for images in (found, again)]
    for name, image in found.items():
        assert np.abs(image[order[0]].astype(int) - again[name][order[1]].astype(int)).max() <= 1


@pytest.mark.parametrize("bands", [1, 3])
def test_a_cube_beside_a_sharper_raster(tmp_path, bands):
    """Both go through Gaussians, the raster at centres of cube pixels; its gain is a usual PAN's or MSI's."""
    cube, _ = textured(6, 48, 40)
    sharp = np.random.default_rng(7).integers(200, 1800, (bands, 192, 160)).astype(np.uint16)
    pair = write_pair(tmp_path, cube, sharp if bands > 1 else sharp[0])
    output = PatchOutput(tmp_path / "cube.h5", peak=Peak(2047.0, "stated"))
    files = PairRequest((str(pair.ms),), str(pair.pan), cube=True)
    job = plan_pairs(SceneRequest([files], output, Cutting(16, 16), sensor="GENERIC"), silent)
    write_patches(job, silent)
    found = read_all(output.path)
    assert found.keys() == {"gt", "hsi", "hsi_up", "msi"}
    assert found["gt"].shape == (6, 6, 16, 16) and found["msi"].shape == (6, bands, 16, 16)
    np.testing.assert_array_equal(found["gt"][3], cube[:, 16:32, 16:32])
    gain = 0.15 if bands == 1 else 0.3
    weights = [np.array([gaussian(gain, n, 4 * k + 1.5) for k in range(n // 4)]) for n in sharp.shape[1:]]
    low = weights[0] @ sharp.astype(float) @ weights[1].T
    np.testing.assert_allclose(found["msi"][3], low[:, 16:32, 16:32], atol=0.6)


def test_a_cube_with_pixels_of_one_size_is_degraded_alone(tmp_path):
    cube, _ = textured(6, 48, 40)
    sharp = textured(3, 48, 40, seed=1)[0]
    paths = [str(write_raster(tmp_path / f"{name}.tif", image)) for name, image in (("a", cube), ("b", sharp))]
    output = PatchOutput(tmp_path / "cube.h5", peak=Peak(2047.0, "stated"))
    request = SceneRequest([PairRequest((paths[0],), paths[1], cube=True)], output, Cutting(16, 16), ratio=4)
    write_patches(plan_pairs(request, silent), silent)
    found = read_all(output.path)
    assert found["hsi"].shape == (6, 6, 4, 4)
    np.testing.assert_array_equal(found["gt"][3], cube[:, 16:32, 16:32])
    np.testing.assert_array_equal(found["msi"][3], sharp[:, 16:32, 16:32])


def test_responses_are_read_either_way_round(tmp_path):
    path = tmp_path / "srf.txt"
    path.write_text(SRF)
    table = read_responses(path, 6)
    np.testing.assert_allclose(table.sum(1), 1)
    np.testing.assert_allclose(table[0], [0, 0, 0, 0, 0.25, 0.75])
    np.savetxt(path, table.T)
    np.testing.assert_allclose(read_responses(path, 6), table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 x", "is not a table"),
        ("1 2 3\n1 2", "is not a table"),
        ("1 2 3", "holds 1 x 3 numbers, the scene has 6 bands"),
        ("0 0 0 0 0 0", "not all 0"),
        ("1 1 1 1 1 -1", "at least 0"),
        ("", "holds 0 numbers"),
    ],
)
def test_unusable_responses(tmp_path, text, message):
    path = tmp_path / "srf.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_responses(path, 6)


def test_protocols_of_cubes_and_pairs_are_not_confused(tmp_path):
    with pytest.raises(UsageError, match="no protocol for cubes is called 'wald'"):
        plan_cubes(cube_request(tmp_path, "wald")[1], silent)
    pair = write_pair(tmp_path, *textured(3, 32, 32))
    with pytest.raises(UsageError, match="no protocol is called 'uestc'"):
        plan(pair, tmp_path, Cutting(16, 16), protocol="uestc")
