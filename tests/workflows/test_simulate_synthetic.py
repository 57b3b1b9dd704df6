"""Drawn patches: reproducible on any number of processes, registered as stated, the truth what MS sensors would see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulate_jobs import read_all, silent

from fusioncli.core.sensors import find_sensor
from fusioncli.core.synthetic import shots
from fusioncli.core.synthetic.cameras import random_sensor
from fusioncli.core.synthetic.imaging import responses
from fusioncli.core.synthetic.shots import Framing, shoot
from fusioncli.errors import DataError, UsageError
from fusioncli.io.patches import open_patches
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.simulate.areas import Cutting
from fusioncli.workflows.simulate.demo import FILES, write_demo
from fusioncli.workflows.simulate.drawing import LICENCE, DrawingRequest
from fusioncli.workflows.simulate.request import PatchOutput
from fusioncli.workflows.simulate.synthetic import SyntheticRequest, plan_synthetic, write_synthetic


def roughness(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(float))).mean())


def request(folder: Path, **options: object) -> SyntheticRequest:
    job = {
        "output": PatchOutput(folder / "p.h5", overwrite=True),
        "scenes": 2,
        **{name: options.pop(name) for name in ("output", "scenes", "processes") if name in options},
    }
    drawing = {"size_px": 64, "sensors": ("QB",), "cutting": Cutting(32, 32), "seed": 3} | options
    return SyntheticRequest(drawing=DrawingRequest(**drawing), **job)


def write(asked: SyntheticRequest) -> dict[str, np.ndarray]:
    write_synthetic(plan_synthetic(asked), silent)
    return read_all(asked.output.path)


# Scenes -------------------------------------------------------------------------------------------


def test_scenes_depend_on_the_seed_and_not_on_who_draws_them(tmp_path):
    asked = request(tmp_path, scenes=3, size_px=32, cutting=Cutting(16, 16))
    alone, together = write(asked), write(replace(asked, processes=2))
    assert alone.keys() == {"gt", "ms", "lms", "pan"}
    assert alone["gt"].shape == (12, 4, 16, 16)
    for name, image in alone.items():
        np.testing.assert_array_equal(image, together[name])
    fewer = write(replace(asked, scenes=1))
    np.testing.assert_array_equal(fewer["pan"], alone["pan"][:4])
    assert not np.array_equal(
        write(replace(asked, scenes=1, drawing=replace(asked.drawing, seed=4)))["pan"], fewer["pan"]
    )


def shift_px(moving: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Least-squares displacement of one image against another, (rows, columns)."""
    slopes = np.stack([slope[3:-3, 3:-3].ravel() for slope in np.gradient(still)], 1)
    difference = (still - moving)[3:-3, 3:-3].ravel()
    return np.linalg.lstsq(slopes, difference, rcond=None)[0]


@pytest.mark.parametrize(("protocol", "moved"), [("centred", 0.0), ("toolbox", 0.5)])
def test_the_ms_is_sampled_at_the_stated_phase_and_the_lms_lies_on_the_truth(tmp_path, protocol, moved):
    found = write(request(tmp_path, size_px=128, scenes=3, cutting=Cutting(128, 128), protocol=protocol))
    (file,) = open_patches(tmp_path / "p.h5", tuple(found))
    assert file.facts.phase == 1.5 + moved
    low, fine = [], []
    for number in range(3):
        truth = found["gt"][number].astype(float)
        blocks = truth.reshape(4, 32, 4, 32, 4).mean((2, 4))
        low += [shift_px(found["ms"][number, band], blocks[band]) for band in range(4)]
        smooth = [np.stack([np.convolve(line, np.ones(5) / 5, "same") for line in band]) for band in truth]
        smooth = [np.stack([np.convolve(line, np.ones(5) / 5, "same") for line in band.T]).T for band in smooth]
        fine += [shift_px(found["lms"][number, band], smooth[band]) for band in range(4)]
    np.testing.assert_allclose(np.median(low, 0) * 4, [-moved, -moved], atol=0.12)
    np.testing.assert_allclose(np.median(fine, 0), [0, 0], atol=0.12)


