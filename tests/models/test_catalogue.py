"""Names of methods."""

import pytest

from fusioncli.errors import UsageError
from fusioncli.models.catalogue import METHODS, find_method


@pytest.mark.parametrize("name", ["mtf-glp-hpm", "MTF-GLP-HPM", "MTF_GLP_HPM"])
def test_names_are_forgiving(name):
    assert find_method(name).name == "mtf-glp-hpm"


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError) as caught:
        find_method("gsaa")
    assert "gsaa" in str(caught.value)
    assert "'gsa'" in caught.value.hint


def test_names_are_unique():
    assert len({method.name for method in METHODS}) == len(METHODS)
