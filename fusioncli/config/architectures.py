"""The networks a recipe can name, and the settings of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from fusioncli.config.base import Conflict, Count, Counts, Positive, Table, WholeNumber, refuse

PANSHARPENING = ("ms", "lms", "pan")
HYPERSPECTRAL = ("hsi", "hsi_up", "msi")
RESTORATION = ("image", "task")
Task = Literal["sr2", "sr3", "sr4", "denoise30", "denoise50"]
"""What a restoration network undoes: the loss of all but one pixel in 2², 3², 4²; noise of 30 or 50 parts in 255."""
TASKS: tuple[Task, ...] = get_args(Task)
"""The input `task` of such a network holds places in this list."""


class Options(Table):
    """The settings of one architecture; each has its own subclass.

    Attributes:
        inputs: images that the network takes, in the order of its arguments; what it learns to give is always `gt`.
    """

    inputs: ClassVar[tuple[str, ...]] = PANSHARPENING

    @property
    def any_bands(self) -> bool:
        """Whether weights fit any number of bands, whatever they were trained with."""
        return False

    @property
    def any_values(self) -> bool:
        """Whether the network scales its inputs itself, so that `value_max` is no bound."""
        return self.starts_classical

    @property
    def starts_classical(self) -> bool:
        """Whether the network starts from classical fusions, in units of a scene's moments."""
        return False


