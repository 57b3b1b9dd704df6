"""Every packaged recipe takes two steps; large networks are shrunk, and pre-training gives them backbones."""

from functools import partial

import numpy as np
import pytest
import rasterio
import torch
from training_runs import CrashError, Witness, write_cubes, write_patches

from fusioncli.config.load import load_stages, recipe_names
from fusioncli.errors import DataError
from fusioncli.io.weights import file_sha256, read_header
from fusioncli.models.panadapter.presets import SMALL, TINY
from fusioncli.models.weights import load_weights
from fusioncli.workflows.train.events import Progressed, Started
from fusioncli.workflows.train.request import TrainRequest
from fusioncli.workflows.train.stages import train_stages

SHORT = ["training.steps=2", "schedule.warmup_steps=0", "data.batch_size=2"]
SHRUNK = {
    "infn": {"width": 6, "blocks": 1, "hidden": [8], "latent": 4},
    "panadapter": TINY | {"ipt": TINY["ipt"] | {"queries": 5}},
    "edsr-pretraining": {"edsr": TINY["edsr"]},
    "ipt-pretraining": {"ipt": TINY["ipt"] | {"queries": 5}, "token_px": 3},
}
"""Options by architecture."""
PATCHES_PX = {"infn": 16, "panadapter": 16, "edsr-pretraining": 12, "ipt-pretraining": 12}
"""Windows of tokens, multiples of the tasks' factors."""


pytestmark = pytest.mark.usefixtures("one_thread")


def texts(prefix, values):
    """Options as texts of `--set`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from texts(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}={value}"


def shrunk(name, *sets):
    first = load_stages(name)[0]
    options = list(texts("model.options", SHRUNK.get(first.model.arch, {})))
    side_px = PATCHES_PX.get(first.model.arch, first.data.patch_px)
    return load_stages(name, [*options, f"data.patch_px={side_px}", "data.value_max=2047", *SHORT, *sets])


def run(recipes, folder):
    return train_stages(recipes, TrainRequest(recipes[0], folder, 1, "cpu"), Witness())


def write_pictures(folder):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(6):
        profile = {"driver": "PNG", "height": 20, "width": 24, "count": 3, "dtype": "uint8"}
        with rasterio.open(folder / f"{number}.png", "w", **profile) as dataset:
            dataset.write(rng.integers(0, 255, (3, 20, 24), np.uint8))
    return folder


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Texts of `--set` with the weights of both pre-training recipes."""
    folder = tmp_path_factory.mktemp("backbones")
    pictures = write_pictures(folder / "pictures")
    sources = [f"data.train={pictures}", f"data.validation={pictures}"]
    found = {}
    for name in ("edsr", "ipt"):
        report = run(shrunk(f"pretrain-{name}-small", *sources), folder / name)
        assert report.step == 2 and all(np.isfinite(list(report.figures.values())))
        found[name] = report.path
    return found


def given(backbones):
    return [f"start.backbones.{name}={path}" for name, path in backbones.items()]


@pytest.fixture
def patches(tmp_path):
    def write_files(recipe, side_px=16):
        model = recipe.model
        kind = {"bands": model.bands, "ratio": model.ratio, "side_px": side_px}
        write = partial(write_cubes, guide_bands=model.guide_bands) if model.arch == "infn" else write_patches
        write(tmp_path / "train.h5", count=4, **kind)
        write(tmp_path / "validation.h5", count=2, seed=1, **kind)
        return [f"data.train={tmp_path / 'train.h5'}", f"data.validation={tmp_path / 'validation.h5'}"]

    return write_files


@pytest.mark.parametrize("name", [name for name in recipe_names() if not name.startswith("pretrain")])
def test_packaged_recipes_train(name, tmp_path, backbones, patches):
    recipe, *others = shrunk(name)
    files = patches(recipe, recipe.data.patch_px)
    sets = given(backbones) if others else []
    report = run(shrunk(name, *files, *sets), tmp_path / "run")
    assert report.step == 2 and all(np.isfinite(list(report.figures.values())))
    identity = read_header(report.path).identity
    if others:
        assert identity.stage == others[-1].stage and set(identity.start) == {"weights", "edsr", "ipt"}
        assert identity.start["ipt"].sha256 == file_sha256(backbones["ipt"])
        assert 0 < report.size.trainable < report.size.parameters


def test_a_crash_in_the_second_stage_costs_nothing_but_time(tmp_path, backbones, patches):
    """Frozen tensors are in no checkpoint; they come from where the run started."""
    files = patches(shrunk("panadapter-small")[0])
    long = ["training.steps=6", "training.ema_decay=0.9", "checkpoint.every_steps=2", "validation.every_steps=3"]
    recipes = shrunk("panadapter-small", *files, *given(backbones), *long)
    whole = run(recipes, tmp_path / "whole")
    request, stages = TrainRequest(recipes[0], tmp_path / "run", 1, "cpu"), []

    def crash(event):
        stages.extend([event.stage] if isinstance(event, Started) else [])
        return stages[-1:] == ["adapters"] and isinstance(event, Progressed) and event.step == 4

    with pytest.raises(CrashError):
        train_stages(recipes, request, Witness(crash))
    state = torch.load(tmp_path / "run" / "adapters" / "checkpoints" / "step-00000002.pt")["state"]["learner"]
    assert {name.split(".")[0] for name in state["network"]} == {"interaction", "tail2"}
    assert not any(name.startswith("interaction.vit.") for name in (*state["network"], *state["mean"]))
    resumed = run(recipes, tmp_path / "run")
    assert resumed.resumed_from == 2 and resumed.path.read_bytes() == whole.path.read_bytes()