def test_the_truth_is_free_of_noise_and_agrees_with_what_was_recorded(tmp_path):
    sensor = find_sensor("QB")
    shot = shoot(np.random.default_rng(5), sensor, Framing(128, 128))
    assert shot.truth.shape == (4, 128, 128)
    means = shot.truth.reshape(4, 32, 4, 32, 4).mean((2, 4))
    for band in range(4):
        assert np.corrcoef(means[band].ravel(), shot.ms[band].ravel())[0, 1] > 0.98
    design = np.vstack([shot.truth.reshape(4, -1), np.ones(128 * 128)]).T
    pan = shot.pan.ravel().astype(float)
    left = pan - design @ np.linalg.lstsq(design, pan, rcond=None)[0]
    assert left.var() / pan.var() < 0.05


def test_the_truth_is_as_sharp_however_smooth_the_ms_is():
    smooth, sharp = (
        shoot(np.random.default_rng(5), replace(find_sensor("QB"), ms_mtf=(gain,) * 4), Framing(128, 128))
        for gain in (0.05, 0.5)
    )
    np.testing.assert_array_equal(smooth.truth, sharp.truth)
    assert roughness(smooth.ms) < 0.85 * roughness(sharp.ms)


def test_misregistration_moves_the_pan():
    """The same landscape and light, the PAN elsewhere: the truth of a fused image lies where its MS lies."""
    still, moved = (
        shoot(np.random.default_rng(5), find_sensor("QB"), Framing(128, 128, misregistration_px=px)) for px in (0, 6.0)
    )
    np.testing.assert_array_equal(still.truth, moved.truth)
    np.testing.assert_array_equal(still.ms, moved.ms)
    found_px = np.abs(shift_px(moved.pan[0].astype(float), still.pan[0].astype(float))).max()
    assert 0.3 < found_px < 6.5


def test_half_of_the_landscapes_are_coarser_where_that_is_asked_for(monkeypatch):
    """Sizes of landscape pixels, half of those of PAN."""
    sizes_m: dict[bool, list[float]] = {False: [], True: []}
    for coarse, seen in sizes_m.items():
        monkeypatch.setattr(
            shots, "landscape", lambda seed, shape, pixel_m, sun, seen=seen: seen.append(pixel_m) or 1 / 0
        )
        for seed in range(200):
            with pytest.raises(ZeroDivisionError):
                shoot(np.random.default_rng(seed), find_sensor("QB"), Framing(8, 8, coarse=coarse))
    assert 0.14 <= min(sizes_m[False]) < 0.16 and 0.28 < max(sizes_m[False]) <= 0.30
    assert 80 < sum(size > 0.30 for size in sizes_m[True]) < 120 and 0.8 < max(sizes_m[True]) <= 0.9


# Sensors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 4, 8, 16, 60])
def test_random_sensors_are_plausible(bands):
    sensors = [random_sensor(np.random.default_rng(seed), bands, 4) for seed in range(30)]
    for sensor in sensors:
        assert len(sensor.ranges_nm) == len(sensor.ms_mtf) == bands
        responses((*sensor.ranges_nm, sensor.pan_nm))
        centres = np.array(sensor.wavelengths_nm)
        assert (np.diff(centres) > 0).all()
        widths = np.array([high - low for low, high in sensor.ranges_nm])
        assert (widths > 10).all() and (widths <= 140).all()
        assert 0.02 < min(sensor.ms_mtf) <= max(sensor.ms_mtf) < 0.64  # what the detectors alone would give
        assert 0.05 < sensor.pan_mtf <= 0.55
        assert sensor.pan_nm.low_nm < 550 < 650 < sensor.pan_nm.high_nm
    assert len({sensor.ranges_nm for sensor in sensors}) == 30
    assert len({sensor.bit_depth for sensor in sensors}) > 1
    gains = np.array([np.mean(sensor.ms_mtf) for sensor in sensors])
    assert gains.min() < 0.15 and gains.max() > 0.45  # smooth products and sharp ones
    assert ((gains > 0.19) & (gains < 0.43)).mean() > 0.5
    soft = [0.10 <= sensor.pan_mtf <= 0.20 for sensor in sensors]
    assert 0.3 < np.mean(soft) < 0.9  # PANs as instruments have them, and sharpened ones


