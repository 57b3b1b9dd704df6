"""Compute the planned patches block by block and write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusioncli.io.patch_writer import Images, PatchNumbers
from fusioncli.workflows.simulate.areas import cut
from fusioncli.workflows.simulate.plan import Share, SimulationPlan
from fusioncli.workflows.workers import Progress, in_order


@dataclass(frozen=True)
class SimulationReport:
    """What came out.

    Attributes:
        files: number of patches in each file.
        skipped: patches that were left out because they lack data.
    """

    files: dict[Path, int]
    skipped: int


def write_patches(plan: SimulationPlan, progress: Progress) -> SimulationReport:
    """Do the planned job; memory does not depend on the size of the scenes.

    Raises:
        DataError: values that do not fit, a damaged scene, or a full disk; the file in question is not written then.
    """
    files: dict[Path, int] = {}
    for path, shares in zip(plan.output.paths, (plan.training, plan.validation), strict=False):
        _write(plan, path, shares, progress)
        files[path] = plan.layout(shares).count
    return SimulationReport(files, plan.skipped)


def _write(plan: SimulationPlan, path: Path, shares: Sequence[Share], progress: Progress) -> None:
    layout = plan.layout(shares)
    some = [share for share in shares if share.complete.any()]

    def work(share: Share) -> Images:
        return patches_of(share, layout.numbers)

    with layout.write(path, plan.output.overwrite) as writer:
        for images in in_order(f"writing {path.name}", some, work, plan.threads, progress):
            writer.append(images)


def patches_of(share: Share, numbers: PatchNumbers) -> Images:
    """The complete patches of a block, (n, bands, h, w) each."""
    rect = share.block.rect
    images = share.source.images(rect, numbers)
    chosen = [patch for patch, complete in zip(share.block.patches, share.complete, strict=True) if complete]
    return {name: np.stack([cut(image, rect, patch) for patch in chosen]) for name, image in images.items()}
