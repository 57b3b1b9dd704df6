"""The two protocols: how images are lowered, raised and cut before they are measured."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError, UsageError
from fusioncli.ops import toolbox
from fusioncli.ops.sampling import Sampling, sampling_for
from fusioncli.workflows.requests import MethodRequest


@dataclass(frozen=True)
class EvalProtocol:
    """One convention, and the words that every output states it with.

    Attributes:
        name: what `--protocol` takes.
        upsampler: the `--upsampler` that goes with it.
        dtype: floating-point type of the images that are written on the way.
        border_px: frame that is cut from images before they are compared with a reference, unless asked otherwise.
        kernel: the filters, in words.
        edges: what filters see beyond the scene, in words.
    """

    name: str
    upsampler: str
    dtype: str
    border_px: int
    kernel: str
    edges: str

    @property
    def literal(self) -> bool:
        """Whether figures must equal the reference toolbox's, digit for digit; scenes are then held whole."""
        return self is TOOLBOX

    def sampling(self, ratio: int, gsd_ratio: float) -> Sampling:
        """Its operators between the MS grid and the PAN grid (UsageError: a ratio that it cannot do)."""
        return sampling_for(self.upsampler, ratio, gsd_ratio)

    def phase(self, ratio: int) -> str:
        """Where an MS pixel's sample lies among its PAN pixels, in words."""
        if self.literal:
            return f"PAN pixel floor(r/2) = {ratio // 2} of {ratio}"
        return f"centre of the MS pixel, (r - 1)/2 = {(ratio - 1) / 2:g} of {ratio}"

    def lower_pan(self, sampling: Sampling, pan: Tensor, gain: float) -> Tensor:
        """PAN, or a guide of M bands, as a sensor of the MS's resolution would see it: (1, M, H, W) to (1, M, h, w).

        The toolbox shrinks it with `imresize`; centred, it goes through the PAN's own MTF, as the MS through its.
        """
        return (
            toolbox.imresize(pan, 1 / sampling.ratio) if self.literal else sampling.degrade(pan, (gain,) * pan.shape[1])
        )

    def frame(self, height: int, width: int, border_px: int) -> Rect:
        """What is left of an image after its border is cut.

        The toolbox cuts Matlab's x(d:end-d), one pixel less at the top and on the left.

        Raises:
            DataError: nothing is left.
        """
        first = max(0, border_px - 1) if self.literal else border_px
        rect = Rect(first, first, height - border_px, width - border_px)
        if rect.empty:
            raise DataError(
                f"a border of {border_px} px leaves nothing of an image of {height} x {width} px", "pass --border 0"
            )
        return rect


CENTRED = EvalProtocol(
    "centred",
    MethodRequest().upsampler,
    "float32",
    0,
    f"Gaussians of unit sum with the sensor's exact MTF gain at Nyquist, {MethodRequest().upsampler} upsampling",
    "symmetric",
)
TOOLBOX = EvalProtocol(
    "toolbox",
    "interp23tap",
    "float64",
    21,
    "the reference toolbox's 41 x 41 MTF kernels, bicubic imresize of PAN, interp23tap upsampling",
    "replicate for filters, circular for interp23tap",
)
PROTOCOLS = {protocol.name: protocol for protocol in (CENTRED, TOOLBOX)}


def find_protocol(name: str) -> EvalProtocol:
    """A protocol by name (UsageError when there is none of that name)."""
    if name.lower() not in PROTOCOLS:
        raise UsageError(f"no protocol is called '{name}'", f"choose one of --protocol {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name.lower()]
