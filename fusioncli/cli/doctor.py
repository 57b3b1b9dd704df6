"""`fusion doctor`: versions, devices and drivers, for a bug report."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from fusioncli import __version__
from fusioncli.cli import render
from fusioncli.cli.groups import takes_groups
from fusioncli.cli.options import CommonOptions

_PACKAGES = ("torch", "rasterio", "numpy", "scipy", "scikit-image", "typer", "rich")


@takes_groups
def doctor(common: CommonOptions) -> None:
    """Print versions, devices and GDAL drivers: what a bug report should hold."""
    facts = installation()
    render.result(render.table(list(facts.items())), facts, common)


def installation() -> dict[str, Any]:
    """Versions of everything that shapes a result, and where models can run."""
    import rasterio
    import torch
    from rasterio.drivers import raster_driver_extensions

    from fusioncli.workflows.memory import available_cores

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "fusion": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: version(name) for name in _PACKAGES},
        "gdal": rasterio.__gdal_version__,
        "cog_driver": "tif" in raster_driver_extensions(),
        "cores": available_cores(),
        "gpus": ", ".join(gpus) or "none (models run on the CPU)",
    }
