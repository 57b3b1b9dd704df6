"""Recipes by name and file: packaged ones, overrides, and every problem in one go."""

import re
import tomllib

import pytest

from fusioncli.config.architectures import ARCHITECTURES
from fusioncli.config.load import dump_recipe, header, load_recipe, load_stages, recipe_names, recipe_text
from fusioncli.config.problems import RecipeError
from fusioncli.errors import UsageError

*OTHERS, LAST = [f"'{name}'" for name in ARCHITECTURES]
ARCHES = f"{', '.join(OTHERS)} or {LAST}"


@pytest.fixture
def written(tmp_path):
    """Write a recipe that changes some lines of the packaged one."""

    def write(*changes):
        text = recipe_text("pnn-small")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_are_right_and_explain_themselves(name):
    stages = load_stages(name)
    comments = header(recipe_text(name))
    assert {recipe.name for recipe in stages} == {name}
    assert comments.startswith(f"# {name}: ")
    assert "# Have first:" in comments
    assert re.search(rf"^# Launch: +fusion train {name}$", comments, re.MULTILINE)
    override = re.search(rf"^# Override: +fusion train {name} (.*)$", comments, re.MULTILINE)
    assert override
    sets = re.findall(r"--set (\S+)", override[1])
    assert sets and load_stages(name, sets) != stages


@pytest.mark.parametrize("name", recipe_names())
def test_the_resolved_recipe_is_the_recipe(name, tmp_path):
    stages = load_stages(name, ["optimiser.learning_rate=0.00012345678901234567"])
    path = tmp_path / "resolved.toml"
    path.write_text(dump_recipe(*stages), encoding="utf-8")
    assert load_stages(path) == stages
    assert dump_recipe(*load_stages(path)) == dump_recipe(*stages)


def test_the_resolved_recipe_names_every_setting():
    tables = tomllib.loads(dump_recipe(load_recipe("pnn-small")))
    assert tables["training"]["accumulate"] == 1 and tables["checkpoint"]["keep"] == 2
    assert tables["model"]["options"] == {"widths": [48, 32], "kernels_px": [7, 5, 3], "residual": True}


def test_layers():
    recipe = load_recipe("pnn-small", ["training.steps=7", "training.seed=5"], {"training.seed": 6, "loss": None})
    assert (recipe.training.steps, recipe.training.seed, recipe.loss) == (7, 6, "l1")
    assert recipe.model == load_recipe("pnn-small").model


def test_drawn_scenes_replace_files():
    recipe = load_recipe("pnn-small", ["data.train.scenes=2", 'data.train.sensors=["QB"]'])
    assert recipe.data.train.scenes == 2 and recipe.data.validation == ("validation.h5",)


def test_every_problem_at_once(written):
    path = written(
        ("learning_rate = 2e-3", "lerning_rate = 2e-3"),
        ("batch_size = 32", "batch_size = 0"),
        ('kind = "cosine"', 'kind = "cosin"'),
        ("bands = 4\n", ""),
        ("[checkpoint]", "[chekpoint]"),
        ('loss = "l1"', "learning_rate = 0.1"),
        ('metrics = ["SAM", ', 'metrics = ["sam", '),
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, ["training.steps=many"])
    assert [problem.text for problem in caught.value.problems] == [
        "model.bands is missing",
        "data.batch_size = 0 should be at least 1",
        "optimiser.lerning_rate = 0.002 is no setting (did you mean learning_rate?)",
        "schedule.kind = 'cosin' should be 'constant', 'step' or 'cosine' (did you mean cosine?)",
        "training.steps = 'many' should be a whole number",
        "validation.metrics.0 = 'sam' should be 'SAM', 'ERGAS', 'Q2n', 'Q', 'SCC', 'PSNR_pooled', 'PSNR_band_mean', "
        "'RMSE_pooled', 'RMSE_band_mean', 'SSIM' or 'CC' (did you mean SAM?)",
        "learning_rate = 0.1 is no setting (did you mean optimiser.learning_rate?)",
        "chekpoint = {'every_steps': 100} is no setting (did you mean checkpoint?)",
    ]
    assert caught.value.exit_code == 2
    assert all(problem.text in caught.value.message for problem in caught.value.problems)
    assert "8 problems" in caught.value.message


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("data.train.scens=1", "data.train.scens = 1 is no setting (did you mean scenes?)"),
        ("data.train.scenes=0", "data.train.scenes = 0 should be at least 1"),
        ("data.train=[1]", "data.train.0 = 1 should be a valid string"),
        ("data.train=1", "data.train = 1 should be a list"),
        ("model.options.width=[1]", "model.options.width = [1] is no setting (did you mean widths?)"),
        ("model.options=1", "model.options = 1 should be a table"),
        ("model=1", "model = 1 should be a table"),
        ("model.arch=PNN", f"model.arch = 'PNN' should be {ARCHES} (did you mean pnn?)"),
        ("training.steps.x=1", "training.steps = {'x': 1} should be a whole number"),
        ("data.augment=1", "data.augment = 1 should be true or false"),
        ("training.ema_decay=1.0", "training.ema_decay = 1.0 should be below 1"),
        ("optimiser.learning_rate=2", "optimiser.learning_rate = 2 should be at most 1"),
        ("optimiser.learning_rate=0", "optimiser.learning_rate = 0 should be above 0"),
        ("xyzzy=1", "xyzzy = 1 is no setting"),
    ],
)
def test_wording(override, text):
    with pytest.raises(RecipeError) as caught:
        load_recipe("pnn-small", [override])
    assert text in [problem.text for problem in caught.value.problems]


def test_long_values_are_cut_short():
    with pytest.raises(RecipeError) as caught:
        load_recipe("pnn-small", [f"loss={'x' * 500}"])
    assert len(caught.value.message) < 200


def test_unknown_names_get_the_nearest(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no recipe pnn-smal") as caught:
        load_recipe("pnn-smal")
    assert "did you mean pnn-small?" in caught.value.hint
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("")
    with pytest.raises(UsageError) as caught:
        load_recipe("mine")
    assert "./mine.toml" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = pnn", r"mine\.toml is not TOML: .*line 1"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "problems"),
    ],
)
def test_files_that_are_no_recipes(tmp_path, content, message):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load_recipe(path)


def test_a_folder_is_no_recipe(tmp_path):
    (tmp_path / "x.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe(tmp_path / "x.toml")
