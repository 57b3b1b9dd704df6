"""Windows of a scene at full resolution, beside its patches: where there is no truth, but the MS to agree with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fusioncli.core.rects import finer
from fusioncli.core.tiling import Rect
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate.wald import truth_cells
from fusioncli.workflows.simulate.pair import PairSource
from fusioncli.workflows.simulate.source import array, batch
from fusioncli.workflows.training_data import FULL, PatchSet, Pick, augment
from fusioncli.workflows.workers import Progress, in_order

_MOST = 128
_BYTES = 192 * 2**20


@dataclass(frozen=True)
class WindowedSet:
    """Patches to learn from, each beside a window drawn by lot.

    Attributes:
        patches: of the degraded scenes, with their truth.
        windows: (n, bands, h, w) of each input of the network, in units of `value_max`; names begin with `FULL`.
    """

    patches: PatchSet
    windows: Mapping[str, np.ndarray]

    @property
    def facts(self) -> PatchFacts:
        """Of the patches."""
        return self.patches.facts

    @property
    def digest(self) -> str:
        """Of patches and windows."""
        digest = hashlib.sha256(self.patches.digest.encode())
        for name, images in self.windows.items():
            digest.update(name.encode())
            digest.update(images.data)
        return digest.hexdigest()

    def __len__(self) -> int:
        """How many patches there are."""
        return len(self.patches)

    def order(self, epoch: int) -> np.ndarray:
        """Of the patches."""
        return self.patches.order(epoch)

    def batch(self, picks: Sequence[Pick], number: int) -> dict[str, np.ndarray]:
        """Patches, and as many windows, flipped and rotated."""
        count = len(next(iter(self.windows.values())))
        seed = self.patches.seed
        chosen = np.random.default_rng((seed, number)).integers(count, size=len(picks))
        turned = [
            augment({name: images[index] for name, images in self.windows.items()}, seed, number, place)
            for place, index in enumerate(chosen.tolist())
        ]
        stacked = {name: np.stack([window[name] for window in turned]) for name in self.windows}
        return self.patches.batch(picks, number) | stacked

    def groups(self, size: int) -> list[range]:
        """Of the patches."""
        return self.patches.groups(size)

    def whole(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Patches alone."""
        return self.patches.whole(indices)


@dataclass(frozen=True)
class WindowCut:
    """How windows are cut.

    Attributes:
        names: the inputs of the network: MS, the same upsampled, PAN.
        side: of a window, MS px.
        sampling: makes the second of them, at the scene's own ratio.
        seed: of their places.
        threads: workers.
    """

    names: Sequence[str]
    side: int
    sampling: Sampling
    seed: int
    threads: int


def cut_windows(
    places: Sequence[tuple[PairSource, Rect]], cut: WindowCut, progress: Progress
) -> dict[str, np.ndarray] | None:
    """Windows drawn by lot from the ground of some scenes; None where none is complete.

    Args:
        places: scenes, and which pixels of their degraded MS may be looked at.
        cut: how.
        progress: told about windows read.
    """
    rng = np.random.default_rng(cut.seed)
    corners: list[tuple[PairSource, int, int]] = []
    for source, area in places:
        truth = truth_cells(source.pair)
        ground = finer(area, source.pair.alignment.ratio).shift(truth.row0, truth.col0)
        rows, cols = ground.height - cut.side + 1, ground.width - cut.side + 1
        if min(rows, cols) < 1:
            continue
        drawn = rng.permutation(rows * cols)[: _count(source, cut, len(places))]
        corners += [(source, ground.row0 + place // cols, ground.col0 + place % cols) for place in drawn.tolist()]
    found = in_order("cutting windows", corners, lambda corner: _window(*corner, cut), cut.threads, progress)
    complete = [window for window in found if window is not None]
    if not complete:
        return None
    return {FULL + name: np.stack([window[name] for window in complete]) for name in cut.names}


def _count(source: PairSource, cut: WindowCut, scenes: int) -> int:
    pair, fine_px = source.pair, (cut.side * cut.sampling.ratio) ** 2
    samples = pair.bands * cut.side**2 + (pair.bands + pair.guide_bands) * fine_px
    return max(1, min(_MOST, _BYTES // (4 * samples)) // scenes)


def _window(source: PairSource, row: int, col: int, cut: WindowCut) -> dict[str, np.ndarray] | None:
    """The images of one window, by name; None where data are missing."""
    ratio = cut.sampling.ratio
    cells = Rect(row, col, row + cut.side, col + cut.side)
    around = cells.grow(-(-cut.sampling.reach_px() // ratio))
    samples = source.pair.read(finer(around, ratio))
    fine = finer(cells, ratio).slices(finer(around, ratio))
    if samples.valid is not None and not samples.valid[..., *fine].all():
        return None
    unit = np.float32(1 / source.value_max)
    ms = batch(samples.ms, None, torch.float32)
    images = samples.ms[:, *cells.slices(around)], array(cut.sampling.upsample(ms), *fine), samples.pan[:, *fine]
    return {name: np.multiply(image, unit, dtype=np.float32) for name, image in zip(cut.names, images, strict=True)}