class PnnOptions(Options):
    """Baseline after Masi et al., "Pansharpening by Convolutional Neural Networks", Remote Sens. 8(7), 2016.

    Attributes:
        widths: channels of the hidden layers.
        kernels_px: side of the square kernels, odd, PAN px; one more than there are widths.
        residual: add the result to the upsampled MS (as the advanced PNN of Scarpa et al., IEEE TGRS 56(9), 2018).
    """

    widths: Counts = (64, 32)
    kernels_px: Counts = (9, 5, 5)
    residual: bool = True

    @model_validator(mode="after")
    def _check(self) -> PnnOptions:
        refuse("options", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        layers = len(self.widths) + 1
        if len(self.kernels_px) != layers:
            text = f"should hold {layers} sides, one per layer: widths names {layers - 1} hidden layers"
            yield Conflict(("kernels_px",), list(self.kernels_px), text)
        if even := [side for side in self.kernels_px if side % 2 == 0]:
            yield Conflict(("kernels_px",), list(self.kernels_px), f"should be odd sides; {even[0]} has no centre")


class RefinerOptions(Options):
    """Residual blocks that refine classical fusions, one band at a time.

    Attributes:
        width: channels of the blocks.
        blocks: how many, of two convolutions each.
    """

    width: Count = 48
    blocks: Count = 6

    @property
    def any_bands(self) -> bool:
        """Every band is an image of its own."""
        return True

    @property
    def starts_classical(self) -> bool:
        """It does nothing else."""
        return True


class EdsrSize(Table):
    """Residual blocks of EDSR (Lim et al., CVPR Workshops 2017); defaults: `edsr_baseline`.

    Attributes:
        width: channels.
        blocks: how many.
    """

    width: Count = 64
    blocks: Count = 16


class IptSize(Table):
    """The transformer of IPT (Chen et al., CVPR 2021); defaults: `IPT_pretrain`.

    Attributes:
        width: numbers per token.
        heads: of every attention.
        encoder_layers: how many.
        decoder_layers: how many.
        hidden: width of the perceptrons' inner layer.
        side: rows and columns of tokens that the position table is for.
        queries: tasks it was trained for.
    """

    width: Count = 576
    heads: Count = 12
    encoder_layers: Count = 12
    decoder_layers: Count = 12
    hidden: Count = 2304
    side: Count = 16
    queries: Count = 6

    @model_validator(mode="after")
    def _check(self) -> IptSize:
        refuse("ipt", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.width % self.heads:
            yield Conflict(("width",), self.width, f"should be a multiple of heads, {self.heads}")


class PanAdapterOptions(Options):
    """PanAdapter (AAAI 2025, arXiv 2409.06980); defaults: its sizes on EDSR and IPT.

    Attributes:
        stage: 1 learns priors of MS and PAN; 2 adapts the transformer with them.
        start: what is corrected: the upsampled MS (the paper), or MTF-GLP-FS, with classical fusions beside MS and PAN.
        per_band: every band is fused by itself, with the mean of all bands beside it: weights fit any number of bands.
        edsr: the frozen CNN.
        ipt: the frozen transformer.
        taps: outputs of EDSR's blocks, evenly spaced, that go into a prior.
        tap_width: channels of each of them.
        prior_width: channels of a prior.
        embedding: of MS and PAN in tokens: a convolution, or one followed by the frozen blocks of IPT's head.
        query: IPT's task; the published weights know 0-2 SR x2, x3, x4, 3-4 denoising, 5 deraining.
        adapter_width: numbers per token in adapters.
        adapter_heads: of their attentions.
        adapter_every: one adapter behind so many transformer layers, unless `adapter_after` names them.
        adapter_after: layers with an adapter behind, counted from 1 over encoder and decoder; the rest is not run.
        adapter_norm: normalise what adapters attend to (the paper does not).
        gate_width: inner layer of an adapter's gates.
        ffn_width: inner layer of an adapter's perceptrons.
        use_ctf: priors learn from each other and from the transformer by gates and attention; without it what the
            transformer sees is added to them.
        use_cti: adapters give the priors to the transformer; without it the transformer is the plain one.
        tail: from priors to detail: a SIREN over the four nearest MS pixels, over their bilinear mean, or convolutions.
        tail_width: channels of its inner layers.
        tail_layers: how many inner layers.
        tail_priors: show the second stage's tail the first stage's priors too (the paper does not).
        sine_frequency: what a SIREN multiplies by before it takes the sine (its authors' w0).
        context: tokens that attend to each other: windows of side x side, or all, with interpolated tables (global).
        overlap_cells: by how many MS pixels the tiles of a scene overlap.
        train_sspen: stage 2 trains the priors too, all but EDSR.
        allow_random_backbone: train although frozen tensors have been filled from nowhere.
    """

    stage: Literal[1, 2] = 2
    start: Literal["upsampled", "classical"] = "upsampled"
    per_band: bool = False
    edsr: EdsrSize = EdsrSize()
    ipt: IptSize = IptSize()
    taps: Count = 16
    tap_width: Count = 16
    prior_width: Count = 64
    embedding: Literal["conv", "ipt-head"] = "conv"
    query: WholeNumber = 2
    adapter_width: Count = 96
    adapter_heads: Count = 4
    adapter_every: Count = 4
    adapter_after: Counts = ()
    adapter_norm: bool = False
    gate_width: Count = 24
    ffn_width: Count = 96
    use_ctf: bool = True
    use_cti: bool = True
    tail: Literal["ensemble", "bilinear", "conv"] = "ensemble"
    tail_width: Count = 576
    tail_layers: Annotated[int, Field(ge=1, le=8)] = 2
    tail_priors: bool = False
    sine_frequency: Positive = 1.0
    context: Literal["window", "global"] = "window"
    overlap_cells: WholeNumber = 4
    train_sspen: bool = False
    allow_random_backbone: bool = False

    @property
    def any_bands(self) -> bool:
        """As `per_band`."""
        return self.per_band

    @property
    def starts_classical(self) -> bool:
        """As `start`."""
        return self.start == "classical"

    @property
    def adapted_layers(self) -> tuple[int, ...]:
        """Transformer layers with an adapter behind, counted from 1."""
        depth = self.ipt.encoder_layers + self.ipt.decoder_layers
        return self.adapter_after or tuple(range(self.adapter_every, depth + 1, self.adapter_every))

    @model_validator(mode="after")
    def _check(self) -> PanAdapterOptions:
        refuse("options", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.edsr.blocks % self.taps:
            yield Conflict(("taps",), self.taps, f"should divide edsr.blocks, {self.edsr.blocks}")
        if self.query >= self.ipt.queries:
            yield Conflict(("query",), self.query, f"should be below ipt.queries, {self.ipt.queries}")
        if self.embedding == "ipt-head" and self.ipt.width % 9:
            text = f"should be 'conv': ipt.width {self.ipt.width} is no multiple of 9"
            yield Conflict(("embedding",), self.embedding, text)
        if self.adapter_width % self.adapter_heads:
            text = f"should be a multiple of adapter_heads, {self.adapter_heads}"
            yield Conflict(("adapter_width",), self.adapter_width, text)
        if self.overlap_cells > self.ipt.side // 2:
            text = f"should be at most {self.ipt.side // 2}, half of ipt.side"
            yield Conflict(("overlap_cells",), self.overlap_cells, text)
        yield from self._layer_conflicts(self.ipt.encoder_layers + self.ipt.decoder_layers)

    def _layer_conflicts(self, depth: int) -> Iterator[Conflict]:
        after = self.adapter_after
        if not after and self.adapter_every > depth:
            text = f"should be at most {depth}, the layers of ipt"
            yield Conflict(("adapter_every",), self.adapter_every, text)
        if after and (after != tuple(sorted(set(after))) or after[-1] > depth):
            yield Conflict(("adapter_after",), list(after), f"should be ascending numbers of layers, 1 to {depth}")


class EdsrPretrainingOptions(Options):
    """EDSR as a network that restores pictures without being told how they were spoiled; a backbone for PanAdapter.

    Attributes:
        edsr: the residual blocks, which become the backbone.
    """

    inputs: ClassVar[tuple[str, ...]] = RESTORATION

    edsr: EdsrSize = EdsrSize()


class IptPretrainingOptions(Options):
    """IPT as a network with a head, a query and a tail per task; a backbone for PanAdapter.

    Attributes:
        ipt: the transformer, which becomes the backbone with the heads.
        token_px: side of the square of pixels that is one token.
    """

    inputs: ClassVar[tuple[str, ...]] = RESTORATION

    ipt: IptSize = IptSize()
    token_px: Count = 3

    @model_validator(mode="after")
    def _check(self) -> IptPretrainingOptions:
        refuse("options", self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict]:
        if self.ipt.width % self.token_px**2:
            text = f"should be a side whose square divides ipt.width, {self.ipt.width}"
            yield Conflict(("token_px",), self.token_px, text)
        if self.ipt.queries < len(TASKS):
            text = f"should be at least {len(TASKS)}, one for each of {', '.join(TASKS)}"
            yield Conflict(("ipt", "queries"), self.ipt.queries, text)


class InfnOptions(Options):
    """INFN of Wu et al., "INF³: Implicit Neural Feature Fusion Function …", IEEE TCI 10, 2024 (arXiv 2307.07288).

    Its spatial encoder sees MSI and upsampled HSI together, its spectral encoder the HSI.

    Attributes:
        width: channels of both encoders.
        blocks: residual blocks of each.
        hidden: inner layers of the function that is learned.
        latent: channels that the function gives to the head.
        similarity: what neighbours are weighted by: of cells to the nearest one (latent), or of their guides to the
            pixel's own (guide).
        temperature: of that weighting; lower makes more of the most similar neighbour.
        learn_temperature: start there and learn (the paper does not).
        area_weighted: multiply by the weights of bilinear interpolation (the paper does not).
        phase_cells: how far the samples of the HSI lie before the centres of their cells, HSI px.
        classes: of pixels, that the linear method beneath the components keeps apart.
        components: how many principal components of the HSI have their detail learned, instead of the bands; they lie
            frozen in the weights, with means and deviations of all inputs. 0 for the bands themselves.
    """

    inputs: ClassVar[tuple[str, ...]] = HYPERSPECTRAL

    width: Count = 64
    blocks: WholeNumber = 4
    hidden: Annotated[Counts, Field(min_length=1)] = (256, 128)
    latent: Count = 32
    similarity: Literal["latent", "guide"] = "latent"
    temperature: Positive = 1.0
    learn_temperature: bool = False
    area_weighted: bool = False
    phase_cells: Annotated[float, Field(ge=-1, le=1)] = 0.0
    classes: Count = 1
    components: WholeNumber = 0

    @property
    def any_values(self) -> bool:
        """Components are scaled."""
        return self.components > 0


ARCHITECTURES: dict[str, type[Options]] = {
    "refiner": RefinerOptions,
    "pnn": PnnOptions,
    "infn": InfnOptions,
    "panadapter": PanAdapterOptions,
    "edsr-pretraining": EdsrPretrainingOptions,
    "ipt-pretraining": IptPretrainingOptions,
}
"""Settings by the name that `model.arch` takes."""
