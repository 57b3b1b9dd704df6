"""Point spread and shift of a pair on disk; what becomes of them; cubes are moved without needless resampling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine
from blurred_cubes import cube_of, ground, guide_of, noisy
from conftest import write_raster

from fusioncli.core.grid import Verdict
from fusioncli.core.sensors import SENSORS, find_sensor
from fusioncli.core.synthetic.cameras import random_sensor
from fusioncli.core.synthetic.shots import Framing, shoot
from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.scene import PairRequest, ScenePair, open_pair
from fusioncli.metrics.ergas import ergas
from fusioncli.models.classical.base import Optics
from fusioncli.models.consistent import BackProjection
from fusioncli.models.contract import Window, fuse_image
from fusioncli.models.hyperspectral.blur import Blur
from fusioncli.models.refiner.scene import SceneRefiner
from fusioncli.models.registry import build
from fusioncli.ops.sampling import sampling_for
from fusioncli.workflows import optics
from fusioncli.workflows.coregister import find_shift, open_registered
from fusioncli.workflows.optics import (
    blur_note,
    by_shown_gain,
    measure_blur,
    seen_by,
    softness_note,
    through_shown_gain,
    with_gain,
)
from fusioncli.workflows.plan import plan_fusion
from fusioncli.workflows.requests import FuseRequest, MethodRequest, OutputRequest

FINE = Affine(10, 0, 500000.0, 0, -10, 5700000.0)
GAIN, SHIFT_PX = 0.3, (1.3, -0.8)
FOUND = Blur(*SHIFT_PX, gain=0.421, explained=0.98, error_px=0.01, cells=900)


def files(folder: Path, ratio: int = 4, shift_px: tuple[float, float] = SHIFT_PX, cells: tuple[int, int] = (40, 44)):
    """The request of a pair, whose MSI is half a cell smaller than its HSI; nodata is -1."""
    height, width = (n * ratio for n in cells)
    scene = ground(height, width)
    cube = noisy(cube_of(scene, ratio, GAIN, shift_px), 0.01).astype("float32")
    guide = noisy(guide_of(scene), 0.01, 2).astype("float32")[:, : height - ratio // 2, : width - ratio // 2]
    return PairRequest(
        (str(write_raster(folder / "hsi.tif", cube, FINE @ Affine.scale(ratio), nodata=-1)),),
        (str(write_raster(folder / "msi.tif", guide, FINE, nodata=-1)),),
        cube=True,
    )


def holed(request: PairRequest, folder: Path) -> PairRequest:
    """Both lack data here and there, among them a corner; what lies there is no ground."""
    pair = open_pair(request)
    cube, _ = pair.ms.read(Rect(0, 0, *pair.ms.shape))
    guide, _ = pair.pan.read(Rect(0, 0, *pair.pan.shape))
    cube[3, 20:24, 30:36] = -1
    cube[:, :9, :9] = -1
    guide[:, 60:75, 20:28] = -1
    grid = pair.ms.files[0].grid.transform
    return replace(
        request,
        ms=(str(write_raster(folder / "holed_hsi.tif", cube, grid, nodata=-1)),),
        pan=(str(write_raster(folder / "holed_msi.tif", guide, FINE, nodata=-1)),),
    )


def assert_right(found: Blur | None, px: float = 0.05) -> None:
    assert found is not None
    assert (found.rows_px, found.cols_px) == pytest.approx(SHIFT_PX, abs=px)
    assert found.gain == pytest.approx(GAIN, abs=0.02)


def test_a_small_scene_is_read_as_a_whole(tmp_path: Path) -> None:
    found = measure_blur(open_pair(files(tmp_path)))
    assert_right(found)
    assert found is not None and found.cells == (39 - 4) * (
        43 - 4
    )  # cells all of which the MSI covers, but for margins


def test_gaps_are_left_out(tmp_path: Path) -> None:
    request = files(tmp_path)
    whole, found = (measure_blur(open_pair(each)) for each in (request, holed(request, tmp_path)))
    assert_right(found)
    assert whole is not None and found is not None and found.cells < whole.cells - 200


def test_a_large_scene_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optics, "_MOST_CELLS", 15)
    seen: list[Rect] = []
    read = ScenePair.read
    monkeypatch.setattr(ScenePair, "read", lambda pair, window: (seen.append(window), read(pair, window))[1])
    pair = open_pair(files(tmp_path, cells=(70, 80)))
    found = measure_blur(pair)
    assert_right(found)
    assert found is not None and found.cells == 9 * (15 - 4) ** 2
    assert len(seen) == 9 and all(window.intersect(pair.alignment.output_in_scene) == window for window in seen)


def test_ratio_and_offset_of_the_grids(tmp_path: Path) -> None:
    """The MSI starts two px inside the first cell, and the gain is that of the cube's own pixels."""
    request = files(tmp_path, ratio=3)
    guide, _ = open_pair(request).pan.read(Rect(2, 2, 100, 110))
    msi = write_raster(tmp_path / "inner.tif", guide, FINE @ Affine.translation(2, 2))
    assert_right(measure_blur(open_pair(replace(request, pan=(str(msi),)))))


