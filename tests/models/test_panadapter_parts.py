"""PanAdapter's backbones, tails and settings against plain arithmetic and plain words."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import conv2d, relu

from fusioncli.config.architectures import EdsrSize, IptSize, PanAdapterOptions
from fusioncli.models.panadapter.edsr import EdsrBody
from fusioncli.models.panadapter.interaction import IptHead, Windows
from fusioncli.models.panadapter.ipt import IptBody
from fusioncli.models.panadapter.presets import TINY
from fusioncli.models.panadapter.tail import Channels, build_tail

SIZE = IptSize(width=12, heads=3, encoder_layers=2, decoder_layers=3, hidden=20, side=4, queries=3)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(5)


def shaken(module):
    """Every parameter moved away from its special start (zeros, ones)."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


def norm(x, weight, bias):
    mean = x.mean(-1, keepdim=True)
    return (x - mean) / ((x - mean) ** 2).mean(-1, keepdim=True).add(1e-5).sqrt() * weight + bias


def attend(state, name, q, k, v):
    """One sample, head by head: q (L, width), k and v (K, width)."""
    width, heads = SIZE.width, SIZE.heads
    q_rows, k_rows, v_rows = state[name + ".in_proj_weight"].split(width)
    each = width // heads
    results = []
    for head in range(heads):
        rows = slice(head * each, (head + 1) * each)
        scores = (q @ q_rows[rows].T) @ (k @ k_rows[rows].T).T / each**0.5
        shares = scores.exp() / scores.exp().sum(1, keepdim=True)
        results.append(shares @ (v @ v_rows[rows].T))
    return torch.cat(results, 1) @ state[name + ".out_proj.weight"].T


def perceive(state, first, second, x):
    inner = relu(x @ state[first + ".weight"].T + state[first + ".bias"])
    return inner @ state[second + ".weight"].T + state[second + ".bias"]


def plain_ipt(state, tokens, task):
    """The published forward pass without position at every layer, of one sample (L, width)."""

    def normed(name, x):
        return norm(x, state[name + ".weight"], state[name + ".bias"])

    h = tokens + tokens @ state["linear_encoding.weight"].T + state["linear_encoding.bias"]
    h = h + state["position_encoding.pe.weight"]
    query = state["query_embed.weight"][task].view(SIZE.side**2, SIZE.width)
    for layer in range(SIZE.encoder_layers):
        name = f"encoder.layers.{layer}"
        y = normed(name + ".norm1", h)
        h = h + attend(state, name + ".self_attn", y, y, y)
        h = h + perceive(state, name + ".linear1", name + ".linear2", normed(name + ".norm2", h))
    memory = h
    for layer in range(SIZE.decoder_layers):
        name = f"decoder.layers.{layer}"
        y = normed(name + ".norm1", h)
        h = h + attend(state, name + ".self_attn", y + query, y + query, y)
        y = normed(name + ".norm2", h)
        h = h + attend(state, name + ".multihead_attn", y + query, memory, memory)
        h = h + perceive(state, name + ".linear1", name + ".linear2", normed(name + ".norm3", h))
    return h + perceive(state, "mlp_head.0", "mlp_head.3", h)


def test_ipt_equals_the_written_out_transformer():
    body = shaken(IptBody(SIZE))
    tokens = torch.randn(3, 16, SIZE.width)
    expected = torch.stack([plain_ipt(body.state_dict(), sample, 2) for sample in tokens])
    assert torch.allclose(body(tokens, (4, 4), 2), expected, atol=1e-5)
    assert not torch.allclose(body(tokens, (4, 4), 1), expected, atol=1e-2)  # another task


def test_ipt_takes_a_task_for_each_sample():
    body = shaken(IptBody(SIZE))
    tokens = torch.randn(3, 30, SIZE.width)
    mixed = body(tokens, (5, 6), torch.tensor([2, 0, 1]))
    for sample, task in enumerate([2, 0, 1]):
        assert torch.allclose(mixed[sample], body(tokens[sample : sample + 1], (5, 6), task)[0], atol=1e-5)


