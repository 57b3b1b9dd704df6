"""The weights in the package: whole, free, small, found by name, and better than classical methods on new ground."""

import numpy as np
import pytest
import torch

from fusioncli.core.synthetic.cameras import random_sensor
from fusioncli.core.synthetic.shots import Framing, shoot
from fusioncli.errors import UsageError
from fusioncli.io.downloads import PACKAGED
from fusioncli.io.weights import weight_files
from fusioncli.metrics.ergas import ergas
from fusioncli.models.catalogue import METHODS
from fusioncli.models.classical.base import Optics
from fusioncli.models.contract import SceneMethod, Window
from fusioncli.models.registry import build
from fusioncli.models.weights import load_weights
from fusioncli.ops.sampling import sampling_for

FILES = weight_files([PACKAGED])
SIDE_PX = 192


def fused(name, sensor, ms, pan, ratio):
    optics = Optics(sensor.ms_mtf, sensor.pan_mtf, (1 / ms.shape[1],) * ms.shape[1])
    model = build(name, sampling_for("lanczos", ratio, float(ratio)), optics)
    if isinstance(model, SceneMethod):
        model = model.fit(model.observe(Window(ms, pan, None, (slice(0, SIDE_PX), slice(0, SIDE_PX)), ratio)))
    with torch.inference_mode():
        return model.fuse(ms, pan)


def test_they_are_there_and_small():
    assert {path.stem for path in FILES} >= {f"generic-pansharpen-x{ratio}" for ratio in (2, 3, 4)}
    assert sum(path.stat().st_size for path in FILES) < 25e6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_they_are_whole_and_free(path):
    identity = load_weights(path).identity
    assert identity.arch == "refiner" and identity.sensor == "RANDOM"
    assert path.stem.endswith(f"-x{identity.ratio}")
    assert identity.licence.startswith("CC0-1.0")
    assert identity.recipe == "generic-pansharpen"


@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("bands", [3, 4, 8])
def test_they_beat_every_classical_method_on_new_ground(ratio, bands):
    """Scenes of seeds, sensors and numbers of bands that training did not see; PAN and MS on the same place."""
    errors = dict.fromkeys(["refiner", *(method.name for method in METHODS)], 0.0)
    for seed in range(3):
        rng = np.random.default_rng([2026, seed, ratio])
        sensor = random_sensor(rng, bands, ratio)
        shot = shoot(rng, sensor, Framing(SIDE_PX, SIDE_PX))
        ms, pan, truth = (torch.from_numpy(x.astype(np.float32))[None] for x in (shot.ms, shot.pan, shot.truth))
        for name in errors:
            errors[name] += ergas(truth.double(), fused(name, sensor, ms, pan, ratio).double(), ratio=ratio)
    ours = errors.pop("refiner")
    assert ours < 0.9 * min(errors.values()), errors


def test_another_ratio_is_refused_with_the_line_that_helps():
    with pytest.raises(UsageError, match=r"refiner has packaged weights for the ratios .*, the scene has 7") as caught:
        build("refiner", sampling_for("lanczos", 7, 7.0), Optics((0.3,), 0.15, (1.0,)))
    assert caught.value.hint == "train them: fusion train generic-pansharpen --set model.ratio=7"