def test_a_cube_is_moved_onto_what_it_shows(tmp_path: Path) -> None:
    """Sampling on the cells that whole px would give: they move by 0.3 and 0.2 px, and not by up to half a cell."""
    pair, shift = open_registered(files(tmp_path), coregister=True)
    assert shift is not None
    assert (shift.rows_px, shift.cols_px) == pytest.approx(SHIFT_PX, abs=0.05)
    assert pair.alignment.verdict is Verdict.SNAP
    assert "from PAN, not on a pixel corner" in pair.alignment.reason
    assert [origin % 4 for origin in pair.alignment.origin] == [1, 3]
    assert pair.alignment.offset_px == pytest.approx((shift.rows_px, shift.cols_px))
    left = measure_blur(pair)
    assert left is not None and left.length_px < 0.2  # cubic convolution moves fine detail less than it should


def test_whole_pixels_need_no_resampling(tmp_path: Path) -> None:
    moved = open_pair(replace(files(tmp_path), shift_px=(3.0, -2.0)))
    assert moved.alignment.verdict is Verdict.PASTE and moved.ms.target is None
    assert moved.alignment.offset_px == pytest.approx((3, -2))


def test_a_shift_of_cells_is_found(tmp_path: Path) -> None:
    shift = find_shift(files(tmp_path, shift_px=(-7.4, 9.1)))
    assert (shift.rows_px, shift.cols_px) == pytest.approx((-7.4, 9.1), abs=0.05)


def test_unlike_ground_is_refused(tmp_path: Path) -> None:
    request = files(tmp_path)
    other = guide_of(ground(160, 176, seed=9)).astype("float32")
    request = replace(request, pan=(str(write_raster(tmp_path / "other.tif", other, FINE)),))
    assert measure_blur(open_pair(request)) is None
    with pytest.raises(DataError, match="shift between MS and PAN cannot be measured: too few pixels") as caught:
        find_shift(request)
    assert "larger scene" in caught.value.hint


@pytest.mark.parametrize(
    ("sensor", "blur", "named", "gain"),
    [
        ("GENERIC", FOUND, False, 0.42),
        ("GENERIC", FOUND, True, 0.3),
        ("GENERIC", replace(FOUND, explained=0.89), False, 0.3),
        ("GENERIC", None, False, 0.3),
        ("GENERIC", replace(FOUND, gain=0.999), False, 0.95),
        ("GENERIC", replace(FOUND, gain=0.001), False, 0.01),
        ("PRISMA", FOUND, False, None),
    ],
)
def test_the_gain_serves_where_no_other_is_known(sensor: str, blur: Blur | None, named: bool, gain: float | None):
    before = find_sensor(sensor).for_bands(5)
    after = seen_by(before, blur, named)
    assert after.ms_mtf == (before.ms_mtf if gain is None else (gain,) * 5)
    assert replace(after, ms_mtf=before.ms_mtf) == before