def test_frozen_backbones_stay_as_they_were_pretrained(tmp_path, backbones, patches):
    files = patches(shrunk("panadapter-small")[0])
    recipes = shrunk("panadapter-small", *files, *given(backbones), "training.ema_decay=0")
    report = run(recipes, tmp_path / "run")
    before = {name: load_weights(path).tensors for name, path in backbones.items()}
    places = {"priors.edsr.body.": before["edsr"], "interaction.vit.": before["ipt"]}
    stages = [
        load_weights(tmp_path / "run" / stage / "weights.safetensors").tensors for stage in ("priors", "adapters")
    ]
    frozen = 0
    for name, tensor in load_weights(report.path).tensors.items():
        for prefix, file in places.items():
            if name.startswith(prefix):
                frozen += 1
                assert tensor.equal(file[f"body.{name.removeprefix(prefix)}"])
        if name.startswith("priors."):
            assert tensor.equal(stages[0][name])  # the second stage takes them as they are
    assert frozen == 8 + 8 + 2 * 10 + 2 * 14
    recipes = shrunk("panadapter-small", *files, *given(backbones), "stages.adapters.model.options.train_sspen=true")
    learned = load_weights(run(recipes, tmp_path / "other").path).tensors
    priors = {name for name in learned if name.startswith("priors.")}
    moved = {name for name in priors if not learned[name].equal(stages[0][name])}
    assert moved and not any(name.startswith("priors.edsr.") for name in moved)  # unless it is asked to have them learn


def test_the_second_stage_needs_the_first_and_both_need_backbones(tmp_path, backbones, patches):
    files = patches(shrunk("panadapter-small")[0])
    with pytest.raises(DataError, match="in no file: priors") as refused:
        run(shrunk("panadapter-small", *files, *given(backbones))[1:], tmp_path / "run")
    assert "start.weights" in refused.value.hint
    with pytest.raises(DataError, match=r"runs/pretrain-edsr-small/weights\.safetensors cannot be read"):
        run(shrunk("panadapter-small", *files), tmp_path / "run")
    sets = [*files, *given(backbones), "model.options.ipt.hidden=20"]
    with pytest.raises(DataError, match=r"ipt\.hidden 16, the recipe's model\.options\.ipt\.hidden is 20"):
        run(shrunk("panadapter-small", *sets), tmp_path / "run")  # before the first stage, which has no ipt


ONE_STAGE = ["stages.priors.model.options.stage=2", "model.options.train_sspen=true"]


@pytest.mark.parametrize(
    ("only", "sets", "without"),
    [
        ("priors", ONE_STAGE, "tail1."),
        (None, ["model.options.tail=ensemble"], "tail2.inner.1."),
        (None, ["model.options.use_ctf=false"], "interaction.adapters.0.spatial.attention."),
        (None, ["model.options.use_cti=false"], "interaction.adapters.0.injection."),
    ],
)
def test_ablations_of_the_paper_train(only, sets, without, tmp_path, backbones, patches):
    """Table 5: one stage instead of two, either tail, neither CTF nor CTI."""
    recipes = shrunk("panadapter-small", *patches(shrunk("panadapter-small")[0]), *given(backbones), *sets)
    report = train_stages(recipes, TrainRequest(recipes[0], tmp_path / "run", 1, "cpu"), Witness(), only)
    assert report.step == 2 and all(np.isfinite(list(report.figures.values())))
    names = list(load_weights(report.path).tensors)
    assert any(name.startswith("tail2.") for name in names) and not any(name.startswith(without) for name in names)
    if only is None:
        return
    learned = read_header(report.path).identity.start
    assert set(learned) == {"edsr", "ipt"} and report.size.trainable > 2000


def test_the_small_recipes_are_the_small_preset():
    options = load_stages("panadapter-small")[1].model.options
    assert options == type(options).model_validate(SMALL | {"start": "classical", "tail": "conv"})
    for name in ("edsr", "ipt"):
        pretrained = load_stages(f"pretrain-{name}-small")[0].model.options
        assert getattr(pretrained, name) == getattr(options, name)


@pytest.mark.parametrize("name", ["wv3", "qb", "gf2"])
def test_the_large_recipes_are_the_paper_s_network(name):
    priors, adapters = load_stages(f"panadapter-{name}")
    options = adapters.model.options
    assert (priors.model.options.stage, options.stage) == (1, 2)
    assert options == type(options)()
    assert (adapters.data.patch_px, adapters.data.batch_size) == (64, 32)
    rates = [(r.optimiser.learning_rate, r.optimiser.learning_rate * r.schedule.decay) for r in (priors, adapters)]
    assert np.allclose(rates, [(1e-3, 1e-5), (5e-4, 1e-6)])


@pytest.mark.parametrize(("name", "ratio", "kept_px"), [("cave-x4", 4, 2), ("cave-x8", 8, 4), ("harvard-x4", 4, 2)])
def test_the_recipes_of_cubes_are_those_of_the_papers(name, ratio, kept_px):
    (recipe,) = load_stages(f"infn-{name}")
    options = recipe.model.options
    assert (recipe.model.bands, recipe.model.guide_bands, recipe.model.ratio) == (31, 3, ratio)
    assert options == type(options)(phase_cells=(ratio - 1 - 2 * kept_px) / (2 * ratio))
    assert (recipe.loss, recipe.data.patch_px, recipe.data.batch_size, recipe.data.augment) == ("l1", 64, 32, False)
    assert recipe.optimiser.name == "adamw"
    assert (recipe.optimiser.learning_rate, recipe.optimiser.weight_decay) == (1e-4, 1e-4)
