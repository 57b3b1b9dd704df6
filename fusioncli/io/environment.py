"""GDAL's settings for one command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rasterio

CACHE_SHARE = 8
"""GDAL's block cache may take one part in so many of the memory limit."""


def cache_mb(mem_limit_mb: int) -> int:
    """Size of GDAL's block cache."""
    return max(32, mem_limit_mb // CACHE_SHARE)


def gdal_environment(mem_limit_mb: int, config: Mapping[str, str]) -> rasterio.Env:
    """A context in which GDAL has a bounded cache and the user's own settings, which win."""
    settings: dict[str, Any] = {"GDAL_CACHEMAX": cache_mb(mem_limit_mb) * 2**20}
    settings |= {key: _number(key, value) for key, value in config.items()}
    return rasterio.Env(**settings)


def _number(key: str, value: str) -> str | int:
    """Rasterio wants the cache size as a number; GDAL counts small ones in MB."""
    if key != "GDAL_CACHEMAX" or not value.isdigit():
        return value
    return int(value) * 2**20 if int(value) < 100_000 else int(value)
