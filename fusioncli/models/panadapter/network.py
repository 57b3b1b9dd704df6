"""PanAdapter: two stages that learn small modules around a frozen CNN and a frozen transformer (AAAI 2025)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.core.tiling import Blend
from fusioncli.models.panadapter.interaction import Interaction
from fusioncli.models.panadapter.priors import Priors
from fusioncli.models.panadapter.tail import Channels, build_tail
from fusioncli.models.refiner.candidates import COMMON, OWN, Candidates
from fusioncli.ops.kernels import DEFAULT_MS_GAIN
from fusioncli.ops.resample import pad
from fusioncli.ops.sampling import sampling_for

_COPIES = 4  # of the image that a classical method holds while it fuses


class PanAdapter(nn.Module):
    """Pansharpening after arXiv 2409.06980, written from the paper; untrained, it gives back what it starts from.

    Stage 1 extracts a spectral and a spatial prior around a frozen CNN and makes an image of them. Stage 2 takes the
    priors as they are, lets them interact with a frozen transformer through adapters, and makes the image of that.

    Frozen modules take no gradient and stay in `eval()`; gradients pass through them to what lies before.

    Attributes:
        options: all settings.
        width: bands of the image that a classical method fuses in as much memory.
        gradient_checkpointing: compute blocks once more in the backward pass instead of keeping their results.
    """

    def __init__(self, bands: int, ratio: int, options: PanAdapterOptions) -> None:
        """Build with fresh weights.

        Args:
            bands: of the MS; the weights do not depend on it if `options.per_band`.
            ratio: PAN pixels per MS pixel.
            options: all settings.
        """
        super().__init__()
        self.options, self.ratio = options, ratio
        self.gradient_checkpointing = False
        self.sampling = sampling_for("lanczos", ratio, ratio)
        bands_out, ms_channels, fine_channels = _channels(bands, options)
        self.priors = Priors(ms_channels, fine_channels, options)
        coarse, fine = options.prior_width, options.prior_width
        if options.stage == 1:
            self.tail1 = build_tail(Channels(coarse, fine, bands_out), ratio, options)
        else:
            self.interaction = Interaction(fine_channels, ratio, options)
            shown = options.prior_width if options.tail_priors else 0
            coarse, fine = options.adapter_width + shown, self.interaction.fine_channels + shown
            self.tail2 = build_tail(Channels(coarse, fine, bands_out), ratio, options)
        self.width = max(self._width(coarse, fine), fine_channels) * (bands if options.per_band else 1)
        for module in self.frozen:
            module.requires_grad_(False)
        self.train()

    @property
    def frozen(self) -> tuple[nn.Module, ...]:
        """Modules that keep the weights they were given."""
        if self.options.stage == 1:
            return (self.priors.edsr,)
        return (self.priors.edsr if self.options.train_sspen else self.priors, *self.interaction.frozen)

    @property
    def backbones(self) -> dict[str, dict[str, str]]:
        """By the name of a backbone: prefixes of its tensors here, and those that they have in its own file."""
        ipt = {"interaction.vit.": "body."} if self.options.stage == 2 else {}
        if self.options.stage == 2 and self.options.embedding == "ipt-head":
            ipt["interaction.embedding.blocks."] = f"head.{self.options.query}."
        return {"edsr": {"priors.edsr.body.": "body."}, "ipt": ipt}

    def trainable_names(self) -> tuple[str, ...]:
        """Names of the parameters that this stage, or fine-tuning after it, trains, whatever their `requires_grad`."""
        kept = {parameter for module in self.frozen for parameter in module.parameters()}
        return tuple(name for name, parameter in self.named_parameters() if parameter not in kept)

    def train(self, mode: bool = True) -> PanAdapter:
        """As any module's, but frozen modules stay in `eval()`."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def rule(self, lms_reach_px: int) -> Blend:
        """Overlapping tiles of one window of tokens, the geometry of training, in what the upsampler needs around."""
        reach_px = lms_reach_px
        if self.options.starts_classical:
            reach_px = max(reach_px, self.sampling.reach_px(DEFAULT_MS_GAIN))
        halo_px = math.ceil(reach_px / self.ratio) * self.ratio
        return Blend(self.options.ipt.side * self.ratio, self.options.overlap_cells * self.ratio, halo_px)

    def forward(self, ms: Tensor, lms: Tensor, pan: Tensor) -> Tensor:
        """Fuse values in units of `value_max`; classical fusions are those of each patch, as if it were a whole scene.

        Images that are no whole number of windows are mirrored at their far edges, and cut again.

        Args:
            ms: (N, B, h, w).
            lms: (N, B, H, W), MS on the PAN grid; H and W are those of h and w times the ratio, or a little less.
            pan: (N, 1, H, W).

        Returns:
            (N, B, H, W).
        """
        if self.options.starts_classical:
            return self.refine(Candidates.of_patches(ms, lms, pan, self.sampling))
        if not self.options.per_band:
            return lms + self._detail(ms, torch.cat([lms, pan], 1))
        bands = lms.shape[1]
        ms_each = _by_band(ms, ms.mean(1, keepdim=True))
        stacked = _by_band(lms, lms.mean(1, keepdim=True), pan)
        return lms + self._detail(ms_each, stacked).unflatten(0, (-1, bands)).squeeze(2)

    def refine(self, candidates: Candidates) -> Tensor:
        """Fuse what the moments of a whole scene have been found for, (N, B, H, W)."""
        coarse = candidates.coarse
        if not self.options.per_band:
            return candidates.completed(self._detail(coarse, candidates.of_bands))
        bands = coarse.shape[1]
        ms_each = _by_band(coarse, coarse.mean(1, keepdim=True))
        stacked = torch.stack([candidates.of_band(band) for band in range(bands)], 1).flatten(0, 1)
        return candidates.completed(self._detail(ms_each, stacked).unflatten(0, (-1, bands)).squeeze(2))

    def _detail(self, ms: Tensor, stacked: Tensor) -> Tensor:
        """What is missing in the start, on the PAN grid."""
        height, width = stacked.shape[-2:]
        cells_down, cells_across = self._cells(ms.shape[-2], height), self._cells(ms.shape[-1], width)
        ms = _mirror(ms, cells_down, cells_across)
        stacked = _mirror(stacked, cells_down * self.ratio, cells_across * self.ratio)
        recompute = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        coarse, fine = priors = self.priors(ms, stacked, recompute)
        tail = self.tail1 if self.options.stage == 1 else self.tail2
        if self.options.stage == 2:
            coarse, fine = self.interaction(*priors, stacked, recompute)
            if self.options.tail_priors:
                coarse, fine = torch.cat([coarse, priors[0]], 1), torch.cat([fine, priors[1]], 1)
        precise = tail.last.weight.dtype  # values of 11 bits and more need it
        with torch.autocast(stacked.device.type, enabled=False):
            return tail(coarse.to(precise), fine.to(precise), recompute)[..., :height, :width]

    def _cells(self, size: int, pan_size: int) -> int:
        """MS pixels along an axis after padding: whole windows that cover the MS and the PAN."""
        cells = max(size, math.ceil(pan_size / self.ratio))
        side = self.options.ipt.side
        windowed = self.options.stage == 2 and self.options.context == "window"
        return math.ceil(cells / side) * side if windowed else cells

    def _width(self, coarse: int, fine: int) -> int:
        """Channels held at once per PAN pixel, in the part of the network that holds the most."""
        options, area = self.options, self.ratio**2
        priors = options.taps * options.tap_width + 4 * options.edsr.width
        tokens = (options.ipt.hidden + 8 * options.ipt.width + 6 * options.adapter_width) / area
        tail = coarse / area + fine + 6 * options.tail_width
        return math.ceil(max(priors, tokens if options.stage == 2 else 0, tail) / _COPIES)


def _channels(bands: int, options: PanAdapterOptions) -> tuple[int, int, int]:
    """Of the detail, of the input on the MS grid, and of the input on the PAN grid."""
    bands_out, ms_channels = (1, 2) if options.per_band else (bands, bands)
    return bands_out, ms_channels, OWN * bands_out + COMMON if options.starts_classical else ms_channels + 1


def _by_band(image: Tensor, *shared: Tensor) -> Tensor:
    """Each band of (N, B, H, W) as a sample, with (N, 1, H, W) beside it: (N · B, 1 + shared, H, W)."""
    bands = image.shape[1]
    beside = [layer.expand(-1, bands, -1, -1) for layer in shared]
    return torch.stack([image, *beside], 2).flatten(0, 1)


def _mirror(image: Tensor, height: int, width: int) -> Tensor:
    return pad(image, (0, height - image.shape[-2]), (0, width - image.shape[-1]), "symmetric")