def test_ipt_has_the_published_names_and_size():
    with torch.device("meta"):
        body = IptBody(IptSize())
    shapes = {name: tuple(tensor.shape) for name, tensor in body.state_dict().items()}
    assert sum(parameter.numel() for parameter in body.parameters()) == 115_636_608
    assert shapes["query_embed.weight"] == (6, 256 * 576)
    assert shapes["position_encoding.pe.weight"] == (256, 576)
    assert shapes["mlp_head.0.weight"] == (2304, 576) and shapes["mlp_head.3.weight"] == (576, 2304)
    layer = {
        "self_attn.in_proj_weight": (1728, 576),
        "self_attn.out_proj.weight": (576, 576),
        "linear1.weight": (2304, 576),
        "linear1.bias": (2304,),
        "linear2.weight": (576, 2304),
        "linear2.bias": (576,),
        **{f"norm{n}.{kind}": (576,) for n in (1, 2) for kind in ("weight", "bias")},
    }
    second = {"multihead_attn" + name.removeprefix("self_attn"): layer[name] for name in list(layer)[:2]}
    norm3 = {"norm3.weight": (576,), "norm3.bias": (576,)}
    for number in range(12):
        assert _below(shapes, f"encoder.layers.{number}.") == layer
        assert _below(shapes, f"decoder.layers.{number}.") == {**layer, **second, **norm3}
    assert len(shapes) == 12 * len(layer) + 12 * (len(layer) + 4) + 8


def _below(shapes, prefix):
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def test_tables_are_interpolated_in_two_dimensions():
    body = IptBody(SIZE)
    rows = torch.tensor([0.0, 1.0, 5.0, 7.0])
    with torch.no_grad():
        body.position_encoding["pe"].weight.copy_(rows.repeat_interleave(4)[:, None].expand(-1, SIZE.width))
    positions, query = body.tables((7, 9), 0)
    assert positions.shape == query.shape == (63, SIZE.width)
    image = positions.view(7, 9, SIZE.width)
    assert torch.allclose(image, image[:, :1, :1].expand_as(image), atol=1e-6)  # rows stay rows
    assert (image[1:, 0, 0] > image[:-1, 0, 0]).all()
    assert torch.equal(body.tables((4, 4), 0)[0], body.position_encoding["pe"].weight)


def test_edsr_equals_its_convolutions_and_has_the_published_names():
    body = EdsrBody(EdsrSize(width=6, blocks=3))
    state = body.state_dict()
    kinds = [f"{item}.{kind}" for item in (0, 2) for kind in ("weight", "bias")]
    assert set(state) == {f"body.{block}.body.{kind}" for block in range(3) for kind in kinds}
    x = torch.randn(2, 6, 9, 7)
    outputs = body(x)
    assert len(outputs) == 3
    for block, output in enumerate(outputs):
        first, second = ([state[f"body.{block}.body.{item}.{kind}"] for kind in ("weight", "bias")] for item in (0, 2))
        x = x + conv2d(relu(conv2d(x, *first, padding=1)), *second, padding=1)
        assert torch.allclose(output, x, atol=1e-5)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_the_head_of_ipt_makes_one_token_per_ms_pixel(ratio):
    head = IptHead(5, ratio, 36)
    assert head(torch.rand(2, 5, 3 * ratio, 4 * ratio)).shape == (2, 36, 3, 4)
    assert {name for name in head.state_dict() if name.startswith("blocks.")} == {
        f"blocks.{block}.body.{item}.{kind}" for block in (1, 2) for item in (0, 2) for kind in ("weight", "bias")
    }


def test_windows_are_cut_row_by_row_and_joined_again():
    image = torch.randn(2, 5, 8, 12)
    windows = Windows((8, 12), (4, 4))
    tokens = windows.cut(image)
    assert tokens.shape == (12, 16, 5)
    assert torch.equal(tokens[5], image[0, :, 4:, 8:].flatten(1).T)
    assert torch.equal(tokens[7], image[1, :, :4, 4:8].flatten(1).T)
    assert torch.equal(windows.join(tokens), image)


