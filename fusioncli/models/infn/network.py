"""INFN: encoders of both images, the learned function between HSI cells, and a linear head."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fusioncli.config.architectures import InfnOptions
from fusioncli.core.tiling import Exact
from fusioncli.models.infn import local
from fusioncli.models.infn.decoder import Decoder
from fusioncli.models.infn.encoders import Encoder
from fusioncli.models.infn.positions import Lattice, Placement

_STRIP_PX = 2**14  # MSI pixels that are decoded at once
_HEAD_SIDES_PX = (3, 5)


class Infn(nn.Module):
    """Implicit neural feature fusion of a hyperspectral and a multispectral image.

    After Wu et al., "INF³: Implicit Neural Feature Fusion Function for Multispectral and Hyperspectral Image Fusion",
    IEEE TCI 10, 2024 (arXiv 2307.07288), and earlier code of its authors. Differences: neighbours are the four cells
    around a pixel at every ratio, whole or not; beyond the border cells are repeated; the last layer starts at 0.

    Attributes:
        width: bands of the image that a classical method fuses in as much memory: it holds four copies, this network
            its inputs, four maps of spatial features and the latent.
        gradient_checkpointing: compute blocks and strips once more in the backward pass instead of keeping their
            results.
    """

    def __init__(self, bands: int, guide_bands: int, options: InfnOptions, ratio: int = 4) -> None:
        """Fresh weights.

        Args:
            bands: of the HSI.
            guide_bands: of the MSI.
            options: widths and variants.
            ratio: MSI pixels per HSI cell that `rule` reckons with; `forward` takes any.
        """
        super().__init__()
        width, latent = options.width, options.latent
        self.options = options
        self.ratio = ratio
        self.spatial = Encoder(guide_bands + bands, width, options.blocks)
        self.spectral = Encoder(bands, width, options.blocks)
        self.decoder = Decoder(2 * width, width, options.hidden, latent)
        sizes = zip((latent, latent), (latent, bands), _HEAD_SIDES_PX, strict=True)
        self.head = nn.Sequential(*(nn.Conv2d(a, b, side, padding=side // 2, bias=False) for a, b, side in sizes))
        self.log_temperature = nn.Parameter(torch.zeros(())) if options.learn_temperature else None
        self.width = -(-(2 * bands + guide_bands + 4 * width + latent) // 4)
        self.gradient_checkpointing = False
        nn.init.zeros_(cast(nn.Conv2d, self.head[-1]).weight)

    def forward(self, hsi: Tensor, hsi_up: Tensor, msi: Tensor, placement: Placement | None = None) -> Tensor:
        """Fuse values in units of `value_max`: the result is `hsi_up` itself until training has moved the last layer.

        Args:
            hsi: (N, L, h, w).
            hsi_up: (N, L, H, W), HSI on the MSI grid.
            msi: (N, M, H, W); H and W need not be multiples of h and w.
            placement: of the grids; None: they cover the same rectangle, with the phase of the options.

        Returns:
            (N, L, H, W).
        """
        return hsi_up + self.detail(hsi, hsi_up, msi, placement)

    def detail(self, hsi: Tensor, hsi_up: Tensor, msi: Tensor, placement: Placement | None = None) -> Tensor:
        """What `forward` adds to `hsi_up`."""
        size, fine = hsi.shape[-2:], msi.shape[-2:]
        placement = placement or Placement.of_ratio(fine[0] / size[0], fine[1] / size[1], self.options.phase_cells)
        lattice = placement.lattice((size[0], size[1]), (fine[0], fine[1]))
        thrifty = self.gradient_checkpointing and self.training
        guide = self.spatial(torch.cat([msi, hsi_up], 1), thrifty)
        latent = torch.cat([local.pool_guide(guide, lattice), self.spectral(hsi, thrifty)], 1)
        return self.head(self.query(latent, guide, lattice, thrifty))

    def query(self, latent: Tensor, guide: Tensor, lattice: Lattice, thrifty: bool = False) -> Tensor:
        """The learned function at every MSI pixel, strip by strip, so that its wide layers are never held whole.

        Args:
            latent: (N, 2 width, h, w) features of the cells: pooled guide, spectral features.
            guide: (N, width, H, W) spatial features.
            lattice: of the two grids.
            thrifty: compute strips once more in the backward pass instead of keeping their results.

        Returns:
            (N, latent, H, W).
        """
        latent, guide = (x.permute(0, 2, 3, 1).contiguous() for x in (latent, guide))
        strips = []
        rows = max(1, _STRIP_PX // (len(guide) * lattice.cols.pixels))
        for start in range(0, lattice.rows.pixels, rows):
            stop = min(start + rows, lattice.rows.pixels)
            inputs = latent, guide[:, start:stop], Lattice(lattice.rows.part(start, stop), lattice.cols)
            strips.append(checkpoint(self._decode, *inputs, use_reentrant=False) if thrifty else self._decode(*inputs))
        return torch.cat(strips, 1).permute(0, 3, 1, 2)

    def rule(self, lms_reach_px: int) -> Exact:
        """Exact, in MSI pixels.

        From a pixel the head looks 3 pixels, from there a neighbour is less than 2 cells away, and the spectral
        encoder goes on in cells, the spatial one from the farthest pixel of that cell.
        """
        head_px = sum(side // 2 for side in _HEAD_SIDES_PX)
        cells = self.spectral.reach_px + 2 + math.ceil(abs(self.options.phase_cells))
        pixels = head_px + math.ceil(1.5 * self.ratio) + self.spatial.reach_px + lms_reach_px
        return Exact(max(cells * self.ratio, pixels))

    def _decode(self, latent: Tensor, guide: Tensor, lattice: Lattice) -> Tensor:
        """Latent (N, rows, W, D) of some rows of pixels; `latent` (N, h, w, 2c), `guide` (N, rows, W, c)."""
        latent = lattice.extend(latent)
        if self.options.similarity == "guide":
            pooled = latent[..., : self.options.width]
            cosines = local.guide_cosines(guide, pooled, lattice)
        else:
            cosines = local.latent_cosines(latent, lattice)
        weights = local.weights(cosines, self._temperature(), lattice if self.options.area_weighted else None)
        return self.decoder(latent, guide, weights, lattice)

    def _temperature(self) -> Tensor | float:
        initial = self.options.temperature
        return initial if self.log_temperature is None else initial * self.log_temperature.exp()
