"""The network: residual blocks on a folded grid, from a stack of candidates to what the best of them still lacks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from fusioncli.config.architectures import RefinerOptions
from fusioncli.core.tiling import Whole
from fusioncli.models.refiner.candidates import COMMON, OWN, Candidates
from fusioncli.models.residual import ResidualBlock
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.sampling import sampling_for

_CHANNELS = OWN + COMMON
_IMAGES = 2 * _CHANNELS + 6  # of one band, that are held at a time


class Refiner(nn.Module):
    """Residual blocks (as EDSR, Lim et al., CVPR Workshops 2017) that see every band as an image of its own.

    Input and output are in units of each band's own spread over the scene, so that the same weights serve any number
    of bands, any bit depth and any gain. Pixels are folded, `fold` x `fold` of them into channels, for speed; as `fold`
    divides the ratio, tiles that start at MS pixels give what the whole scene gives.

    Attributes:
        reach_px: how far, in PAN px, the output looks around a pixel of its candidates.
        width: bands of the image that a classical method fuses in as much memory.
        gradient_checkpointing: compute the blocks once more in the backward pass instead of keeping their results.
    """

    def __init__(self, ratio: int, options: RefinerOptions) -> None:
        super().__init__()
        self.fold = min(side for side in range(2, ratio + 1) if ratio % side == 0)
        self.sampling = sampling_for("lanczos", ratio, ratio)
        width, cells = options.width, self.fold**2
        self.head = nn.Conv2d(_CHANNELS * cells, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(options.blocks))
        self.tail = nn.Conv2d(width, cells, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        assert self.tail.bias is not None
        nn.init.zeros_(self.tail.bias)
        self.reach_px = self.fold * (2 * options.blocks + 3)
        self.width = -(-(_IMAGES + 3 * width // cells) // 4)
        self.gradient_checkpointing = False

    def forward(self, ms: Tensor, lms: Tensor, pan: Tensor) -> Tensor:
        """Fuse patches, each as if it were a whole scene; untrained, this is MTF-GLP-FS.

        Args:
            ms: (N, B, h, w).
            lms: (N, B, H, W), MS on the PAN grid.
            pan: (N, 1, H, W).

        Returns:
            (N, B, H, W), in the unit of the input.
        """
        return self.refine(Candidates.of_patches(ms, lms, pan, self.sampling))

    def refine(self, candidates: Candidates) -> Tensor:
        """Fuse what the moments of a whole scene have been found for, (N, B, H, W)."""
        bands = range(candidates.lms.shape[1])
        return candidates.completed(torch.cat([self._lacking(candidates.of_band(band)) for band in bands], 1))

    def rule(self, lms_reach_px: int) -> Whole:
        """Moments of the whole scene, then convolutions."""
        return Whole(self.reach_px + max(lms_reach_px, self.sampling.reach_px(DEFAULT_MS_GAIN)))

    def _lacking(self, stack: Tensor) -> Tensor:
        """Of one band, (N, 7, H, W) to (N, 1, H, W)."""
        height, width = stack.shape[-2:]
        spare = -height % self.fold, -width % self.fold
        stack = functional.pad(stack, (0, spare[1], 0, spare[0]), "replicate") if any(spare) else stack
        folded = functional.pixel_unshuffle(stack, self.fold).contiguous(memory_format=torch.channels_last)
        x = self.head(folded)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.gradient_checkpointing and self.training else block(x)
        return functional.pixel_shuffle(self.tail(x), self.fold)[:, :, :height, :width]
