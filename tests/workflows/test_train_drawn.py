"""Scenes that a recipe draws: the patches that a file of them would hold, and a run that can be cut off."""

import numpy as np
import pytest
from simulate_jobs import read_all, silent
from training_runs import CrashError, Witness, request

from fusioncli.config.load import load_recipe
from fusioncli.config.problems import RecipeError
from fusioncli.errors import DataError, UsageError
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.simulate.areas import Cutting
from fusioncli.workflows.simulate.drawing import DrawingRequest
from fusioncli.workflows.simulate.request import PatchOutput
from fusioncli.workflows.simulate.synthetic import SyntheticRequest, plan_synthetic, write_synthetic
from fusioncli.workflows.train.events import Prepared, Started, Validated
from fusioncli.workflows.train.launch import train
from fusioncli.workflows.train.sources import open_training, open_validation

DRAWN = '{scenes = 3, seed = 5, sensors = ["QB"]}'
ELSEWHERE = '{scenes = 1, seed = 6, sensors = ["QB"]}'


@pytest.fixture(autouse=True)
def small_scenes(monkeypatch):
    """Of 2 x 2 patches, drawn in this process."""
    for place in ("world", "drawn"):
        monkeypatch.setattr(f"fusioncli.workflows.train.{place}.available_cores", lambda: 1)
    monkeypatch.setattr("fusioncli.workflows.train.drawn._SCENE_PX", 32)


def drawn(tmp_path, run="run", **changed):
    return request(tmp_path, run, **({"data__train": DRAWN, "data__validation": ELSEWHERE} | changed))


@pytest.mark.parametrize(("upsampler", "protocol"), [("lanczos", "centred"), ("interp23tap", "toolbox")])
def test_the_patches_are_those_of_a_file(tmp_path, upsampler, protocol):
    drawing = DrawingRequest(32, ("QB",), seed=5, cutting=Cutting(16, 16), protocol=protocol)
    output = PatchOutput(tmp_path / "p.h5", peak=Peak(4095.0, "stated"))
    write_synthetic(plan_synthetic(SyntheticRequest(output, 3, drawing)), silent)
    on_disk = read_all(output.path)
    found = open_training(drawn(tmp_path, data__upsampler=upsampler, data__value_max=4095).recipe)
    assert len(found) == 12 and found.stacks.keys() == on_disk.keys()
    for name, stack in found.stacks.items():
        assert stack.parts[0].dtype == np.uint16
        np.testing.assert_array_equal(np.stack([stack[number] for number in range(12)]), on_disk[name])
    assert (found.facts.sensor, found.facts.value_max, found.facts.upsampler) == ("QB", 4095, upsampler)
    assert found.facts.licence.startswith("CC0")


def test_without_sensors_every_scene_has_a_random_one_and_pan_may_lie_elsewhere(tmp_path):
    def opened(text):
        return open_training(drawn(tmp_path, data__train=text).recipe)

    still, moved = (opened(f"{{scenes = 2, seed = 5, misregistration_px = {px}}}") for px in (0, 8))
    assert still.facts.sensor == "RANDOM"
    assert still.stacks["ms"].shape[0] == 4
    for name, stack in still.stacks.items():
        same = all(np.array_equal(stack[n], moved.stacks[name][n]) for n in range(len(still)))
        assert same == (name != "pan")


def test_sensors_take_turns_and_another_seed_draws_other_scenes(tmp_path):
    two = '{scenes = 2, seed = 5, sensors = ["QB", "GF2"]}'
    recipe = drawn(tmp_path, data__train=two, data__validation=two.replace("5", "6")).recipe
    training = open_training(recipe)
    validation = open_validation(recipe, training)
    assert training.facts.sensor == "QB GF2"
    assert training.digest == open_training(recipe).digest != validation.digest
    for number, exact in ((3, False), (7, True)):  # GF2 has 10 bits, QB 11: the second scene's numbers are doubled
        pan = training.stacks["pan"][number].astype(float)
        assert (np.abs(pan - np.rint(pan * 1023 / 2047) * 2047 / 1023).max() < 0.51) == exact


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(tmp_path):
    witness = Witness()
    whole = train(drawn(tmp_path, "whole"), witness)
    assert [(event.stage, event.done, event.total) for event in witness.of(Prepared)] == [
        *(("drawing scenes for data.train", done, 3) for done in range(4)),
        *(("drawing scenes for data.validation", done, 1) for done in range(2)),
    ]
    assert witness.index(witness.of(Started)[0]) == 6
    with pytest.raises(CrashError):
        train(drawn(tmp_path), Witness(lambda event: getattr(event, "step", 0) == 8))
    resumed = train(drawn(tmp_path), Witness())
    assert resumed.resumed_from == 5 and resumed.sha256 == whole.sha256
    other = DRAWN.replace("5", "7")
    with pytest.raises(DataError, match="another recipe"):
        train(drawn(tmp_path, data__train=other), Witness())


def test_it_learns(tmp_path):
    witness = Witness()
    changed = {"training__steps": 90, "validation__every_steps": 30, "optimiser__learning_rate": 0.005}
    train(drawn(tmp_path, **changed), witness)
    first, *_, last = (event.figures["ERGAS"] for event in witness.of(Validated))
    assert last < first


def test_scenes_in_memory_are_not_drawn_again(tmp_path):
    """As by the second stage of a run."""
    witness, recipe = Witness(), drawn(tmp_path).recipe
    first = open_training(recipe, witness)
    drawn_once = len(witness)
    second = open_training(recipe.model_copy(update={"loss": "l2"}), witness)
    assert len(witness) == drawn_once > 0
    assert all(second.stacks[name] is stack for name, stack in first.stacks.items())
    del first, second
    open_training(recipe, witness)
    assert len(witness) == 2 * drawn_once


REFUSED = {
    "sensor": ({"data__train": '{scenes = 1, sensors = ["WV9"]}'}, "no sensor is called 'WV9'", UsageError),
    "bands": (
        {"data__train": '{scenes = 1, sensors = ["WV3"]}'},
        "scenes of WV3 have bands 8, the recipe's model.bands is 4",
        UsageError,
    ),
    "ratio": ({"model__ratio": 2}, "scenes of QB have ratio 4, the recipe's model.ratio is 2", UsageError),
    "mixed": ({"data__train": '{scenes = 2, sensors = ["QB", "WV3"]}'}, "QB has 4 bands.*WV3 has 8", UsageError),
    "unknown bands": ({"data__train": '{scenes = 1, sensors = ["ENMAP"]}'}, "pass bands of EnMAP", UsageError),
    "upsampler": ({"data__upsampler": "cubic"}, "data.upsampler is cubic", UsageError),
    "memory": ({"data__train": '{scenes = 10000000000, sensors = ["QB"]}'}, r"scenes takes [\d.]+ GB", DataError),
    "validation": ({"data__validation": '{scenes = 1, sensors = ["GF2"]}'}, "value_max 2047.0.*1023.0", DataError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_refused(case, tmp_path):
    changed, message, kind = REFUSED[case]
    with pytest.raises(kind, match=message) as caught:
        train(drawn(tmp_path, **({"data__train": DRAWN} | changed)), Witness())
    assert caught.value.hint
    assert not (tmp_path / "run").exists()


def test_equal_seeds_would_validate_on_what_was_learned():
    sets = ['data.train={scenes = 9, sensors = "QB"}', 'data.validation={scenes = 1, sensors = "QB"}']
    with pytest.raises(RecipeError, match=r"data.validation.seed = 0 should differ from data.train.seed"):
        load_recipe("pnn-small", sets)
