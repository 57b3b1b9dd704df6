"""Known displacements between MS and PAN are measured, and taken out."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import Pair, write_raster
from fusion_jobs import FINE
from scipy import ndimage

from fusioncli.core.grid import Verdict
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError, UsageError
from fusioncli.io.scene import PairRequest, open_pair
from fusioncli.workflows.align import write_aligned_ms
from fusioncli.workflows.coregister import measure_shift, open_registered
from fusioncli.workflows.requests import OutputRequest

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

SAMPLES = Path(__file__).parents[2] / "sample_data"
BANDS, FRAME = 3, 40  # px of margin around the scene, to cut displaced copies from


def ground(side, ratio):
    """Objects of all sizes on the PAN grid, with a frame: (BANDS, height, width); band 2 is nearly a negative."""
    rng = np.random.default_rng(5)
    size = side + 2 * FRAME
    layers = [
        ndimage.gaussian_filter(rng.normal(size=(size, size)), s) * s for s in (0.7 * ratio, 2 * ratio, 6 * ratio)
    ]
    shared = sum(layers)
    own = ndimage.gaussian_filter(rng.normal(size=(BANDS, size, size)), (0, 2 * ratio, 2 * ratio)) * ratio
    return 800 + 400 * (np.array([1.0, 0.8, -0.9])[:, None, None] * shared + 0.3 * own)


def displaced(folder, move, ratio=4, ms_side=96, georeferencing=FINE, noise=2.0):
    """A pair whose MS content lies `move` (rows, columns, whole PAN px) from where it belongs."""
    side = ms_side * ratio
    scene = ground(side, ratio)
    rng = np.random.default_rng(6)
    here = np.s_[:, FRAME : FRAME + side, FRAME : FRAME + side]
    there = np.s_[:, FRAME - move[0] : FRAME - move[0] + side, FRAME - move[1] : FRAME - move[1] + side]
    ms = scene[there].reshape(BANDS, ms_side, ratio, ms_side, ratio).mean((2, 4))
    pan = (0.6 * scene[0] + 0.4 * scene[1])[None][here]
    ms, pan = (x + noise * rng.normal(size=x.shape) for x in (ms, pan))
    transforms = (None, None) if georeferencing is None else (georeferencing @ Affine.scale(ratio), georeferencing)
    return Pair(
        write_raster(folder / "ms.tif", ms.astype("float32"), transforms[0]),
        write_raster(folder / "pan.tif", pan.astype("float32"), transforms[1]),
    )


def request_for(pair):
    return PairRequest((str(pair.ms),), str(pair.pan))


@pytest.mark.parametrize(
    ("ratio", "move"), [(4, (0, 0)), (4, (1, -2)), (4, (-7, 3)), (4, (13, 9)), (2, (2, -1)), (3, (-4, 0))]
)
def test_a_known_shift_is_measured_and_taken_out(ratio, move, tmp_path):
    pair, shift = open_registered(request_for(displaced(tmp_path, move, ratio)), coregister=True)
    assert shift is not None
    assert (shift.rows_px, shift.cols_px) == pytest.approx((-move[0], -move[1]), abs=0.2)
    assert shift.length_px == pytest.approx(np.hypot(shift.rows_px, shift.cols_px))
    assert measure_shift(pair).length_px < 0.2
    assert pair.alignment.offset_px == pytest.approx((shift.rows_px, shift.cols_px))


@cache
def sample_bands():
    """The bands of the sample scene with the detail of its PAN, and their mean: (5, 512, 512); registered exactly."""
    ms, pan = (_samples(SAMPLES / f"scene_{name}.tif").astype(float) for name in ("ms", "pan"))
    detail = pan / ndimage.gaussian_filter(pan, (0, 4, 4))
    bands = ndimage.zoom(ms, (1, 4, 4), order=3, grid_mode=True, mode="mirror") * detail
    return np.concatenate([bands, bands.mean(0, keepdims=True)])


def finely_displaced(folder, move_px, ratio, georeferencing=FINE):
    """The sample scene, its MS moved by a fraction of a PAN px before it is sampled, aliases and all."""
    margin, scene = 16, sample_bands()
    side = scene.shape[1]
    mirrored = np.pad(scene[:-1], ((0, 0), (side // 2, side // 2), (side // 2, side // 2)), "symmetric")
    moved = np.fft.ifft2([ndimage.fourier_shift(np.fft.fft2(band), move_px) for band in mirrored]).real
    inner = np.s_[:, side // 2 + margin : -side // 2 - margin, side // 2 + margin : -side // 2 - margin]
    cells = (side - 2 * margin) // ratio
    ms = moved[inner].reshape(len(moved), cells, ratio, cells, ratio).mean((2, 4))
    transforms = (None, None) if georeferencing is None else (georeferencing @ Affine.scale(ratio), georeferencing)
    return Pair(
        write_raster(folder / "ms.tif", ms.astype("float32"), transforms[0]),
        write_raster(folder / "pan.tif", scene[-1:, margin:-margin, margin:-margin].astype("float32"), transforms[1]),
    )


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("move_px", [(0.3, -1.75), (1.25, 2.6), (-0.3, 1.25), (-2.6, 1.75), (-1.25, 0.0)])
def test_fractions_of_a_pixel(move_px, ratio, tmp_path):
    """To 0.05 PAN px, although the MS is aliased; and the MS that has been resampled is not found elsewhere."""
    pair, shift = open_registered(request_for(finely_displaced(tmp_path, move_px, ratio)), coregister=True)
    assert (shift.rows_px, shift.cols_px) == pytest.approx((-move_px[0], -move_px[1]), abs=0.05)
    assert measure_shift(pair).length_px < 0.1


def test_without_georeferencing(tmp_path):
    _, shift = open_registered(request_for(displaced(tmp_path, (3, -2), georeferencing=None)), coregister=True)
    assert (shift.rows_px, shift.cols_px) == pytest.approx((-3, 2), abs=0.1)


def test_the_opposite_declaration_in_the_georeferencing_cancels_the_shift(tmp_path):
    """Content and georeferencing moved alike: nothing is wrong, although the pair has to be resampled."""
    pair = displaced(tmp_path, (0, 0))
    ms = write_raster(tmp_path / "moved.tif", _samples(pair.ms), FINE @ Affine.translation(1.5, -2.5) @ Affine.scale(4))
    pan = write_raster(tmp_path / "moved_pan.tif", _samples(pair.pan), FINE @ Affine.translation(1.5, -2.5))
    still = open_pair(PairRequest((str(ms),), str(pan)))
    assert measure_shift(still).length_px < 0.1
    apart = open_pair(PairRequest((str(ms),), str(pair.pan)))
    assert apart.alignment.verdict is Verdict.SNAP
    found = measure_shift(apart)
    assert (found.rows_px, found.cols_px) == pytest.approx((2.5, -1.5), abs=0.25)


def _samples(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_not_asked_for_not_done(tmp_path):
    pair, shift = open_registered(request_for(displaced(tmp_path, (3, 0))), coregister=False)
    assert shift is None
    assert pair.alignment.verdict is Verdict.PASTE


def test_windows_with_gaps_are_left_out(tmp_path):
    """A large scene has 4 x 4 windows of 128 MS px; a hole spoils those that touch it, and no others."""
    pair = displaced(tmp_path, (-5, 2), ms_side=200)
    whole = measure_shift(open_pair(request_for(pair)))
    assert whole.windows == 16
    ms = _samples(pair.ms)
    ms[:, :40, :200] = np.nan
    holed = Pair(write_raster(tmp_path / "holed.tif", ms, FINE @ Affine.scale(4)), pair.pan)
    found = measure_shift(open_pair(request_for(holed)))
    assert 0 < found.windows < 16
    assert (found.rows_px, found.cols_px) == pytest.approx((5, -2), abs=0.3)


@pytest.mark.parametrize("what", ["flat", "tiny", "empty"])
def test_what_cannot_be_measured_is_refused(what, tmp_path):
    pair = displaced(tmp_path, (0, 0), ms_side=12 if what == "tiny" else 40)
    if what == "flat":
        write_raster(pair.pan, np.full((1, 160, 160), 300, "float32"), FINE)
    if what == "empty":
        write_raster(pair.ms, np.full((3, 40, 40), np.nan, "float32"), FINE @ Affine.scale(4))
    with pytest.raises(DataError, match="cannot be measured") as caught:
        measure_shift(open_pair(request_for(pair)))
    assert "larger scene" in caught.value.hint


def test_contrast_of_bands_does_not_matter(tmp_path):
    """Bands that PAN does not see, even inverted ones of high contrast, do not draw the measurement."""
    pair = displaced(tmp_path, (-3, 4))
    ms = _samples(pair.ms)
    ms[2] = 3000 - 4 * np.roll(ms[2], 5, axis=1)
    write_raster(pair.ms, ms, FINE @ Affine.scale(4))
    _, shift = open_registered(request_for(pair), coregister=True)
    assert (shift.rows_px, shift.cols_px) == pytest.approx((3, -4), abs=0.25)


@pytest.mark.parametrize("georeferencing", [FINE, None])
@pytest.mark.parametrize("move_px", [(0.0, 0.0), (3.0, -2.0), (-6.0, 3.0), (4.0, -8.0), (1.25, -2.6), (-4.3, 9.75)])
def test_the_corrected_ms_lies_right(move_px, georeferencing, tmp_path):
    """Whole PAN px need no resampling with georeferencing, which names the corner, and one without."""
    original = request_for(finely_displaced(tmp_path, move_px, 4, georeferencing))
    moved = open_pair(replace(original, shift_px=(-move_px[0], -move_px[1])))
    output = tmp_path / "aligned.tif"
    write_aligned_ms(moved, OutputRequest(output), lambda stage, done, total: None)
    corrected = open_pair(replace(original, ms=(str(output),)))
    assert corrected.alignment.verdict is Verdict.PASTE
    assert measure_shift(corrected).length_px < 0.1
    if georeferencing is None:
        assert corrected.alignment.output == Rect(0, 0, 480, 480)


def test_a_corrected_ms_covers_a_ragged_pan(tmp_path):
    """PAN ends inside the last MS pixels."""
    pair = finely_displaced(tmp_path, (3.0, -2.0), 4, None)
    write_raster(pair.pan, _samples(pair.pan)[:, :478, :477])
    moved = open_pair(replace(request_for(pair), shift_px=(-3.0, 2.0)))
    output = tmp_path / "aligned.tif"
    write_aligned_ms(moved, OutputRequest(output), lambda stage, done, total: None)
    assert _samples(output).shape == (4, 120, 120)
    assert measure_shift(open_pair(replace(request_for(pair), ms=(str(output),)))).length_px < 0.1


@pytest.mark.parametrize("georeferencing", [FINE, None])
def test_an_aligned_copy_of_the_ms_needs_no_correction(georeferencing, tmp_path):
    """What `fusion align --correct` writes."""
    original = request_for(displaced(tmp_path, (-6, 3), georeferencing=georeferencing))
    moved, _ = open_registered(original, coregister=True)
    output = tmp_path / "aligned.tif"
    write_aligned_ms(moved, OutputRequest(output), lambda stage, done, total: None)
    corrected = open_pair(replace(original, ms=(str(output),)))
    assert corrected.alignment.verdict is Verdict.PASTE
    assert corrected.bands == BANDS
    assert measure_shift(corrected).length_px < 0.25
    with pytest.raises(DataError, match="exists already"):
        write_aligned_ms(moved, OutputRequest(output), lambda stage, done, total: None)
    with pytest.raises(UsageError, match="dtype foo cannot be written"):
        write_aligned_ms(moved, OutputRequest(tmp_path / "other.tif", dtype="foo"), lambda stage, done, total: None)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["aligned.tif", "ms.tif", "pan.tif"]
