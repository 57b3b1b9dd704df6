"""However a scene is cut, on however many threads: the same bits; and what a method is shown of it."""

from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import numpy as np
import pytest
import rasterio
import torch
from fusion_jobs import NAMES, SCENES, fuse, pixels, plain, plan, run, same_bits

from fusioncli.core import tiling
from fusioncli.core.grid import Verdict
from fusioncli.core.tiling import Blend, Rect, Tiling, Whole
from fusioncli.io.layer import Layer
from fusioncli.io.scene import PairRequest, open_pair
from fusioncli.models.contract import Card, SceneMethod, Window
from fusioncli.models.statistics import Values
from fusioncli.workflows import memory
from fusioncli.workflows.engine import Engine
from fusioncli.workflows.fuse import run_fusion
from fusioncli.workflows.plan import plan_fusion

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

FLOAT = {"dtype": "float32", "nodata": 0.0}
ONE_PART = 10_000
CUTS = [(100, 2), (61, 3), (128, 3)]
SOME = ["exp", "mtf-glp-fs"]
PAN_CORNER = {"plain": (0, 0), "holes": (3, 5)}  # rows, columns from the corner of MS, PAN px


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in SCENES.items()}


@pytest.fixture
def small_tiles(monkeypatch):
    """About 4 x 4 tiles per scene."""
    monkeypatch.setattr(tiling, "TILE_PX", 64)


@pytest.mark.usefixtures("small_tiles")
class TestCuts:
    @pytest.mark.parametrize(
        ("scene", "name"), [*product(["plain", "holes", "snapped"], NAMES), *product(["warped"], SOME)]
    )
    def test_any_part_size_and_any_threads_give_the_same_bits(self, scene, name, pairs):
        whole = fuse(pairs[scene], name, ONE_PART, threads=1, **FLOAT)
        assert whole.std() > 50  # not all nodata
        for part_px, threads in CUTS if scene == "plain" else CUTS[:1]:
            assert same_bits(fuse(pairs[scene], name, part_px, threads, **FLOAT), whole), (part_px, threads)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("scene", ["plain", "holes"])
    def test_one_tile_or_many_give_the_same_numbers(self, scene, name, pairs, monkeypatch):
        """Where every band holds data: elsewhere, methods that mix bands see fills, which end with the tile."""
        tiled = fuse(pairs[scene], name)
        monkeypatch.setattr(tiling, "TILE_PX", 960)
        whole = fuse(pairs[scene], name)
        everywhere = (whole != 0).all(0)
        assert everywhere.mean() > 0.6
        np.testing.assert_array_equal(tiled != 0, whole != 0)
        np.testing.assert_array_equal(tiled[:, everywhere], whole[:, everywhere])

    @pytest.mark.parametrize("name", NAMES)
    def test_tiles_from_files_give_what_the_model_gives_on_whole_arrays(self, name, pairs):
        """Borders included: what the engine mirrors and what a model mirrors are the same."""
        pair = pairs["plain"]
        job = plan(pair, name, 100, 2, **FLOAT)
        ms, pan = (torch.from_numpy(pixels(path)[None].astype("float32")) for path in (pair.ms, pair.pan))
        model = job.model
        if isinstance(model, SceneMethod):
            model = model.fit(model.observe(Window(ms, pan, None, (slice(0, 200), slice(0, 228)), 4)))
        np.testing.assert_allclose(pixels(run(job).path), model.fuse(ms, pan)[0].numpy(), atol=2e-3)

    def test_one_thread_computes_every_window(self, pairs):
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            run(plan(pairs["plain"], "exp"))
            assert torch.get_num_threads() == 1
        finally:
            torch.set_num_threads(before)

    def test_the_share_of_clipped_samples_does_not_depend_on_the_cut(self, pairs):
        whole = run(plan(pairs["plain"], "gsa", ONE_PART, bit_depth=9))
        parts = run(plan(pairs["plain"], "gsa", 100, 2, bit_depth=9))
        assert 0.2 < whole.clipped < 0.98
        assert parts.clipped == whole.clipped
        assert pixels(parts.path).max() == 511

    def test_scenes_are_what_their_names_say(self, pairs):
        jobs = {name: plan(pair, "exp") for name, pair in pairs.items()}
        verdicts = {name: job.pair.alignment.verdict for name, job in jobs.items()}
        assert verdicts == {
            "plain": Verdict.PASTE,
            "holes": Verdict.PASTE,
            "snapped": Verdict.SNAP,
            "warped": Verdict.WARP,
        }
        assert jobs["holes"].pair.alignment.origin != (0, 0)
        assert jobs["snapped"].pair.alignment.ratio == 3
        assert all(len(list(job.tiling.tiles(job.tiling.scene))) >= 9 for job in jobs.values())


