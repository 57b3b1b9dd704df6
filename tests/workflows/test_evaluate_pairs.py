"""Reduced and full resolution of whole pairs: against the indices applied by hand, and cut in any way."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from eval_jobs import full, golden_files, reduced, settings
from fusion_jobs import SCENES, fuse, holes, plain
from pytest import approx

from fusioncli.core.sensors import find_sensor
from fusioncli.errors import DataError
from fusioncli.io.scene import PairRequest, open_pair
from fusioncli.metrics.suites import SuiteSettings, suite
from fusioncli.models.classical.base import Optics
from fusioncli.models.registry import build
from fusioncli.ops import toolbox
from fusioncli.ops.sampling import CentredSampling, ToolboxSampling
from fusioncli.workflows.evaluate import measure
from fusioncli.workflows.evaluate.protocol import CENTRED, TOOLBOX
from fusioncli.workflows.evaluate.wald import truth_cells
from fusioncli.workflows.memory import Resources

GENERIC = find_sensor("generic").for_bands(4)


def read(path) -> torch.Tensor:
    with rasterio.open(path) as dataset:
        return torch.from_numpy(dataset.read().astype(float))[None]


@pytest.mark.parametrize("protocol", [CENTRED, TOOLBOX], ids=lambda p: p.name)
def test_reduced_resolution_is_wald_by_hand(tmp_path, protocol) -> None:
    """Degrade both, upsample the MS, compare: the row of `exp`, without files in between."""
    pair = plain(tmp_path)
    truth, pan = read(pair.ms)[..., :48, :56], read(pair.pan)[..., :192, :224]
    sampling = CentredSampling(4, 4.0, "lanczos") if protocol is CENTRED else ToolboxSampling(4)
    if protocol is CENTRED:  # cropped scene and whole files differ in what lies beyond the crop
        ms = sampling.degrade(read(pair.ms), GENERIC.ms_mtf)[..., :12, :14]
        low_pan = sampling.degrade(read(pair.pan), (GENERIC.pan_mtf,))[..., :48, :56]
    else:
        ms, low_pan = sampling.degrade(truth, GENERIC.ms_mtf), toolbox.imresize(pan, 1 / 4)
    brovey = build("brovey", sampling, Optics(GENERIC.ms_mtf, GENERIC.pan_mtf, GENERIC.pan_weights))
    rows = reduced(pair, settings(protocol, border_px=0), "exp", "brovey").rows
    for name, fused in (("exp", sampling.upsample(ms)), ("brovey", brovey.fuse(ms, low_pan))):
        expected = suite("reduced-resolution", SuiteSettings(4, 65535)).update({"reference": truth, "fused": fused})
        assert rows[name].values == approx(expected.compute(), rel=1e-5)


def test_full_resolution_is_the_indices_by_hand(tmp_path) -> None:
    pair = plain(tmp_path)
    ms, pan = read(pair.ms), read(pair.pan)
    fused = torch.from_numpy(fuse(pair, "gsa").astype(float))[None]
    sampling = CentredSampling(4, 4.0, "lanczos")
    images = {
        "fused": fused,
        "pan": pan,
        "lms": sampling.upsample(ms),
        "pan_degraded": sampling.upsample(toolbox.imresize(pan, 1 / 4)),
        "fused_filtered": sampling.blur(fused, GENERIC.ms_mtf),
        "ms": ms,
        "fused_lowered": sampling.degrade(fused, GENERIC.ms_mtf),
    }
    how = SuiteSettings(4, 65535)
    expected = suite("full-resolution", how).update({k: images[k] for k in images if "lowered" not in k and k != "ms"})
    lowered = suite("reprojection", how).update({k: images[k] for k in ("ms", "fused_lowered")})
    row = full(pair, settings(), fused=(tmp_path / "fused.tif",)).rows[str(tmp_path / "fused.tif")]
    assert row.values == approx(expected.compute() | lowered.compute(), rel=1e-9)


@pytest.mark.parametrize("name", SCENES)
def test_streaming_is_the_whole(tmp_path, monkeypatch, name) -> None:
    """Small tiles, one thread or several: the same figures, gaps, offsets and borders included."""
    pair = SCENES[name](tmp_path)
    found = []
    for tile_px, threads in ((4096, 1), (64, 3)):
        monkeypatch.setattr(measure, "_TILE_PX", tile_px)
        how = settings(border_px=3, resources=Resources(threads, 1400, "cpu"))
        found.append((reduced(pair, how, "exp", "gsa"), full(pair, how, "gsa")))
    for whole, tiled in zip(*found, strict=True):
        for method, row in whole.rows.items():
            other = tiled.rows[method]
            assert row.masked == other.masked
            assert row.undefined == other.undefined
            for index, value in row.values.items():
                assert other.values[index] == (value if value is None else approx(value, rel=1e-9, abs=1e-12)), index


def test_gaps_are_left_out_and_reported(tmp_path) -> None:
    """A pixel counts where every band of MS, PAN and fused holds data; the share that does not is stated."""
    pair = holes(tmp_path)
    row = full(pair, settings(), "exp").rows["exp"]
    ms, pan = (read(path)[0].numpy() != 0 for path in (pair.ms, pair.pan))
    valid = ms.all(0).repeat(4, 0).repeat(4, 1)[3:, 5:] & pan[0]  # PAN starts 3 rows and 5 columns inside the MS
    assert row.masked == approx(1 - valid.mean(), rel=1e-12)
    assert row.values["D_rho"] is not None
    assert row.values["D_lambda_K"] is not None


def test_figures_do_not_see_what_gaps_hold(tmp_path) -> None:
    """Wald on a pair with gaps: the same whether a gap is marked by 0 or by another number."""
    first = reduced(holes(tmp_path / "a"), settings(), "gsa").rows["gsa"]
    other = holes(tmp_path / "b")
    for path in (other.ms, other.pan):
        with rasterio.open(path) as dataset:
            samples, profile = dataset.read(), dataset.profile
        samples[samples == 0] = 60000
        with rasterio.open(path, "w", **{**profile, "nodata": 60000}) as dataset:
            dataset.write(samples)
    second = reduced(other, settings(), "gsa").rows["gsa"]
    assert 0 < first.masked < 1
    assert first == second


def test_truth_is_whole_cells(tmp_path) -> None:
    """PAN starts inside the first MS pixel, which is then no truth; 49 x 55 whole ones are left."""
    pair = holes(tmp_path)
    cells = truth_cells(open_pair(PairRequest((str(pair.ms),), str(pair.pan))))
    assert (cells.row0, cells.col0, cells.height, cells.width) == (1, 1, 48, 52)


def test_plain_upsampling_is_worse_than_fusion(tmp_path) -> None:
    _, pair = golden_files(tmp_path, "qb")
    rows = reduced(pair, settings(), "exp", "gsa", "mtf-glp-fs", sensor="QB").rows
    for method in ("gsa", "mtf-glp-fs"):
        assert rows[method].values["ERGAS"] < 0.7 * rows["exp"].values["ERGAS"]
        assert rows[method].values["Q2n"] > rows["exp"].values["Q2n"]


def test_deviation_over_tiles(tmp_path) -> None:
    """Tiles of 64 px: their mean is near the whole image's figure, and it is a mean of what each tile holds."""
    pair = plain(tmp_path)
    row = full(pair, settings(tile_px=64), "exp").rows["exp"]
    assert row.spread.keys() == row.values.keys()
    mean, deviation = row.spread["D_rho"]
    assert mean == approx(row.values["D_rho"], rel=0.05)
    assert 0 < deviation < mean