def tail_of(kind, ratio, channels, **settings):
    options = PanAdapterOptions(**{**TINY, "tail": kind, **settings})
    return shaken(build_tail(channels, ratio, options))


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_the_ensemble_equals_four_perceptrons_per_pixel(ratio):
    channels = Channels(coarse=5, fine=3, bands=2)
    tail = tail_of("ensemble", ratio, channels, tail_layers=3, sine_frequency=1.7)
    coarse, fine = torch.randn(1, 5, 3, 4), torch.randn(1, 3, 3 * ratio, 4 * ratio)
    detail = tail(coarse, fine)
    weights = [layer.weight[:, :, 0, 0] for layer in (tail.coarse, tail.fine, tail.offset)]
    first = torch.cat(weights, 1)
    for y in range(3 * ratio):
        for x in range(4 * ratio):
            v, u = (y + 0.5) / ratio - 0.5, (x + 0.5) / ratio - 0.5  # position in MS px
            total = torch.zeros(2)
            for row in (int(v // 1), int(v // 1) + 1):
                for col in (int(u // 1), int(u // 1) + 1):
                    cell = coarse[0, :, min(max(row, 0), 2), min(max(col, 0), 3)]
                    inputs = torch.cat([cell, fine[0, :, y, x], torch.tensor([v - row, u - col])])
                    hidden = torch.sin(1.7 * (first @ inputs + tail.coarse.bias))
                    for layer in tail.inner:
                        hidden = torch.sin(1.7 * (layer.weight[:, :, 0, 0] @ hidden + layer.bias))
                    share = (1 - abs(v - row)) * (1 - abs(u - col))
                    total = total + share * (tail.last.weight[:, :, 0, 0] @ hidden + tail.last.bias)
            assert torch.allclose(detail[0, :, y, x], total, atol=1e-5)


@pytest.mark.parametrize("kind", ["ensemble", "bilinear", "conv"])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_the_border_of_a_constant_map_is_as_its_inside(kind, ratio):
    tail = tail_of(kind, ratio, Channels(coarse=5, fine=3, bands=2))
    coarse = torch.randn(1, 5, 1, 1).expand(-1, -1, 6, 7)
    fine = torch.randn(1, 3, 1, 1).expand(-1, -1, 6 * ratio, 7 * ratio)
    cells = tail(coarse, fine).unflatten(3, (7, ratio)).unflatten(2, (6, ratio))
    inside = cells[:, :, 3:4, :, 3:4]
    assert inside.abs().max() > 0.01
    assert torch.allclose(cells, inside.expand_as(cells), atol=1e-6)


@pytest.mark.parametrize("kind", ["ensemble", "bilinear", "conv"])
def test_a_fresh_tail_gives_nothing(kind):
    tail = build_tail(Channels(5, 3, 2), 4, PanAdapterOptions(**{**TINY, "tail": kind}))
    assert not tail(torch.randn(1, 5, 3, 3), torch.randn(1, 3, 12, 12)).any()


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"taps": 5}, "taps"),
        ({"query": 6}, "query"),
        ({"adapter_heads": 5}, "adapter_width"),
        ({"adapter_every": 25}, "adapter_every"),
        ({"adapter_after": [4, 4]}, "adapter_after"),
        ({"adapter_after": [25]}, "adapter_after"),
        ({"overlap_cells": 9}, "overlap_cells"),
        ({"ipt": {"heads": 7}}, "ipt.width"),
        ({"ipt": {"width": 64, "heads": 4}, "embedding": "ipt-head"}, "embedding"),
        ({"stage": 3}, "stage"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, where):
    with pytest.raises(ValidationError) as caught:
        PanAdapterOptions(**settings)
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [where]
