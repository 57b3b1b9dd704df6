"""Windows at full resolution: parts of the scene, of the training ground only, and what is learned from them."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from affine import Affine
from conftest import Pair, write_raster
from finetuning_scenes import FINE, VALUE_MAX, write_base, write_scene
from fusion_jobs import pixels
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import ValidationError

from fusioncli.config.load import load_stages
from fusioncli.config.recipe import ConsistencyConfig
from fusioncli.errors import UsageError
from fusioncli.io.scene import PairRequest
from fusioncli.io.weights import read_header
from fusioncli.models.trained import load_trained
from fusioncli.ops.sampling import CentredSampling, sampling_for
from fusioncli.workflows import finetune as module
from fusioncli.workflows.finetune import finetune
from fusioncli.workflows.finetune_request import Effort, FinetuneRequest
from fusioncli.workflows.scene_patches import SceneCut, cut_scenes
from fusioncli.workflows.train.feed import Pick
from fusioncli.workflows.train.learner import Learner
from fusioncli.workflows.train.sources import open_training
from fusioncli.workflows.train.world import World

SIDE, RATIO = 8, 4


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    monkeypatch.setattr("fusioncli.workflows.train.world.available_cores", lambda: 1)
    monkeypatch.setattr(module, "_BATCH", 4)
    monkeypatch.setattr(module, "_RATE", 5e-3)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / "base.safetensors")


def patches_of(pair, base):
    cut = SceneCut(read_header(base).identity, base.name, 16, windows_px=SIDE)
    return cut_scenes([PairRequest((str(pair.ms),), str(pair.pan))], cut, lambda *_: None)


def corner_of(window, image):
    """Where a window (bands, h, w) was cut from an image."""
    places = sliding_window_view(image[0], window.shape[1:])
    found = np.argwhere(np.isclose(places, window[0], atol=1e-3).all((2, 3)))
    assert len(found) == 1
    return found[0].tolist()


def test_they_are_the_scene(scene, base):
    windows = patches_of(scene, base).windows
    assert windows is not None and set(windows) == {"full_ms", "full_lms", "full_pan"}
    ms, pan = pixels(scene.ms).astype(float), pixels(scene.pan).astype(float)
    lms = sampling_for("lanczos", RATIO, RATIO).upsample(torch.from_numpy(ms)[None])[0].numpy()
    for number in (0, 40, -1):
        small, large, sharp = (windows[f"full_{name}"][number] * VALUE_MAX for name in ("ms", "lms", "pan"))
        row, col = corner_of(small, ms)
        fine = (slice(None), slice(row * RATIO, (row + SIDE) * RATIO), slice(col * RATIO, (col + SIDE) * RATIO))
        np.testing.assert_allclose(small, ms[:, row : row + SIDE, col : col + SIDE], rtol=1e-6)
        np.testing.assert_allclose(sharp, pan[fine], rtol=1e-6)
        np.testing.assert_allclose(large, lms[fine], rtol=1e-4)


def test_none_lies_where_the_network_is_measured(scene, base):
    """The strip that validates is the far end of the longer axis, 176 MS px here."""
    found = patches_of(scene, base)
    ms = pixels(scene.ms).astype(float)
    rows = [corner_of(window * VALUE_MAX, ms)[0] for window in found.windows["full_ms"]]
    measured = corner_of(found.validation.stacks["gt"][0], ms)[0]
    assert max(rows) + SIDE < measured and max(rows) > 0.6 * measured


def test_gaps_are_left_out(scene, base, tmp_path):
    ms = pixels(scene.ms)
    ms[:, 40:50, 20:50] = 0
    holed = Pair(write_raster(tmp_path / "ms.tif", ms, FINE @ Affine.scale(RATIO), nodata=0), scene.pan)
    windows = patches_of(holed, base).windows
    assert windows is not None and all((image > 0).all() for name, image in windows.items() if name == "full_ms")


def test_a_batch_is_a_function_of_its_number(scene, base):
    samples = patches_of(scene, base).samples
    picks = [Pick(0, 1), Pick(0, 2)]
    first, again, other = (samples.batch(picks, number) for number in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["full_ms"], other["full_ms"])
    np.testing.assert_array_equal(first["gt"], other["gt"])
    # MS are multiples of the PAN's means: all images of a window are turned alike
    means = first["full_pan"].reshape(2, 1, SIDE, RATIO, SIDE, RATIO).mean((3, 5))
    np.testing.assert_allclose(first["full_ms"][:, :1], 0.7 * means, rtol=0.01)


def test_the_loss_of_a_step(scene, base):
    """Patches as ever; and the windows fused, degraded, against their MS where no border shows, in float64."""
    [recipe] = load_stages("pnn-small", ["data.train=a.h5", "training.precision=fp32"])
    found = patches_of(scene, base)
    batch = {name: torch.from_numpy(image) for name, image in found.samples.batch([Pick(0, 1), Pick(0, 2)], 0).items()}
    network = load_trained(base, 4, sampling_for("lanczos", RATIO, RATIO)).network

    def loss(weight):
        asked = recipe.model_copy(update={"consistency": ConsistencyConfig(weight=weight, gains=found.gains)})
        learner = Learner(asked, deepcopy(network).requires_grad_(True), World(0, 1, torch.device("cpu")))
        return float(learner.step([batch], 0))

    with torch.no_grad():
        fused = deepcopy(network).double()(*(batch[f"full_{name}"].double() for name in ("ms", "lms", "pan")))
    low = CentredSampling(RATIO, RATIO).degrade(fused, found.gains)
    inner = (..., slice(1, SIDE - 1), slice(1, SIDE - 1))
    expected = (low - batch["full_ms"])[inner].abs().mean()
    assert loss(3.0) - loss(0.0) == pytest.approx(3 * float(expected), rel=1e-4)


def test_it_is_learned(scene, base, tmp_path):
    """The adapter is another one, and its recipe says why."""
    files = PairRequest((str(scene.ms),), str(scene.pan))
    plain, consistent = tmp_path / "plain.safetensors", tmp_path / "consistent.safetensors"
    for output, effort in ((plain, Effort(5)), (consistent, Effort(5, consistency=2.0))):
        request = FinetuneRequest(
            (files,), base, output, tmp_path / output.stem, effort=effort, device="cpu", threads=1
        )
        finetune(request, lambda _: None)
    assert plain.read_bytes() != consistent.read_bytes()
    [recipe] = load_stages(str(tmp_path / "consistent" / "recipe.toml"))
    assert recipe.consistency == ConsistencyConfig(weight=2.0, gains=(0.3,) * 4)


def test_gains_are_one_per_band():
    [recipe] = load_stages("pnn-small", ["data.train=a.h5", "data.validation=b.h5"])
    with pytest.raises(ValidationError, match="should be 4 figures, one per band"):
        type(recipe).model_validate(recipe.as_tables() | {"consistency": {"weight": 1.0, "gains": [0.3]}})


def test_components_need_a_network_that_has_them():
    [recipe] = load_stages("pnn-small", ["data.train=a.h5", "data.validation=b.h5"])
    with pytest.raises(ValidationError, match="should be another one for a network without"):
        type(recipe).model_validate(recipe.as_tables() | {"loss": "components"})


def test_patch_files_have_no_such_windows():
    [recipe] = load_stages("pnn-small", ["data.train=a.h5", "data.validation=b.h5"])
    asked = recipe.model_copy(update={"consistency": ConsistencyConfig(weight=1.0, gains=(0.3,) * 4)})
    with pytest.raises(UsageError, match=r"data\.train holds nothing at full resolution"):
        open_training(asked)