def test_phase_search_finds_misregistered_bands(tmp_path) -> None:
    from conftest import write_raster

    from fusioncli.ops.reprojection import sample, unit_sum_filter
    from fusioncli.workflows.evaluate.reproject import lower_at_phases, search_phases

    gt, pair = golden_files(tmp_path, "qb")
    gains, phases = find_sensor("QB").ms_mtf, ((1, 3), (2, 1), (3, 3), (0, 1))
    ms = sample(unit_sum_filter(read(gt), gains, 4), 4, phases)
    assert search_phases(ms, read(pair.pan), gains[0], 4) == phases
    assert torch.equal(lower_at_phases(read(gt), gains, 4, phases), ms)
    moved = write_raster(tmp_path / "moved.tif", ms[0].numpy().round().astype("uint16"))
    row = full(type(pair)(moved, pair.pan), settings(TOOLBOX), fused=(gt,), sensor="QB").rows[str(gt)]
    assert row.values["R-ERGAS"] == approx(0.0085, rel=0.3)  # of the truth itself: rounding of the MS is all


def test_scene_too_large_for_the_toolbox(tmp_path) -> None:
    pair = plain(tmp_path)
    for work in (full, reduced):
        with pytest.raises(DataError, match="holds the scene whole") as caught:
            work(pair, settings(TOOLBOX, resources=Resources(1, 400, "cpu")), "exp")
        assert "--mem-limit" in caught.value.hint


def test_scene_too_small_to_be_degraded(tmp_path, make_pair) -> None:
    with pytest.raises(DataError, match="too little to be degraded by 4"):
        reduced(make_pair((3, 3)), settings(), "exp")
    rows = reduced(make_pair((8, 8)), settings(), "exp").rows
    assert rows["exp"].values["Q"] is None
    assert "window" in rows["exp"].undefined["Q"]
    assert np.isfinite(rows["exp"].values["ERGAS"])