def test_what_is_told() -> None:
    generic = SENSORS["GENERIC"].for_bands(5)
    text = blur_note(FOUND, generic, seen_by(generic, FOUND, False))
    assert text == (
        "MS against PAN: to be moved by +1.30 rows and -0.80 columns of PAN px, MTF gain at Nyquist 0.42 "
        "(used instead of 0.30 of GENERIC), 98.0% of PAN explained"
    )
    assert "(0.30 of GENERIC is used)" in blur_note(FOUND, generic, generic)
    assert "cannot be told" in blur_note(None, generic, generic)


def test_a_job_is_the_same_job_whatever_the_last_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums depend on the number of threads; an interrupted job must still find its parts."""
    job = FuseRequest(files(tmp_path), OutputRequest(tmp_path / "fused.tif"), MethodRequest("hyper-lmmse"))
    digests = []
    for gain in (0.3141, 0.3141 + 1e-9, 0.35):
        found = replace(FOUND, gain=gain)
        monkeypatch.setattr("fusioncli.workflows.plan.measure_blur", lambda pair, found=found: found)
        plan = plan_fusion(job)
        assert plan.sensor.ms_mtf == (round(gain, 2),) * 12 and plan.blur == found
        digests.append(plan.store.folder.name)
    assert digests[0] == digests[1] != digests[2]


def test_the_estimate_serves_the_fusion(tmp_path: Path) -> None:
    """A gain of 0.15 where 0.3 would be assumed: the point spread that is used is the one that was measured."""
    scene = ground(160, 176)
    cube = noisy(cube_of(scene, 4, 0.15, (0, 0)), 0.01).astype("float32")
    hsi = write_raster(tmp_path / "h.tif", cube, FINE @ Affine.scale(4))
    msi = write_raster(tmp_path / "m.tif", guide_of(scene).astype("float32"), FINE)
    pair = PairRequest((str(hsi),), (str(msi),), cube=True)
    plan = plan_fusion(FuseRequest(pair, OutputRequest(tmp_path / "f.tif")))
    assert plan.sensor.ms_mtf == pytest.approx((0.15,) * 12, abs=0.011)
    named = plan_fusion(FuseRequest(pair, OutputRequest(tmp_path / "f.tif"), MethodRequest(sensor="GENERIC")))
    assert named.sensor.ms_mtf == (0.3,) * 12


@pytest.mark.parametrize(("gain", "smooth"), [(0.06, True), (0.3, False)])
def test_learning_from_a_smooth_ms_is_warned_of(tmp_path: Path, gain: float, smooth: bool) -> None:
    scene = ground(160, 176)
    ms = noisy(cube_of(scene, 4, gain, (0, 0)), 0.01).astype("float32")
    ms_path = write_raster(tmp_path / "ms.tif", ms, FINE @ Affine.scale(4))
    pan_path = write_raster(tmp_path / "pan.tif", guide_of(scene).astype("float32"), FINE)
    pair = open_pair(PairRequest((str(ms_path),), (str(pan_path),), cube=True))
    generic = SENSORS["GENERIC"].for_bands(12)
    note = softness_note(pair, generic)
    assert bool(note) == smooth
    if smooth:
        assert note.startswith(f"MS is smooth (MTF gain {gain:.2f} at Nyquist)")
    measured, how = with_gain(generic, pair, "measured")
    assert measured.ms_mtf == pytest.approx((gain,) * 12, abs=0.011)
    assert measured.pan_mtf == measured.ms_mtf[0]
    assert how == f"MTF gain {measured.pan_mtf:.2f} at Nyquist, measured, instead of 0.30 of GENERIC"
    assert softness_note(pair, measured) == ""


def test_nothing_is_warned_of_where_nothing_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (None, replace(FOUND, gain=0.05, explained=0.5)):
        monkeypatch.setattr(optics, "measure_blur", lambda pair, found=found: found)
        generic = SENSORS["GENERIC"].for_bands(5)
        assert softness_note(None, generic) == ""  # pyright: ignore[reportArgumentType] - not looked at
        with pytest.raises(DataError, match="the MTF gain of MS cannot be measured: ") as caught:
            with_gain(generic, None, "measured")  # pyright: ignore[reportArgumentType] - not looked at
        assert caught.value.hint == "give a number: --mtf-gain 0.3"


@pytest.mark.parametrize("gain", [0.06, 0.27, 0.6])
def test_a_network_is_corrected_through_the_gain_that_the_pair_shows(tmp_path: Path, gain: float) -> None:
    """Drawn scenes, whose truth is known: the gain of a preset that is another would do harm."""
    rng = np.random.default_rng([77, 1])
    sensor = replace(random_sensor(rng, 4, 4), ms_mtf=(gain,) * 4)
    shot = shoot(rng, sensor, Framing(256, 256))
    ms_path = write_raster(tmp_path / "ms.tif", shot.ms, FINE @ Affine.scale(4))
    pair = open_pair(PairRequest((str(ms_path),), (str(write_raster(tmp_path / "pan.tif", shot.pan, FINE)),)))
    generic = SENSORS["GENERIC"].for_bands(4)
    model = build("refiner", sampling_for("lanczos", 4, 4.0), Optics(generic.ms_mtf, 0.15, (0.25,) * 4))
    assert isinstance(model, SceneRefiner)
    seen, note = by_shown_gain(model, generic, pair)
    assert isinstance(seen, SceneRefiner) and seen.correction is not None and model.correction is not None
    if gain == 0.27:
        assert seen.correction is model.correction and note == ""
        return
    assert seen.correction.gains == pytest.approx((gain,) * 4, abs=0.05) and not seen.correction.exact
    used = f"{seen.correction.gains[0]:.2f}"
    assert note == f"corrected by MS through an MTF gain of {used} at Nyquist, measured, not 0.30 of GENERIC"
    ms, pan, truth = (torch.from_numpy(x.astype("float32"))[None] for x in (shot.ms, shot.pan, shot.truth))
    whole = Window(ms, pan, None, (slice(0, 256), slice(0, 256)), 4)
    errors = [
        ergas(truth.double(), fuse_image(each.fit(each.observe(whole)), ms, pan).double(), ratio=4)
        for each in (seen, replace(model, correction=None), model)
    ]
    assert errors[0] < 0.99 * errors[1] and errors[0] < 0.9 * errors[2], errors


@pytest.mark.parametrize(
    ("blur", "gain"),
    [
        (replace(FOUND, gain=0.35), 0.3),  # hardly another one
        (replace(FOUND, gain=0.5), 0.48),  # as seen from optics sharper than those of PAN
        (replace(FOUND, gain=0.5, at_least=True), None),
        (replace(FOUND, gain=0.35, at_least=True), 0.3),
        (replace(FOUND, gain=0.5, explained=0.8), None),
        (None, None),
    ],
)
def test_a_correction_goes_through_what_was_measured(blur: Blur | None, gain: float | None) -> None:
    told = BackProjection(sampling_for("lanczos", 4, 4.0), (0.3,) * 5, exact=False)
    shown = through_shown_gain(told, SENSORS["GENERIC"].for_bands(5), blur)
    assert shown == (None if gain is None else replace(told, gains=(gain,) * 5))


def test_classical_methods_keep_the_gain_of_the_sensor(tmp_path: Path) -> None:
    generic = SENSORS["GENERIC"].for_bands(4)
    for name in ("mtf-glp-fs", "exp"):
        model = build(name, sampling_for("lanczos", 4, 4.0), Optics(generic.ms_mtf, 0.15, (0.25,) * 4))
        assert by_shown_gain(model, generic, open_pair(files(tmp_path))) == (model, "")


def test_a_gain_that_is_given_is_not_measured() -> None:
    changed, how = with_gain(find_sensor("QB"), None, 0.2)  # pyright: ignore[reportArgumentType] - not looked at
    assert (changed.ms_mtf, changed.pan_mtf, changed.name) == ((0.2,) * 4, 0.2, "QB")
    assert how == "MTF gain 0.20 at Nyquist, instead of 0.29 of QB"
