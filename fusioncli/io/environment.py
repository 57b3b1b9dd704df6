"""GDAL's settings for one command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rasterio

from fusioncli.errors import UsageError

CACHE_SHARE = 8
"""GDAL's block cache may take one part in so many of the memory limit."""


def cache_mb(mem_limit_mb: int) -> int:
    """Size of GDAL's block cache."""
    return max(32, mem_limit_mb // CACHE_SHARE)


def gdal_environment(mem_limit_mb: int, config: Mapping[str, str]) -> rasterio.Env:
    """A context in which GDAL has a bounded cache and the user's own settings, which win.

    Raises:
        UsageError: GDAL_CACHEMAX is not a whole number.
    """
    settings: dict[str, Any] = {"GDAL_CACHEMAX": cache_mb(mem_limit_mb) * 2**20}
    settings |= config
    if text := config.get("GDAL_CACHEMAX"):
        settings["GDAL_CACHEMAX"] = _cache_bytes(text)
    return rasterio.Env(**settings)


def _cache_bytes(text: str) -> int:
    """Rasterio wants a number of bytes; GDAL counts small ones in MB."""
    if not text.isdecimal():
        raise UsageError(f"GDAL_CACHEMAX takes a number of MB, got '{text}'", "for example --config GDAL_CACHEMAX=256")
    return int(text) * 2**20 if int(text) < 100_000 else int(text)