def test_tiles_of_full_size(tmp_path):
    """As users run it: 1024 px tiles, here 2 x 2 of them, and parts that straddle them."""
    pair = plain(tmp_path)
    wide = _enlarged(pair, 6)
    whole = fuse(wide, "auto", ONE_PART)
    assert whole.shape == (4, 1200, 1368)
    assert same_bits(fuse(wide, "auto", 700, threads=2), whole)
    assert same_bits(fuse(wide, "auto", 1000, threads=3), whole)


def _enlarged(pair, times):
    """The pair repeated side by side."""
    for path in (pair.ms, pair.pan):
        with rasterio.open(path) as dataset:
            profile, samples = dataset.profile, dataset.read()
        samples = np.tile(samples, (1, times, times))
        profile |= {"height": samples.shape[1], "width": samples.shape[2]}
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(samples)
    return pair


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("scene", ["plain", "holes"])
@pytest.mark.parametrize("name", ["exp", "brovey"])
def test_an_area_of_interest_is_a_cut_out(scene, name, pairs):
    """Methods without scene statistics: pixels around the area are seen, although not written."""
    whole = fuse(pairs[scene], name)
    x0, y1 = 500000.0 + 0.5 * 33, 5700000.0 - 0.5 * 70
    job = plan(pairs[scene], name)
    request = replace(job.request.pair, bounds=(x0, y1 - 0.5 * 90, x0 + 0.5 * 101, y1))
    area = pixels(run(plan_fusion(replace(job.request, pair=request))).path)
    wanted = whole[:, 70:160, 33:134]
    everywhere = (wanted != 0).all(0)
    assert area.shape == wanted.shape and everywhere.mean() > 0.6
    np.testing.assert_array_equal(area != 0, wanted != 0)
    np.testing.assert_array_equal(area[:, everywhere], wanted[:, everywhere])


def test_pixels_that_a_turned_ms_does_not_reach_are_nodata(pairs):
    fused = fuse(pairs["warped"], "exp")
    with rasterio.open(pairs["warped"].ms) as ms, rasterio.open(pairs["warped"].pan) as pan:
        into_ms = ~ms.transform @ pan.transform
    cols, rows = np.meshgrid(np.arange(200) + 0.5, np.arange(200) + 0.5)
    x, y = into_ms @ (cols, rows)
    inward = np.minimum.reduce([x, y, 100 - x, 100 - y])  # MS px from the nearest edge
    assert (fused[:, inward > 1] > 0).all()
    assert (fused[:, inward < -1] == 0).all()
    assert (inward < -1).sum() > 500


@dataclass(frozen=True)
class ContextModel:
    """A stand-in for a network with context: every pixel of a tile depends on the mean of the whole tile."""

    card: ClassVar[Card] = Card("context", Blend(64, 16))

    def fuse(self, ms, pan):
        lms = ms.repeat_interleave(4, -1).repeat_interleave(4, -2)
        return lms + 0.5 * (pan - pan.mean((-1, -2), keepdim=True))


class TestBlend:
    def job(self, pair, part_px, threads=1):
        job = plan(pair, "exp", part_px, threads, **FLOAT)
        card = ContextModel().card
        cut = Tiling.of(job.pair.alignment.scene, job.pair.alignment.ratio, card.rule, 4, job.pair.masked)
        return replace(job, model=ContextModel(), tiling=cut)

    @pytest.mark.parametrize("scene", ["plain", "holes"])
    def test_any_part_size_and_any_threads_give_the_same_bits(self, scene, pairs):
        whole = pixels(run(self.job(pairs[scene], ONE_PART)).path)
        for part_px, threads in ((37, 3), (100, 2), (128, 1)):
            assert same_bits(pixels(run(self.job(pairs[scene], part_px, threads)).path), whole)

    def test_a_constant_stays_constant(self, make_pair):
        pair = make_pair((50, 57))
        for path in (pair.ms, pair.pan):
            with rasterio.open(path, "r+") as dataset:
                dataset.write(np.full_like(dataset.read(), 777))
        fused = pixels(run(self.job(pair, 100)).path)
        np.testing.assert_allclose(fused, 777, atol=2e-4)

    def test_tiles_fade_into_each_other(self, pairs):
        """Against a whole-scene sum written out here: ramps of sin² over 16 px, last tiles shifted inward."""
        job = self.job(pairs["plain"], 100)
        fused = pixels(run(job).path)
        ms, pan = pixels(pairs["plain"].ms).astype(float), pixels(pairs["plain"].pan).astype(float)
        lms = np.kron(ms, np.ones((1, 4, 4)))
        total, weight = np.zeros(lms.shape), np.zeros(pan.shape)
        rows, cols = [0, 48, 96, 136], [0, 48, 96, 144, 164]
        for row in rows:
            for col in cols:
                area = (slice(None), slice(row, row + 64), slice(col, col + 64))
                w = np.outer(_weight(row, rows), _weight(col, cols))
                total[area] += w * (lms[area] + 0.5 * (pan[area] - pan[area].mean()))
                weight[area] += w
        np.testing.assert_allclose(fused, total / weight, atol=2e-3)


