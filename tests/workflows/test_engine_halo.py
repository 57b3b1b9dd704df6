"""Networks with tiles of their own: what the upsampler makes has no seams, however the scene is cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fusion_jobs import SCENES, pixels, plan, run, same_bits

from fusioncli.config.architectures import PanAdapterOptions, PnnOptions
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig
from fusioncli.core.tiling import Blend, Tiling
from fusioncli.models.consistent import BackProjection
from fusioncli.models.contract import Window, fuse_image
from fusioncli.models.networks import build_network
from fusioncli.models.panadapter.presets import TINY
from fusioncli.models.refiner.scene import RefinedScene, SceneRefiner
from fusioncli.models.trained import Trained
from fusioncli.ops.sampling import sampling_for

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

FLOAT = {"dtype": "float32", "nodata": 0.0}
ONE_PART = 10_000
LANCZOS = sampling_for("lanczos", 4, 4.0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return {name: SCENES[name](tmp_path_factory.mktemp(name)) for name in ("plain", "holes")}


class Context(torch.nn.Module):
    """A network for tiles of 64 px that adds to `lms` what depends on the whole tile; with gain 0, nothing."""

    width = 5

    def __init__(self, gain, halo_px=None):
        super().__init__()
        self.gain, self.halo_px = gain, halo_px

    def rule(self, lms_reach_px):
        return Blend(64, 16, lms_reach_px if self.halo_px is None else self.halo_px)

    def forward(self, ms, lms, pan):
        assert ms.shape[-2:] == (16, 16) and lms.shape[-2:] == pan.shape[-2:] == (64, 64)
        return lms + self.gain * (pan - lms.mean((-1, -2), keepdim=True))


def fuse(pair, model, part_px=ONE_PART, threads=1):
    """Samples of a job with a model that no name stands for."""
    job = plan(pair, "exp", part_px, threads, **FLOAT)
    cut = Tiling.of(job.pair.alignment.scene, 4, model.card.rule, 4, job.pair.masked)
    return pixels(run(replace(job, model=model, tiling=cut)).path)


class TestHalo:
    """Tiles bring the surroundings that the upsampler needs."""

    def model(self, *settings):
        config = ModelConfig(arch="pnn", bands=4, ratio=4, options=PnnOptions())
        return Trained(Context(*settings), Identity.of_model(config, value_max=2047.0), LANCZOS, "")

    def test_what_the_network_leaves_is_the_untiled_upsampling(self, pairs):
        """At the scene's border too; fading leaves a rounding error of float32."""
        ms = torch.from_numpy(pixels(pairs["plain"].ms)[None].astype("float32"))
        lms = LANCZOS.upsample(ms)[0].numpy()
        np.testing.assert_allclose(fuse(pairs["plain"], self.model(0.0)), lms, atol=2e-3)
        bare = np.abs(fuse(pairs["plain"], self.model(0.0, 0)) - lms)
        assert bare.max() > 1 and bare[:, :40, :40].max() < 2e-3

    @pytest.mark.parametrize("scene", ["plain", "holes"])
    def test_any_part_size_and_any_threads_give_the_same_bits(self, scene, pairs):
        whole = fuse(pairs[scene], self.model(0.5))
        assert whole.std() > 50
        for part_px, threads in ((37, 3), (100, 2)):
            assert same_bits(fuse(pairs[scene], self.model(0.5), part_px, threads), whole), (part_px, threads)


class TestMoments:
    """PanAdapter on classical fusions: tiles that blend, with the moments of the whole scene."""

    def model(self, stirred=True):
        torch.manual_seed(3)
        options = PanAdapterOptions.model_validate(TINY | {"start": "classical"})
        config = ModelConfig(arch="panadapter", bands=4, ratio=4, options=options)
        network = build_network(config).eval().requires_grad_(False)
        if stirred:
            network.tail2.last.weight.normal_(std=0.1)
        trained = Trained(network, Identity.of_model(config, value_max=2047.0), LANCZOS, "")
        return SceneRefiner(trained, BackProjection(LANCZOS, (0.3,) * 4, exact=False))

    @pytest.mark.parametrize("scene", ["plain", "holes"])
    def test_any_part_size_and_any_threads_give_the_same_bits(self, scene, pairs):
        whole = fuse(pairs[scene], self.model())
        assert whole.std() > 50
        for part_px, threads in ((37, 3), (100, 2)):
            assert same_bits(fuse(pairs[scene], self.model(), part_px, threads), whole), (part_px, threads)

    def test_what_the_network_leaves_is_the_classical_method(self, pairs):
        fused = fuse(pairs["plain"], self.model(stirred=False))
        files = pairs["plain"].ms, pairs["plain"].pan
        ms, pan = (torch.from_numpy(pixels(path)[None].astype("float32")) for path in files)
        refiner = self.model(stirred=False)
        window = Window(ms, pan, None, (slice(0, pan.shape[-2]), slice(0, pan.shape[-1])), 4)
        fitted = refiner.fit(refiner.observe(window))
        assert isinstance(fitted, RefinedScene)
        np.testing.assert_allclose(fused, fuse_image(fitted, ms, pan)[0].numpy(), atol=2e-2)
        assert np.abs(fused - LANCZOS.upsample(ms)[0].numpy()).max() > 20
