"""A sinusoid stays where it is: through reading, resampling, upsampling and writing, to a hundredth of a PAN pixel."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import write_raster

PAN_PX = Affine(0.5, 0, 500000.0, 0, -0.5, 5700000.0)
PERIODS_PX = (96.0, 80.0)  # rows, columns; at half of that cubic convolution itself delays a wave by 0.02 px
PAN_SIDE = 320
MARGIN_PX = 20
AMPLITUDE = 300.0


def waves(transform, height, width):
    """One sinusoid down and one across, at the centres of a grid's pixels, fixed to the map; phases are arbitrary."""
    cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = ~PAN_PX @ transform @ (cols, rows)
    down, across = (2 * np.pi * position / period for position, period in zip((y, x), PERIODS_PX, strict=True))
    return 1000 + AMPLITUDE * (np.sin(down + 0.7) + np.sin(across - 1.9))


def displacement(path):
    """How far waves lie from where the georeferencing of their raster puts them, by least squares.

    Returns:
        (rows, columns) in PAN px, and the amplitudes relative to the true one.
    """
    with rasterio.open(path) as dataset:
        samples, transform = dataset.read(1).astype(float), dataset.transform
    inner = np.s_[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    cols, rows = np.meshgrid(np.arange(samples.shape[1]) + 0.5, np.arange(samples.shape[0]) + 0.5)
    x, y = ~PAN_PX @ transform @ (cols[inner], rows[inner])
    down, across = (2 * np.pi * position / period for position, period in zip((y, x), PERIODS_PX, strict=True))
    design = [np.ones_like(x), np.sin(down), np.cos(down), np.sin(across), np.cos(across)]
    found = np.linalg.lstsq(np.stack([d.ravel() for d in design], 1), samples[inner].ravel(), rcond=None)[0]
    angles = np.arctan2(found[2], found[1]), np.arctan2(found[4], found[3])
    shifts = (np.array([0.7, -1.9]) - angles) / (2 * np.pi) * PERIODS_PX
    return shifts, np.hypot(found[[1, 3]], found[[2, 4]]) / AMPLITUDE


def test_the_ruler_measures(tmp_path):
    samples = waves(PAN_PX, 240, 240)[None].astype("float32")
    elsewhere = PAN_PX @ Affine.translation(0.25, -1.5)
    shifts, gains = displacement(write_raster(tmp_path / "moved.tif", samples, elsewhere))
    assert shifts == pytest.approx([-1.5, 0.25], abs=1e-4)
    assert gains == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("upsampler", ["cubic", "lanczos"])
@pytest.mark.parametrize(
    ("ratio", "offset", "verdict"),
    [
        (2, (0, 0), "paste"),
        (3, (0, 0), "paste"),
        (4, (0, 0), "paste"),
        (4, (-3, -6), "paste"),
        (2.5, (0, 0), "snap"),
        (2.5, (-0.8, 0.4), "snap"),
        (2, (-0.5, -1.5), "snap"),
        (3, (0.3, 2.7), "snap"),
        (4, (-1.75, 0.5), "snap"),
        (4.02, (0, 0), "snap"),
    ],
)
def test_waves_stay_put(ratio, offset, verdict, upsampler, tmp_path, fusion):
    ms_px = PAN_PX @ Affine.translation(offset[1], offset[0]) @ Affine.scale(ratio)
    side = int(PAN_SIDE / ratio) + 3
    ms = write_raster(tmp_path / "ms.tif", waves(ms_px, side, side)[None].astype("float32"), ms_px)
    pan = write_raster(tmp_path / "pan.tif", np.full((1, PAN_SIDE, PAN_SIDE), 7, "float32"), PAN_PX)
    output = tmp_path / "fused.tif"
    flags = ["--method", "exp", "--upsampler", upsampler, "--json", "-q", "-o", output]
    outcome = fusion("pansharpen", "--ms", ms, "--pan", pan, *flags)
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["verdict"] == verdict
    shifts, gains = displacement(output)
    assert np.abs(shifts).max() < 0.01
    assert gains == pytest.approx([1, 1], abs=0.02)