class Attentive(torch.nn.Module):
    """What networks are made of: convolutions, attention over the tokens of a whole tile, matrix products."""

    def __init__(self):
        super().__init__()
        self.first, self.patches = torch.nn.Conv2d(5, 24, 3, padding=1), torch.nn.Conv2d(24, 48, 4, 4)
        self.attention = torch.nn.MultiheadAttention(48, 4, batch_first=True)
        self.mix, self.last = torch.nn.Linear(48, 48), torch.nn.ConvTranspose2d(48, 4, 4, 4)

    def forward(self, lms, pan):
        patches = self.patches(self.first(torch.cat([lms, pan], 1)).relu())
        tokens = patches.flatten(2).mT
        mixed = self.mix(tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]).mT
        return lms + self.last(mixed.reshape(patches.shape))


class AttentiveModel:
    """The network as a model that remembers the shapes it was called with."""

    card = Card("attentive", Blend(64, 16))

    def __init__(self):
        torch.manual_seed(5)
        self.network, self.shapes = Attentive().eval(), set()

    def fuse(self, ms, pan):
        self.shapes.add((tuple(ms.shape), tuple(pan.shape)))
        lms = ms.repeat_interleave(4, -1).repeat_interleave(4, -2)
        return 1000 * self.network(lms / 1000, pan / 1000)


class TestBatches:
    """Small windows are fused several at a time; which of them share a batch depends on the part."""

    def fuse(self, pair, model, part_px, threads=1):
        job = plan(pair, "exp", part_px, threads, **FLOAT)
        cut = Tiling.of(job.pair.alignment.scene, job.pair.alignment.ratio, model.card.rule, 4, job.pair.masked)
        return pixels(run(replace(job, model=model, tiling=cut)).path)

    @pytest.mark.parametrize("scene", ["plain", "holes"])
    def test_who_shares_a_batch_moves_no_bit(self, scene, pairs):
        """On a CPU; also of float samples, before they are rounded."""
        whole = self.fuse(pairs[scene], AttentiveModel(), ONE_PART)
        assert whole.std() > 50
        for part_px, threads in ((37, 3), (100, 2), (128, 1)):
            assert same_bits(self.fuse(pairs[scene], AttentiveModel(), part_px, threads), whole), (part_px, threads)

    def test_all_batches_have_one_shape(self, pairs):
        model = AttentiveModel()
        self.fuse(pairs["plain"], model, 100, 2)
        assert model.shapes == {((16, 4, 16, 16), (16, 1, 64, 64))}

    def test_batches_give_what_single_windows_give(self, pairs, monkeypatch):
        together = self.fuse(pairs["holes"], AttentiveModel(), 100)
        monkeypatch.setattr(memory, "_AT_ONCE", 1)
        model = AttentiveModel()
        np.testing.assert_allclose(self.fuse(pairs["holes"], model, 100), together, atol=1e-3)
        assert model.shapes == {((1, 4, 16, 16), (1, 1, 64, 64))}

    def test_a_part_is_read_once(self, pairs, monkeypatch):
        reads = []
        inner = Layer._read_file
        monkeypatch.setattr(Layer, "_read_file", lambda self, *place: reads.append(place) or inner(self, *place))
        self.fuse(pairs["plain"], AttentiveModel(), ONE_PART)
        assert len(reads) == 2  # MS and PAN, not twice 20 tiles


def _weight(start, starts):
    """Ramp up over the overlap with the tile before, down over that with the tile after."""
    x = start + np.arange(64) + 0.5
    index, weight = starts.index(start), np.ones(64)
    if index > 0:
        weight *= np.sin(np.pi / 2 * np.clip((x - start) / (starts[index - 1] + 64 - start), 0, 1)) ** 2
    if index + 1 < len(starts):
        weight *= np.sin(np.pi / 2 * np.clip((start + 64 - x) / (start + 64 - starts[index + 1]), 0, 1)) ** 2
    return weight