def test_random_sensors_share_bands_ratio_and_peak(tmp_path):
    found = write(request(tmp_path, random_bands=5, ratio=2, scenes=3))
    assert found["gt"].shape == (12, 5, 32, 32)
    assert found["ms"].shape == (12, 5, 16, 16)
    (file,) = open_patches(tmp_path / "p.h5", ("gt",))
    assert (file.facts.sensor, file.facts.value_max, file.facts.ratio) == ("RANDOM", 4095, 2)
    assert file.facts.licence == LICENCE
    assert 1000 < found["gt"].max() <= 4095


def test_sensors_in_turn_are_scaled_to_one_peak(tmp_path):
    """GF2 has 10 bits, QB 11: the second scene's numbers are doubled."""
    found = write(request(tmp_path, sensors=("QB", "GF2")))
    (file,) = open_patches(tmp_path / "p.h5", ("gt",))
    assert (file.facts.sensor, file.facts.value_max) == ("QB GF2", 2047)
    assert found["pan"][4:].max() > 200
    for some, exact in ((slice(0, 4), False), (slice(4, 8), True)):
        pan = found["pan"][some].astype(float)
        ten_bits = np.rint(pan * 1023 / 2047)
        assert (np.abs(pan - ten_bits * 2047 / 1023).max() < 0.51) == exact


# Files --------------------------------------------------------------------------------------------


def test_validation_scenes_are_the_last_ones(tmp_path):
    output = PatchOutput(tmp_path / "t.h5", tmp_path / "v.h5")
    asked = request(tmp_path, output=output, scenes=3, cutting=Cutting(32, 32, 0.2))
    report = write_synthetic(plan_synthetic(asked), silent)
    assert report.files == {output.path: 8, output.validation: 4}
    everything = write(request(tmp_path, scenes=3))
    np.testing.assert_array_equal(read_all(tmp_path / "v.h5")["gt"], everything["gt"][8:])
    np.testing.assert_array_equal(read_all(tmp_path / "t.h5")["lms"], everything["lms"][:8])
    with pytest.raises(DataError, match="exists already"):
        plan_synthetic(asked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensors": ("ENMAP",)}, "pass bands of EnMAP HSI are not known"),
        ({"sensors": ("QB", "WV3")}, "QB has 4 bands at ratio 4; WV3 has 8 bands"),
        ({"sensors": ("WV9",)}, "no sensor is called 'WV9'"),
        ({"size_px": 30}, "a scene of 30 px does not hold patches of 32 px"),
        ({"size_px": 65}, "a scene of 65 px does not hold"),
        ({"protocol": "wald"}, "no protocol is called 'wald'"),
        ({"protocol": "toolbox", "random_bands": 3, "ratio": 3, "cutting": Cutting(33, 33)}, "ratio is 3"),
        ({"cutting": Cutting(30, 30)}, "--patch 30 is no multiple of the ratio 4"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        plan_synthetic(request(tmp_path, **options))


def test_no_scene_left_to_train_on(tmp_path):
    output = PatchOutput(tmp_path / "t.h5", tmp_path / "v.h5", peak=Peak(1.0, "stated"))
    with pytest.raises(UsageError, match="1 scenes leave none to train on"):
        plan_synthetic(request(tmp_path, output=output, scenes=1, cutting=Cutting(32, 32, 0.1)))


def test_the_sample_scene_keeps_what_is_there(tmp_path):
    (tmp_path / FILES[1]).write_text("precious")
    with pytest.raises(DataError, match="exists already"):
        write_demo(tmp_path, overwrite=False, progress=silent)
    assert [path.name for path in tmp_path.iterdir()] == [FILES[1]]
