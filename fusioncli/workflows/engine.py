"""Run a model over a scene: observe it whole if the card asks for that, then fuse it part by part.

Every window is computed by one single-threaded worker from the same samples whatever the cutting, so the output is
the same, byte for byte, for any part size, number of threads, and any interruption in between. Small windows are fused
several at a time, in batches of one shape, whatever is left to do: which windows share a batch does depend on the
cutting, and must not move a bit of any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice

import numpy as np
import torch

from fusioncli.core.tiling import Blend, Rect, Tile, Tiling
from fusioncli.core.values import OutputValues, quantise
from fusioncli.io.parts import PartStore
from fusioncli.io.scene import Samples, ScenePair
from fusioncli.models.contract import FusionModel, SceneMethod, Window
from fusioncli.models.statistics import merge
from fusioncli.workflows.memory import windows_at_once
from fusioncli.workflows.workers import Progress, in_order

_Window = tuple[Tile, Samples]


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
        tiles = list(self.tiling.observed.tiles(output))
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
        gaps = _Gaps(area, self.pair.bands, model.card.per_band)
        for tile, tile_dn in self._fused(model, self._windows(area, gaps)):
            _add(fused, tile_dn, tile, area)
        if gaps.valid is not None and not gaps.valid.any():
            return None, 0
        return quantise(fused, gaps.valid, values)

    def _windows(self, area: Rect, gaps: _Gaps) -> Iterator[_Window]:
        """What is to be fused for an area, in row-major order; windows without data are left out.

        Tiles that blend are small and overlap: their samples are read from the files once, all together.
        """
        tiles, pair = list(self.tiling.tiles(area)), self.pair
        if isinstance(self.tiling.rule, Blend):
            pair = pair.holding(_around([tile.read for tile in tiles]))
        for tile in tiles:
            samples = pair.read(tile.read)
            gaps.note(tile, samples)
            if samples.valid is None or samples.valid.any():
                yield tile, samples

    def _fused(self, model: FusionModel, windows: Iterator[_Window]) -> Iterator[tuple[Tile, np.ndarray]]:
        """Tiles and their results, DN; the last batch is filled up by its last window."""
        size = windows_at_once(self.tiling, model.card.held_bands(self.pair.bands, self.pair.guide_bands))
        while some := list(islice(windows, size)):
            filled = [samples for _, samples in some] + [some[-1][1]] * (size - len(some))
            with torch.inference_mode():
                fused = model.fuse(*self._tensors(filled)).cpu().numpy()
            yield from ((tile, fused[place]) for place, (tile, _) in enumerate(some))

    def _window(self, tile: Tile, output: Rect) -> Window:
        samples = self.pair.read(tile.read)
        valid = None if samples.valid is None else np.asarray(samples.valid.all(0, keepdims=True))
        if tile.keep.intersect(output) != tile.keep:
            inside = np.zeros((1, tile.read.height, tile.read.width), bool)
            inside[:, *tile.keep.intersect(output).slices(tile.read)] = True
            valid = inside if valid is None else valid & inside
        ms, pan = self._tensors([samples])
        mask = None if valid is None else torch.from_numpy(valid[None]).to(self.device)
        return Window(ms, pan, mask, tile.keep.slices(tile.read), self.tiling.ratio)

    def _tensors(self, samples: Sequence[Samples]) -> tuple[torch.Tensor, torch.Tensor]:
        """MS and PAN of N windows, (N, …)."""
        ms, pan = (_stacked(images) for images in ([each.ms for each in samples], [each.pan for each in samples]))
        return ms.to(self.device, self.dtype), pan.to(self.device, self.dtype)


class _Gaps:
    """Which samples of an area hold data.

    Attributes:
        valid: (bands, h, w) bool, or None as long as all do.
    """

    def __init__(self, area: Rect, bands: int, per_band: bool) -> None:
        self._area, self._bands, self._per_band = area, bands, per_band
        self.valid: np.ndarray | None = None

    def note(self, tile: Tile, samples: Samples) -> None:
        """Take down what a tile knows of its part of the area."""
        if samples.valid is None:
            return
        if self.valid is None:
            self.valid = np.ones((self._bands, self._area.height, self._area.width), bool)
        known = samples.valid if self._per_band else np.asarray(samples.valid.all(0, keepdims=True))
        kept = tile.keep.intersect(self._area)
        self.valid[:, *kept.slices(self._area)] = known[:, *kept.slices(tile.read)]


def _around(rects: Sequence[Rect]) -> Rect:
    """The smallest rectangle that contains them all."""
    return Rect(
        min(rect.row0 for rect in rects),
        min(rect.col0 for rect in rects),
        max(rect.row1 for rect in rects),
        max(rect.col1 for rect in rects),
    )


def _stacked(images: Sequence[np.ndarray]) -> torch.Tensor:
    """(c, h, w) each as (N, c, h, w); a single one is not copied."""
    return torch.from_numpy(np.ascontiguousarray(images[0])[None] if len(images) == 1 else np.stack(images))


def _add(fused: np.ndarray, tile_dn: np.ndarray, tile: Tile, area: Rect) -> None:
    """Put a tile's result into its part, weighted where tiles overlap."""
    kept = tile.keep.intersect(area)
    piece = tile_dn[:, *kept.slices(tile.read)]
    if tile.row_weight is None or tile.col_weight is None:
        fused[:, *kept.slices(area)] = piece
        return
    rows, cols = kept.slices(tile.keep)
    fused[:, *kept.slices(area)] += piece * tile.row_weight[rows, None] * tile.col_weight[cols]
