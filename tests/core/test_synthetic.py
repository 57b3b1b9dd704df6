"""Synthetic scenes: spectra, light, sampling and registration, and the sample data made of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import rasterio

from fusioncli.core.sensors import Range, find_sensor
from fusioncli.core.synthetic.canvas import Canvas, Frame
from fusioncli.core.synthetic.imaging import Exposure, photograph, responses, sample
from fusioncli.core.synthetic.landscape import Landscape, landscape
from fusioncli.core.synthetic.light import Sun, skylight, sunlight
from fusioncli.core.synthetic.parcels import plan
from fusioncli.core.synthetic.spectra import MATERIALS, REFLECTANCE, WAVELENGTHS_NM, Atmosphere
from fusioncli.core.synthetic.textures import fractal_noise, furrows, scattered_points, stripes

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
NOISELESS = Exposure(shot_noise=0.0, read_noise_dn=0.0)


def reflectance_of(material: str, wavelength_nm: float) -> float:
    return float(np.interp(wavelength_nm, WAVELENGTHS_NM, REFLECTANCE[MATERIALS.index(material)]))


# Spectra ------------------------------------------------------------------------------------------


def test_spectra_are_reflectances_on_one_grid():
    assert REFLECTANCE.shape == (len(MATERIALS), len(WAVELENGTHS_NM)) == (len(MATERIALS), 211)
    assert (REFLECTANCE >= 0).all()
    assert (REFLECTANCE < 0.8).all()


@pytest.mark.parametrize("plant", ["grass", "crop", "broadleaf", "conifer"])
def test_plants_have_a_red_edge_and_a_green_peak(plant):
    red, nir = reflectance_of(plant, 670), reflectance_of(plant, 850)
    assert (nir - red) / (nir + red) > 0.75
    assert reflectance_of(plant, 550) > reflectance_of(plant, 480)
    assert reflectance_of(plant, 550) > red


def test_water_is_darker_than_everything_else_in_the_near_infrared():
    at_850 = {material: reflectance_of(material, 850) for material in MATERIALS}
    assert set(sorted(at_850, key=at_850.__getitem__)[:2]) == {"river", "pool"}


@pytest.mark.parametrize("material", ["loam", "red_tile", "straw"])
def test_earth_and_tile_rise_towards_the_red(material):
    assert reflectance_of(material, 480) < reflectance_of(material, 560) < reflectance_of(material, 660)


def test_air_is_bluer_than_the_ground():
    air = Atmosphere()
    for curve in (air.path_reflectance(), air.sky_share()):
        assert (np.diff(curve) < 0).all()
        assert (curve > 0).all()
    assert ((air.transmittance() > 0.5) & (air.transmittance() < 1)).all()


# Textures -----------------------------------------------------------------------------------------


def test_fractal_noise_is_normalised_and_rougher_with_a_smaller_exponent():
    smooth = fractal_noise(np.random.default_rng(1), (128, 96), 20, roughness=2.5)
    rough = fractal_noise(np.random.default_rng(1), (128, 96), 20, roughness=1.0)
    for noise in (smooth, rough):
        assert noise.shape == (128, 96)
        assert abs(float(noise.mean())) < 1e-3
        assert float(noise.std()) == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(rough)).mean() > 2 * np.abs(np.diff(smooth)).mean()


def test_stripes_cover_their_share_of_the_ground():
    x = np.arange(0, 400, 0.05)
    assert stripes(x, period_m=8.0, width_m=2.0, edge_m=0.3).mean() == pytest.approx(0.25, abs=0.002)


def test_furrows_repeat():
    x = np.linspace(0, 10, 101)
    np.testing.assert_allclose(furrows(x, 2.5), furrows(x + 2.5, 2.5), atol=1e-5)
    assert furrows(x, 2.5).min() >= 0
    assert furrows(x, 2.5).max() <= 1


def test_scattered_points_keep_their_distance():
    points = scattered_points(np.random.default_rng(0), (0, 0), (100, 60), spacing=5)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(len(points), dtype=bool)]
    assert distance.min() > 0.2 * 5
    assert len(points) == pytest.approx(100 * 60 / (0.87 * 25), rel=0.1)


# Canvas -------------------------------------------------------------------------------------------


@pytest.fixture
def canvas():
    rng = np.random.default_rng(5)
    return Canvas((160, 200), 0.25, Frame(rng, bend_m=3.0, reach_m=40.0), rng)


def test_frame_is_inverted(canvas):
    for row, column in [(0, 0), (80, 100), (159, 3), (20, 190)]:
        place = (float(canvas.u_m[row, column]), float(canvas.v_m[row, column]))
        window = canvas.window(place, 1.0)
        nearest = np.hypot(window.along_m, window.across_m)
        assert nearest.min() < 0.01
        local = np.unravel_index(nearest.argmin(), nearest.shape)
        assert (window.area[0].start + local[0], window.area[1].start + local[1]) == (row, column)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2])
def test_a_box_covers_its_area_whatever_its_angle(canvas, angle):
    window = canvas.window((2.0, -3.0), 12.0, angle)
    assert canvas.box(window, (11.0, 4.6)).sum() * 0.25**2 == pytest.approx(11.0 * 4.6, rel=0.02)


def test_paint_covers_what_is_below_in_proportion(canvas):
    area = (slice(3, 4), slice(5, 7))
    canvas.paint(area, np.ones((1, 2), np.float32), {"asphalt": 1.0}, grain=0.0)
    canvas.paint(area, np.array([[0.25, 1.0]], np.float32), {"grass": 0.6, "loam": 0.4}, grain=0.0)
    for name, expected in {"asphalt": [0.75, 0], "grass": [0.15, 0.6], "loam": [0.1, 0.4]}.items():
        np.testing.assert_allclose(canvas.abundance[MATERIALS.index(name), 3, 5:7], expected, atol=1e-6)


def test_a_window_outside_the_canvas_is_empty_and_harmless(canvas):
    window = canvas.window((500.0, 0.0), 3.0)
    assert window.along_m.size == 0
    assert not canvas.is_free((500.0, 0.0), 3.0)
    canvas.paint(window.area, canvas.box(window, (2, 2)), {"grass": 1.0})
    canvas.raise_to(window.area, canvas.box(window, (2, 2)), 5.0)
    assert canvas.abundance.sum() == 0
    assert canvas.height_m.max() == 0


# Light --------------------------------------------------------------------------------------------


def test_level_ground_is_fully_lit():
    flat = np.zeros((40, 50), np.float32)
    np.testing.assert_allclose(sunlight(flat, 0.25, Sun()), 1, atol=1e-6)
    np.testing.assert_allclose(skylight(flat, 0.25), 1, atol=1e-6)


@pytest.mark.parametrize(("azimuth", "step"), [(90, (0, -1)), (180, (-1, 0)), (270, (0, 1)), (0, (1, 0))])
def test_a_tower_throws_its_shadow_away_from_the_sun(azimuth, step):
    height = np.zeros((201, 201), np.float32)
    height[96:105, 96:105] = 10.0
    light = sunlight(height, 0.25, Sun(azimuth_deg=azimuth, elevation_deg=45.0))
    line = light[100 + step[0] * np.arange(5, 100), 100 + step[1] * np.arange(5, 100)]
    away = light[100 - step[0] * np.arange(6, 100), 100 - step[1] * np.arange(6, 100)]
    assert (line < 0.5).sum() * 0.25 == pytest.approx(10.0, abs=0.5)
    assert (away > 0.99).all()


def test_a_slope_is_lit_by_the_cosine_of_the_sun():
    sun = Sun(azimuth_deg=90.0, elevation_deg=40.0)
    x = np.arange(80, dtype=np.float32) * 0.5
    tilt = 0.4
    facing = sunlight(np.tile(-tilt * x + 50, (30, 1)), 0.5, sun)[15, 40]
    normal = np.array([tilt, 0, 1]) / np.hypot(tilt, 1)
    expected = normal @ np.array(sun.direction()) / np.sin(np.radians(40))
    assert facing == pytest.approx(expected, rel=1e-3)


def test_a_narrow_courtyard_sees_less_sky():
    height = np.full((60, 60), 8.0, np.float32)
    height[28:32, 28:32] = 0.0
    sky = skylight(height, 0.25)
    assert sky[30, 30] < 0.6
    assert sky[5, 5] == pytest.approx(1, abs=0.02)


# Layout -------------------------------------------------------------------------------------------


def test_parcels_do_not_overlap_and_leave_little_over():
    layout = plan(np.random.default_rng(3), reach_m=200)
    u = np.arange(-200, 200, 1.0)[:, None]
    v = np.arange(-200, 200, 1.0)[None, :]
    cover = sum(
        ((u >= p.u_m[0]) & (u < p.u_m[1]) & (v >= p.v_m[0]) & (v < p.v_m[1])).astype(int) for p in layout.parcels
    )
    assert cover.max() == 1
    assert cover.mean() > 0.7


def test_there_is_a_village_and_countryside():
    layout = plan(np.random.default_rng(3), reach_m=200)
    uses = {parcel.use for parcel in layout.parcels}
    assert {"homes", "works", "pitch", "field"} <= uses
    assert layout.cuts[0].kind == "road"


def test_parcels_are_small_enough():
    assert max(max(p.size_m) for p in plan(np.random.default_rng(9), 250, parcel_m=60).parcels) < 1.35 * 60


@pytest.fixture(scope="module")
def scene() -> Landscape:
    return landscape(seed=8, shape=(512, 512))


def test_the_same_seed_gives_the_same_landscape():
    first, second, other = (landscape(seed, (128, 128), 0.5) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.abundance, second.abundance)
    np.testing.assert_array_equal(first.sun, second.sun)
    assert not np.array_equal(first.abundance, other.abundance)


@pytest.mark.parametrize(("shape", "gsd_m"), [((24, 40), 0.25), ((96, 320), 0.5), ((64, 64), 5.0)])
def test_any_shape_and_pixel_size_will_do(shape, gsd_m):
    for seed in range(3):
        view = landscape(seed, shape, gsd_m)
        assert view.abundance.shape[1:] == view.sun.shape == view.sky.shape == shape
        assert np.isfinite(view.abundance).all()
        assert view.abundance.min() >= 0


def test_every_pixel_is_made_of_materials(scene):
    brightness = scene.abundance.sum(axis=0)
    assert np.isfinite(scene.abundance).all()
    assert (scene.abundance >= 0).all()
    assert np.percentile(brightness, 1) > 0.5
    assert np.percentile(brightness, 99) < 1.5
    assert (scene.abundance.mean(axis=(1, 2)) > 0.002).sum() >= 8


def test_light_varies(scene):
    assert (scene.sun < 0.2).mean() > 0.02
    assert (scene.sun > 0.9).mean() > 0.4


def test_observed_reflectance_is_physical(scene):
    seen = scene.observe(responses((Range(450, 520), Range(630, 690), Range(760, 900))))
    assert seen.shape == (3, 512, 512)
    assert seen.min() > 0
    assert np.percentile(seen, 99.9) < 0.9


def test_what_a_filter_sees_is_linear_in_the_abundance(scene):
    """One material in full sun: its spectrum, dimmed and hazed by the air, averaged by the filter."""
    one = np.zeros((len(MATERIALS), 1, 1), np.float32)
    one[MATERIALS.index("loam")] = 0.8
    ones = np.ones((1, 1), np.float32)
    filters, air = responses((Range(630, 690),)), Atmosphere()
    spectrum = 0.8 * REFLECTANCE[MATERIALS.index("loam")] * air.transmittance() + air.path_reflectance()
    seen = Landscape(one, ones, ones, 1.0).observe(filters, air)
    np.testing.assert_allclose(seen.ravel(), filters @ spectrum, rtol=1e-5)


# Imaging ------------------------------------------------------------------------------------------


def test_responses_are_normalised_and_centred():
    ranges = (*find_sensor("WV3").ranges_nm[1:], find_sensor("LANDSAT8").ranges_nm[5])
    curves = responses(ranges)
    np.testing.assert_allclose(curves.sum(axis=1), 1)
    np.testing.assert_allclose(curves @ WAVELENGTHS_NM, [(low + high) / 2 for low, high in ranges], atol=3)


def test_an_unknown_pass_band_is_a_usage_error():
    with pytest.raises(Exception, match="pass band") as caught:
        responses(find_sensor("ENMAP").for_bands(2).ranges_nm)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("factor", [2, 8])
@pytest.mark.parametrize("gain", [0.15, 0.30, 0.55])
def test_the_gain_at_nyquist_is_the_one_asked_for(factor, gain):
    """A wave of two detectors a period, its crests at the detector centres, keeps `gain` of its height."""
    x = np.arange(64 * factor)
    wave = np.cos(np.pi * (x + 0.5) / factor - np.pi / 2).astype(np.float32)
    for scene in (np.tile(wave, (4 * factor, 1)), np.tile(wave[:, None], (1, 4 * factor))):
        sampled = sample(scene, factor, gain)
        line = sampled[2] if sampled.shape[1] > 4 else sampled[:, 2]
        assert np.abs(line[8:-8]).mean() == pytest.approx(gain, abs=1e-3)


@pytest.mark.parametrize("factor", [2, 8])
def test_a_pixel_is_centred_where_its_georeferencing_says(factor):
    """A ramp sampled at any factor equals the ramp at the pixel centre."""
    rows, columns = np.mgrid[0:256, 0:256] + 0.5
    ramp = (3 * rows - 2 * columns).astype(np.float32)
    centre = (np.arange(256 // factor) + 0.5) * factor
    expected = 3 * centre[:, None] - 2 * centre[None, :]
    inner = slice(32 // factor, -32 // factor)
    np.testing.assert_allclose(sample(ramp, factor, 0.3)[inner, inner], expected[inner, inner], atol=2e-2)


def test_sampling_keeps_a_constant_and_refuses_what_does_not_divide():
    np.testing.assert_allclose(sample(np.full((16, 24), 0.37, np.float32), 8, 0.3), 0.37, rtol=1e-6)
    with pytest.raises(Exception, match="does not divide") as caught:
        sample(np.zeros((16, 20), np.float32), 8, 0.3)
    assert caught.value.exit_code == 2


def test_photograph_has_the_sizes_and_numbers_of_the_sensor(scene):
    ms, pan = photograph(scene, find_sensor("QB"), oversampling=2, seed=1)
    assert ms.shape == (4, 64, 64)
    assert pan.shape == (256, 256)
    assert ms.dtype == pan.dtype == np.uint16
    assert max(ms.max(), pan.max()) <= 2047
    assert 150 < ms.mean() < 1000
    again = photograph(scene, find_sensor("QB"), oversampling=2, seed=1)
    np.testing.assert_array_equal(again[0], ms)
    np.testing.assert_array_equal(again[1], pan)


def test_pan_is_what_the_bands_together_see(scene):
    """A weighted sum of the bands explains nearly all of the degraded PAN, as it should for real pairs."""
    ms, pan = photograph(scene, find_sensor("QB"), 2, seed=1, exposure=NOISELESS)
    low = pan.reshape(64, 4, 64, 4).mean(axis=(1, 3)).ravel()
    bands = np.vstack([ms.reshape(4, -1), np.ones(64 * 64)]).T
    left = low - bands @ np.linalg.lstsq(bands, low, rcond=None)[0]
    assert left.var() / low.var() < 0.02


def test_ms_and_pan_are_registered_to_a_hundredth_of_a_pixel(scene):
    """Least-squares shift between an image and a finer one of the same filter, both seen by the same optics."""
    seen = scene.observe(responses((Range(450, 900),)))[0]
    coarse = sample(seen, 8, 0.3)
    fine = sample(seen, 2, 0.6).reshape(64, 4, 64, 4).mean(axis=(1, 3))
    slopes = np.stack([g[4:-4, 4:-4].ravel() for g in np.gradient(fine)], axis=1)
    shift = np.linalg.lstsq(slopes, (coarse - fine)[4:-4, 4:-4].ravel(), rcond=None)[0]
    assert np.abs(shift).max() < 0.01


def test_noise_has_the_variance_asked_for():
    """Dead level grass: the scatter is that of photons and electronics."""
    abundance = np.zeros((len(MATERIALS), 512, 512), np.float32)
    abundance[MATERIALS.index("grass")] = 1.0
    ones = np.ones((512, 512), np.float32)
    flat = Landscape(abundance, ones, ones, 0.25)
    exposure = Exposure(shot_noise=0.05, read_noise_dn=3.0)
    _, pan = photograph(flat, find_sensor("QB"), 2, seed=3, exposure=exposure)
    rounding = 1 / 12
    assert pan.var() == pytest.approx(0.05 * pan.mean() + 9 + rounding, rel=0.03)


# Sample data --------------------------------------------------------------------------------------


def test_sample_data_is_what_its_script_writes(tmp_path):
    """The same pixels as in the repository; one number of slack for another processor's rounding."""
    runpy.run_path(str(SAMPLE_DATA / "make.py"))["main"](tmp_path)
    for name in ("scene_ms.tif", "scene_pan.tif"):
        with rasterio.open(SAMPLE_DATA / name) as kept, rasterio.open(tmp_path / name) as made:
            assert made.profile == kept.profile
            assert made.tags() == kept.tags()
            difference = np.abs(made.read().astype(int) - kept.read().astype(int))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_sample_data_is_a_small_georeferenced_pair():
    with rasterio.open(SAMPLE_DATA / "scene_ms.tif") as ms, rasterio.open(SAMPLE_DATA / "scene_pan.tif") as pan:
        assert (ms.count, ms.height, ms.width) == (4, 128, 128)
        assert (pan.count, pan.height, pan.width) == (1, 512, 512)
        assert ms.crs == pan.crs
        assert ms.bounds == pan.bounds
        assert ms.res == (2.0, 2.0)
        assert pan.res == (0.5, 0.5)
        assert ms.descriptions == ("blue", "green", "red", "nir")
        assert [c.name for c in ms.colorinterp[:3]] == ["blue", "green", "red"]
        assert ms.nodata is None
        assert pan.nodata is None
        assert max(ms.read().max(), pan.read().max()) < 2047
    assert sum(path.stat().st_size for path in SAMPLE_DATA.glob("*.tif")) < 2_000_000
