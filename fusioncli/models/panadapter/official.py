"""Backbones that others have published: `edsr_baseline_x2-1bc95232.pt` and `IPT_pretrain.pt`, from their names to ours.

Both are frozen in PanAdapter. Kept are the residual blocks of EDSR, and the transformer and heads of IPT; mean shifts,
tails and EDSR's last convolution have no counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fusioncli.config.architectures import EdsrSize, IptSize
from fusioncli.config.identity import Identity
from fusioncli.errors import DataError
from fusioncli.models.panadapter.edsr import EdsrBody, ResBlock
from fusioncli.models.panadapter.ipt import IptBody

_PEAK = 255.0
_HEAD_WIDTH = 48  # numbers per attention head, which no shape shows
_PATCH_AREA_PX = 9  # of IPT's tokens
_HEAD_SIDE_PX = 5  # of the kernels in IPT's heads
_SCALES = (2, 3, 4, 1, 1, 1)
"""By which IPT's tails enlarge: tasks 0-2 are super-resolution, then denoising with sigma 30 and 50, and deraining."""

Tensors = dict[str, Tensor]


def rename_edsr(tensors: Tensors) -> Tensors:
    """As they are: our names are those of the publication."""
    return tensors


def describe_edsr(tensors: Tensors, _: object) -> Identity:
    """Identity of a backbone (KeyError: the tensors are no EDSR's)."""
    width = len(tensors["body.0.body.0.weight"])
    last = [name for name in tensors if re.fullmatch(r"body\.\d+\.weight", name)]  # the convolution behind the blocks
    blocks = _index(last[0]) if last else _count(tensors, "body.")
    return _identity("edsr", EdsrSize(width=width, blocks=blocks))


def edsr_shapes(identity: Identity) -> Mapping[str, Sequence[int]]:
    """Names and shapes of the blocks."""
    size = EdsrSize.model_validate(identity.arch_config["edsr"])
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in EdsrBody(size).state_dict().items()}


def rename_ipt(tensors: Tensors) -> Tensors:
    """The same without what some releases of PyTorch added, and with position table in the order of positions.

    Raises:
        KeyError: the tensors are no IPT's.
        DataError: attention has a bias at its end, which the network here has not; or the tasks are in another order.
    """
    _check_order(tensors)
    ours = {}
    for name, tensor in tensors.items():
        if name.endswith("attn.out_proj.bias"):
            if tensor.any():
                hint = "the published file has none, or zeros there"
                raise DataError(f"{name} is not zero, and the network here has no such bias", hint)
        elif name != "body.position_encoding.position_ids":
            ours[name] = tensor
    order = tensors.get("body.position_encoding.position_ids")
    if order is not None:
        ours["body.position_encoding.pe.weight"] = tensors["body.position_encoding.pe.weight"][order[0]]
    return ours


def describe_ipt(tensors: Tensors, _: object) -> Identity:
    """Identity of a backbone (KeyError: the tensors are no IPT's)."""
    hidden, width = tensors["body.mlp_head.0.weight"].shape
    tokens = len(tensors["body.position_encoding.pe.weight"])
    size = IptSize(
        width=width,
        heads=width // _HEAD_WIDTH if width % _HEAD_WIDTH == 0 else 1,
        encoder_layers=_count(tensors, "body.encoder.layers."),
        decoder_layers=_count(tensors, "body.decoder.layers."),
        hidden=hidden,
        side=round(tokens**0.5),
        queries=len(tensors["body.query_embed.weight"]),
    )
    return _identity("ipt", size)


def ipt_shapes(identity: Identity) -> Mapping[str, Sequence[int]]:
    """Names and shapes of the transformer and of one head per task."""
    size = IptSize.model_validate(identity.arch_config["ipt"])
    features = size.width // _PATCH_AREA_PX
    with torch.device("meta"):
        shapes = {f"body.{name}": tensor.shape for name, tensor in IptBody(size).state_dict().items()}
        block = {name: tensor.shape for name, tensor in ResBlock(features, _HEAD_SIDE_PX).state_dict().items()}
    for task in range(size.queries):
        for place in ("1", "2"):
            shapes |= {f"head.{task}.{place}.{name}": shape for name, shape in block.items()}
    return shapes


def _identity(name: str, size: EdsrSize | IptSize) -> Identity:
    return Identity(arch=name, arch_config={name: size.model_dump(mode="json")}, bands=3, ratio=1, value_max=_PEAK)


def _check_order(tensors: Tensors) -> None:
    """The tails of the file with all tasks tell which number each task has."""
    if len(tensors["body.query_embed.weight"]) != len(_SCALES):
        return
    found = tuple(_scale(tensors, task) for task in range(len(_SCALES)))
    if any(f"tail.{task}.1.weight" in tensors for task in range(len(_SCALES))) and found != _SCALES:
        raise DataError(
            f"the tails enlarge by {', '.join(map(str, found))}; expected is {', '.join(map(str, _SCALES))}",
            "this is another choice of tasks than that of IPT_pretrain.pt",
        )


def _scale(tensors: Tensors, task: int) -> int:
    scale = 1
    for place in (0, 2):
        if (weight := tensors.get(f"tail.{task}.0.{place}.weight")) is not None:
            scale *= round((weight.shape[0] / weight.shape[1]) ** 0.5)
    return scale


def _count(tensors: Tensors, prefix: str) -> int:
    return 1 + max(_index(name.removeprefix(prefix)) for name in tensors if name.startswith(prefix))


def _index(name: str) -> int:
    found = re.search(r"\d+", name)
    return int(found.group()) if found else -1