@dataclass(frozen=True)
class Witness:
    """A method that only remembers what it was shown."""

    card: ClassVar[Card] = Card("witness", Whole(10))

    def observe(self, window):
        nearest = window.ms.repeat_interleave(window.ratio, -1).repeat_interleave(window.ratio, -2)
        return {
            "full": Values.of(window.counted(window.pan, nearest)),
            "small": Values.of(window.counted_ms(window.ms)),
        }

    def fit(self, statistics):
        return statistics


class TestObserve:
    """Each valid pixel of the output is counted once, and nothing else: no margin, mirrored border or fill."""

    def observed(self, pair, rule=Witness.card.rule):
        scene = open_pair(PairRequest((str(pair.ms),), str(pair.pan)))
        cut = Tiling.of(scene.alignment.scene, scene.alignment.ratio, rule, 4, scene.masked)
        engine = Engine(scene, cut, 2, torch.device("cpu"), torch.float32, lambda stage, done, total: None)
        return engine.observe(Witness())

    @pytest.mark.usefixtures("small_tiles")
    @pytest.mark.parametrize("rule", [Whole(10), Blend(64, 16, 12)], ids=str)
    @pytest.mark.parametrize("name", ["plain", "holes"])
    def test_pixels_are_counted_once(self, name, rule, pairs):
        seen = self.observed(pairs[name], rule)
        ms, pan = pixels(pairs[name].ms), pixels(pairs[name].pan)[0]
        top, left = PAN_CORNER[name]
        nearest = np.kron(ms, np.ones((1, 4, 4)))[:, top : top + pan.shape[0], left : left + pan.shape[1]]
        layers = np.concatenate([pan[None], nearest])
        expected = layers[:, (layers > 0).all(0)]
        assert expected.shape[1] > 0.6 * pan.size
        np.testing.assert_array_equal(_ordered(seen["full"].values), _ordered(expected))

    @pytest.mark.usefixtures("small_tiles")
    @pytest.mark.parametrize("name", ["plain", "holes"])
    def test_ms_pixels_are_counted_once_if_all_their_pan_pixels_are(self, name, pairs):
        seen = self.observed(pairs[name])
        ms, pan = pixels(pairs[name].ms), pixels(pairs[name].pan)[0]
        top, left = PAN_CORNER[name]
        framed = np.zeros((ms.shape[1] * 4, ms.shape[2] * 4))
        framed[top : top + pan.shape[0], left : left + pan.shape[1]] = pan
        whole = (framed.reshape(ms.shape[1], 4, ms.shape[2], 4) > 0).all((1, 3)) & (ms > 0).all(0)
        np.testing.assert_array_equal(_ordered(seen["small"].values), _ordered(ms[:, whole]))

    def test_an_area_of_interest_counts_itself_only(self, pairs):
        pair = pairs["plain"]
        x0, y1 = 500000.0 + 0.5 * 21, 5700000.0 - 0.5 * 10
        bounds = (x0, y1 - 0.5 * 50, x0 + 0.5 * 70, y1)
        scene = open_pair(PairRequest((str(pair.ms),), str(pair.pan), bounds=bounds))
        assert scene.alignment.output == Rect(10, 21, 60, 91)
        cut = Tiling.of(scene.alignment.scene, 4, Whole(10), 4, scene.masked)
        engine = Engine(scene, cut, 1, torch.device("cpu"), torch.float32, lambda stage, done, total: None)
        seen = engine.observe(Witness())["full"].values[0]
        np.testing.assert_array_equal(np.sort(seen), np.sort(pixels(pair.pan)[0, 10:60, 21:91].ravel()))


def _ordered(columns):
    """Columns as a sorted multiset."""
    columns = np.asarray(columns, np.float32)
    return columns[:, np.lexsort(columns)]


def test_progress_counts_every_step(pairs):
    told = []
    run_fusion(plan(pairs["plain"], "gs", 100, 2), lambda *step: told.append(step))
    stages = {stage: [step[1:] for step in told if step[0] == stage] for stage in ("observing", "fusing", "writing")}
    assert stages["observing"] == [(0, 1), (1, 1)]
    assert stages["fusing"] == [(done, 6) for done in range(7)]
    assert stages["writing"] == [(0, 1), (1, 1)]
