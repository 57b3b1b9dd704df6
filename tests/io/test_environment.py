"""GDAL's settings for one command."""

from __future__ import annotations

import pytest
from rasterio.env import getenv

from fusioncli.errors import UsageError
from fusioncli.io.environment import gdal_environment


@pytest.mark.parametrize(
    ("limit_mb", "given", "expected_mb"),
    [(1600, {}, 200), (64, {}, 32), (1600, {"GDAL_CACHEMAX": "64"}, 64), (1600, {"GDAL_CACHEMAX": "67108864"}, 64)],
)
def test_cache(limit_mb, given, expected_mb):
    """A share of the limit, or what the user says: below 100000 GDAL counts MB, else bytes."""
    with gdal_environment(limit_mb, given):
        assert getenv()["GDAL_CACHEMAX"] == expected_mb * 2**20


def test_other_settings_are_passed_on():
    with gdal_environment(1600, {"GDAL_NUM_THREADS": "2", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}):
        assert getenv()["GDAL_NUM_THREADS"] in (2, "2")
        assert getenv()["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"


@pytest.mark.parametrize("text", ["5%", "-1", "many", "1.5"])
def test_unreadable_cache_size(text):
    with pytest.raises(UsageError, match="takes a number of MB"):
        gdal_environment(1600, {"GDAL_CACHEMAX": text})
