"""Run a model over a scene: observe it whole if the card asks for that, then fuse it part by part.

Every window is computed by one single-threaded worker from the same samples whatever the cutting, so the output is
the same, byte for byte, for any part size, number of threads, and any interruption in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch

from fusioncli.core.tiling import Rect, Tile, Tiling
from fusioncli.core.values import OutputValues, quantise
from fusioncli.io.parts import PartStore
from fusioncli.io.scene import Samples, ScenePair
from fusioncli.models.contract import FusionModel, SceneMethod, Window
from fusioncli.models.statistics import merge
from fusioncli.workflows.workers import Progress, in_order


@dataclass(frozen=True)
class Engine:
    """A pair, how it is cut, and where it is computed.

    Attributes:
        pair: the aligned scene.
        tiling: its tiles.
        threads: workers; each reads, computes and writes on its own.
        device: torch device.
        dtype: floating-point type of the computation.
        progress: told about every finished step.
    """

    pair: ScenePair
    tiling: Tiling
    threads: int
    device: torch.device
    dtype: torch.dtype
    progress: Progress

    def observe(self, method: SceneMethod) -> FusionModel:
        """Stream the scene through a method's statistics and fit it.

        Raises:
            DataError: no pixel holds data.
        """
        output = self.pair.alignment.output_in_scene
        tiles = list(self.tiling.tiles(output))
        found = in_order(
            "observing", tiles, lambda tile: method.observe(self._window(tile, output)), self.threads, self.progress
        )
        return method.fit(reduce(merge, found))

    def fuse(self, model: FusionModel, parts: Iterable[Rect], store: PartStore, values: OutputValues) -> None:
        """Fuse parts into the store; parts already there are left alone.

        Args:
            model: ready to fuse.
            parts: rectangles counted from the output's corner.
            store: where results go.
            values: range of the output.
        """

        def work(part: Rect) -> None:
            store.write(part, *self.fuse_part(model, part, values))

        missing = [part for part in parts if not store.holds(part)]
        for _ in in_order("fusing", missing, work, self.threads, self.progress):
            pass

    def fuse_part(self, model: FusionModel, part: Rect, values: OutputValues) -> tuple[np.ndarray | None, int]:
        """Fuse one part: its samples (None when no pixel holds data) and how many were clipped."""
        output = self.pair.alignment.output_in_scene
        area = part.shift(output.row0, output.col0)
        fused = np.zeros(
            (self.pair.bands, area.height, area.width),
            np.float32 if self.dtype != torch.float64 else np.float64,
        )
        valid: np.ndarray | None = None
        for tile in self.tiling.tiles(area):
            samples = self.pair.read(tile.read)
            kept = tile.keep.intersect(area)
            if samples.valid is not None:
                if valid is None:
                    valid = np.ones(fused.shape, bool)
                known = samples.valid if model.card.per_band else np.asarray(samples.valid.all(0, keepdims=True))
                valid[:, *kept.slices(area)] = known[:, *kept.slices(tile.read)]
            if samples.valid is None or samples.valid.any():
                _add(fused, self._predict(model, samples), tile, area)
        if valid is not None and not valid.any():
            return None, 0
        return quantise(fused, valid, values)

    def _predict(self, model: FusionModel, samples: Samples) -> np.ndarray:
        ms, pan = self._tensors(samples)
        with torch.inference_mode():
            return model.fuse(ms, pan)[0].cpu().numpy()

    def _window(self, tile: Tile, output: Rect) -> Window:
        samples = self.pair.read(tile.read)
        valid = None if samples.valid is None else np.asarray(samples.valid.all(0, keepdims=True))
        if tile.keep.intersect(output) != tile.keep:
            inside = np.zeros((1, tile.read.height, tile.read.width), bool)
            inside[:, *tile.keep.intersect(output).slices(tile.read)] = True
            valid = inside if valid is None else valid & inside
        ms, pan = self._tensors(samples)
        mask = None if valid is None else torch.from_numpy(valid[None]).to(self.device)
        return Window(ms, pan, mask, tile.keep.slices(tile.read), self.tiling.ratio)

    def _tensors(self, samples: Samples) -> tuple[torch.Tensor, torch.Tensor]:
        arrays = samples.ms, samples.pan
        ms, pan = (torch.from_numpy(np.ascontiguousarray(a))[None].to(self.device, self.dtype) for a in arrays)
        return ms, pan


def _add(fused: np.ndarray, tile_dn: np.ndarray, tile: Tile, area: Rect) -> None:
    """Put a tile's result into its part, weighted where tiles overlap."""
    kept = tile.keep.intersect(area)
    piece = tile_dn[:, *kept.slices(tile.read)]
    if tile.row_weight is None or tile.col_weight is None:
        fused[:, *kept.slices(area)] = piece
        return
    rows, cols = kept.slices(tile.keep)
    fused[:, *kept.slices(area)] += piece * tile.row_weight[rows, None] * tile.col_weight[cols]
