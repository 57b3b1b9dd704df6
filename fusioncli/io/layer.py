"""A stack of bands on one grid, read by windows that may reach beyond its edge; optionally resampled on the fly."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from fusioncli.core.grid import Grid
from fusioncli.core.tiling import Rect
from fusioncli.io.raster import Raster, open_raster, reading, single_bands, spread_windows

_SAMPLES_PER_SIDE = 8
_WARP_TOLERANCE_PX = 1e-9  # smaller windows then equal the whole image; 0 crashes rasterio 1.4


@dataclass(frozen=True)
class Target:
    """A grid that a layer is resampled onto, once, with cubic convolution.

    Attributes:
        grid: rows, columns and transform.
        crs: its CRS, or None when neither raster has one.
        source_crs: the CRS that the layer's own transform is in.
    """

    grid: Grid
    crs: CRS | None
    source_crs: CRS | None


@dataclass(frozen=True)
class Layer:
    """Bands of one or several files on one grid.

    Attributes:
        files: the rasters, all on the same grid; their spectral bands are stacked in this order.
        target: grid to resample onto, or None to read pixels as they are.
    """

    files: tuple[Raster, ...]
    target: Target | None = None
    _handles: threading.local = field(default_factory=threading.local, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid that windows refer to."""
        grid = self.target.grid if self.target else self.files[0].grid
        return grid.height, grid.width

    @property
    def masked(self) -> bool:
        """Whether a pixel may be missing."""
        return any(file.masked for file in self.files) or self.target is not None

    def read(self, window: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        """Read a window, mirrored where it leaves the grid.

        Args:
            window: rows and columns of the layer's grid; may reach outside.

        Returns:
            Samples (bands, h, w), float32 or, where that loses digits, float64; and which of them hold data,
            (bands, h, w) bool, or None when all do.

        Raises:
            DataError: the window lies outside altogether, or the file is damaged.
        """
        height, width = self.shape
        inside = window.intersect(Rect(0, 0, height, width))
        if inside.empty:
            raise ValueError(f"window {window} does not touch the {height} x {width} grid")
        pieces, gaps = zip(*(self._read_file(i, inside) for i in range(len(self._sources))), strict=True)
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        valid = None
        if any(gap is not None for gap in gaps):
            filled = [np.ones(p.shape, bool) if gap is None else gap for p, gap in zip(pieces, gaps, strict=True)]
            valid = np.concatenate(filled)
        margins = (
            (0, 0),
            (inside.row0 - window.row0, window.row1 - inside.row1),
            (inside.col0 - window.col0, window.col1 - inside.col1),
        )
        if any(any(m) for m in margins):
            samples = np.pad(samples, margins, "symmetric")
            valid = None if valid is None else np.pad(valid, margins, "symmetric")
        return samples, valid

    def hold(self, window: Rect) -> Layer:
        """The same layer with a window of it in memory, for many reads inside: equal to reads from the files."""
        return _HeldLayer(files=self.files, target=self.target, window=window, held=self.read(window))

    def zero_share(self) -> float:
        """Share of pixels that are 0 in every band, in a few windows: likely fill, where no nodata is declared."""
        samples = []
        for file, dataset in zip(self._sources, self._datasets(), strict=True):
            with reading(file.path, f"a sample of its {dataset.height} rows"):
                pieces = [dataset.read(file.indexes, window=w) for w in spread_windows(dataset, _SAMPLES_PER_SIDE)]
            samples.append(np.concatenate([piece.reshape(len(piece), -1) for piece in pieces], 1))
        return float(np.mean(np.concatenate(samples).max(0) == 0))

    def _read_file(self, number: int, inside: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        file = self._sources[number]
        dataset = self._datasets()[number]
        window = Window(inside.col0, inside.row0, inside.width, inside.height)  # pyright: ignore[reportCallIssue] - attrs class
        with reading(file.path, f"rows {inside.row0} … {inside.row1 - 1}"):
            samples = dataset.read(file.indexes, window=window, out_dtype=str(np.result_type(np.float32, file.dtype)))
            return samples, self._validity(file, dataset, window, samples)

    def _validity(self, file: Raster, dataset: Any, window: Window, samples: np.ndarray) -> np.ndarray | None:  # noqa: ANN401 - DatasetReader or WarpedVRT
        if not self.masked:
            return None
        valid = np.isfinite(samples)
        if self.target is None:  # a resampled file holds NaN wherever a pixel is missing
            if file.imposed:
                valid &= samples != file.nodata
            elif file.masks:
                valid &= dataset.read_masks(file.indexes, window=window) > 0
            if file.alpha is not None:  # GDAL makes a mask of it for one and three colours only
                valid &= dataset.read(file.alpha, window=window) > 0
        return None if valid.all() else valid

    @cached_property
    def _sources(self) -> tuple[Raster, ...]:
        """The files; their single bands when resampled, since the warper takes for missing what all bands miss."""
        if self.target is None:
            return self.files
        return tuple(source for file in self.files for source in single_bands(file))

    def _datasets(self) -> list[Any]:
        """This thread's own handles, closed when the thread ends (rasterio forbids closing them from another)."""
        if not hasattr(self._handles, "datasets"):
            self._handles.datasets = [self._dataset(source) for source in self._sources]
        return self._handles.datasets

    def _dataset(self, file: Raster) -> Any:  # noqa: ANN401 - DatasetReader or WarpedVRT
        dataset = open_raster(file.source)
        if self.target is None:
            return dataset
        grid = self.target.grid
        source: dict[str, Any] = {"src_crs": self.target.source_crs, "src_transform": file.grid.transform}
        if file.alpha is not None:
            source["src_alpha"] = file.alpha
        return WarpedVRT(
            dataset,
            **source,
            src_nodata=np.nan if file.nodata is None else file.nodata,
            nodata=np.nan,
            crs=self.target.crs,
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            dtype="float32",
            resampling=Resampling.cubic,
            tolerance=_WARP_TOLERANCE_PX,
        )


@dataclass(frozen=True, kw_only=True)
class _HeldLayer(Layer):
    """A layer of which one window is in memory: `held` is what reading `window` gave."""

    window: Rect
    held: tuple[np.ndarray, np.ndarray | None] = field(compare=False, repr=False)

    def read(self, window: Rect) -> tuple[np.ndarray, np.ndarray | None]:
        """Cut a window out of the held one, which contains it."""
        samples, valid = self.held
        part = (slice(None), *window.slices(self.window))
        if valid is None or valid[part].all():
            return samples[part], None
        return samples[part], valid[part]
