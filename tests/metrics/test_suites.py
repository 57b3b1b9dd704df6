"""Suites: what they hold, that shared parts are counted once, and that every index declares itself."""

from __future__ import annotations

import math

import pytest
import torch
from golden_scenes import TOP_DN
from metric_scenes import GOLDEN, SETTINGS, inputs
from pytest import approx

from fusioncli.errors import UsageError
from fusioncli.metrics import contract
from fusioncli.metrics.contract import Metric
from fusioncli.metrics.d_s import DS
from fusioncli.metrics.squared_errors import SquaredErrors
from fusioncli.metrics.suites import SUITES, SuiteSettings, suite

EVERY = [metric for name in SUITES for metric in suite(name, SETTINGS).metrics]


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_every_index_declares_itself(metric: Metric) -> None:
    low, high = metric.value_range
    assert low <= metric.ideal <= high
    assert metric.ideal == (high if metric.higher_is_better else low)
    assert metric.inputs
    assert isinstance(metric.units, str)
    assert type(metric).__doc__


@pytest.mark.parametrize("name", ["reduced-resolution", "full-resolution"])
def test_figures_of_a_suite(name: str) -> None:
    golden = GOLDEN["scenes"]["ikonos"]["DEG"]
    figures = suite(name, SETTINGS).update(inputs("ikonos")).compute()
    assert len(figures) == len(suite(name, SETTINGS).metrics)
    for key in figures.keys() & golden.keys():
        assert figures[key] == approx(golden[key], abs=2e-6), key


@pytest.mark.parametrize("name", SUITES)
def test_the_ideal_image_is_ideal(name: str) -> None:
    truth = inputs("qb")["reference"].double()
    own = suite(name, SuiteSettings(4, TOP_DN))
    figures = own.update({key: truth[:, :1] if key.startswith("pan") else truth for key in own.inputs}).compute()
    for metric in own.metrics:
        if metric.name != "D_rho":  # bands differ from PAN
            assert figures[metric.name] == approx(metric.ideal, abs=1e-12), metric.name


def test_shared_parts_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for index in (DS, SquaredErrors):
        monkeypatch.setattr(index, "partial", lambda self, *args: calls.append(self.name))
    images = {name: image[..., :64, :64] for name, image in inputs("qb").items()}
    for name in ("full-resolution", "reduced-resolution", "reprojection"):
        suite(name, SETTINGS).update(images)
    assert calls == ["D_s", "ERGAS", "R-ERGAS"]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", SUITES)
def test_a_suite_says_what_its_indices_say_alone(name: str, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, each has a halo and pieces of its own."""
    monkeypatch.setitem(contract._PIECE_VALUES, "cpu", 4 * 64**2)
    images = {key: image[..., :200, :180] for key, image in inputs("wv3").items() if image.shape[-1] >= 200}
    valid = torch.ones(1, 1, 200, 180, dtype=torch.bool)
    valid[..., 100:103, 50] = not masked
    own = suite(name, SETTINGS).update({key: images[key] for key in suite(name, SETTINGS).inputs}, valid)
    for metric, alone in zip(own.metrics, suite(name, SETTINGS).metrics, strict=True):
        alone.update(*(images[key] for key in alone.inputs), mask=valid)
        assert metric.compute() == approx(alone.compute(), rel=1e-11), metric.name


def test_a_tile_that_suits_all_members() -> None:
    own = suite("reduced-resolution", SETTINGS)
    assert (own.halo_px, own.align_px) == (16, 32)
    assert own.inputs == ("reference", "fused")
    assert suite("full-resolution", SETTINGS).halo_px == 4


def test_reflectance_needs_its_own_peak() -> None:
    truth = inputs("qb")["reference"] / TOP_DN
    fused = inputs("qb")["fused"] / TOP_DN
    figures = suite("hyperspectral", SuiteSettings(4, 1.0)).update({"reference": truth, "fused": fused}).compute()
    dn = suite("hyperspectral", SuiteSettings(4, TOP_DN)).update(inputs("qb")).compute()
    for key in ("PSNR_band_mean", "SSIM", "SAM", "ERGAS", "CC"):
        assert figures[key] == approx(dn[key], rel=1e-5)


def test_unknown_suites_are_refused() -> None:
    with pytest.raises(UsageError, match="no suite 'wald'"):
        suite("wald", SETTINGS)


def test_values_stay_on_the_scale_of_the_image() -> None:
    zeros = torch.zeros(1, 3, 40, 40)
    figures = suite("hyperspectral", SETTINGS).update({"reference": zeros + 4, "fused": zeros + 7})
    assert figures.metrics[0].compute() == approx(20 * math.log10(TOP_DN / 3))
