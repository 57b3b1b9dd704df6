"""Published backbones: files with exactly the published names and shapes, tensor by tensor to their places."""

import pytest
import torch

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.config.recipe import ModelConfig, StartConfig
from fusioncli.errors import DataError
from fusioncli.io.weights import file_sha256
from fusioncli.models.foreign import Facts, import_weights
from fusioncli.models.start import start_network
from fusioncli.models.weights import load_weights, save_weights

FACTS = Facts(ratio=4, value_max=2047)
TAILS = {0: (4,), 1: (9,), 2: (4, 4), 3: (), 4: (), 5: ()}
"""How many times the channels each upsampling convolution of a task's tail has."""


def mean_shifts():
    names = ("sub_mean", "add_mean")
    return {f"{name}.weight": (3, 3, 1, 1) for name in names} | {f"{name}.bias": (3,) for name in names}


def ipt_shapes(width=144, hidden=96, side=4, layers=12, tasks=6):
    """Names and shapes of IPT_pretrain.pt; of its very sizes with width 576, hidden 2304 and side 16."""
    features, tokens = width // 9, side * side
    found = mean_shifts()
    for task in range(tasks):
        found |= {f"head.{task}.0.weight": (features, 3, 3, 3), f"head.{task}.0.bias": (features,)}
        for place in (1, 2):
            for conv in (0, 2):
                found[f"head.{task}.{place}.body.{conv}.weight"] = (features, features, 5, 5)
                found[f"head.{task}.{place}.body.{conv}.bias"] = (features,)
    found |= {"body.linear_encoding.weight": (width, width), "body.linear_encoding.bias": (width,)}
    found |= {"body.mlp_head.0.weight": (hidden, width), "body.mlp_head.0.bias": (hidden,)}
    found |= {"body.mlp_head.3.weight": (width, hidden), "body.mlp_head.3.bias": (width,)}
    found |= {"body.query_embed.weight": (tasks, tokens * width), "body.position_encoding.pe.weight": (tokens, width)}
    found["body.position_encoding.position_ids"] = (1, tokens)
    for part, attentions in (("encoder", ("self_attn",)), ("decoder", ("self_attn", "multihead_attn"))):
        for layer in range(layers):
            below = f"body.{part}.layers.{layer}."
            for attention in attentions:
                found[f"{below}{attention}.in_proj_weight"] = (3 * width, width)
                found[f"{below}{attention}.out_proj.weight"] = (width, width)
            found |= {f"{below}linear1.weight": (hidden, width), f"{below}linear1.bias": (hidden,)}
            found |= {f"{below}linear2.weight": (width, hidden), f"{below}linear2.bias": (width,)}
            for number in range(1, len(attentions) + 2):
                found |= {f"{below}norm{number}.{kind}": (width,) for kind in ("weight", "bias")}
    for task in range(tasks):
        for place, times in enumerate(TAILS[task]):
            found[f"tail.{task}.0.{2 * place}.weight"] = (times * features, features, 3, 3)
            found[f"tail.{task}.0.{2 * place}.bias"] = (times * features,)
        found |= {f"tail.{task}.1.weight": (3, features, 3, 3), f"tail.{task}.1.bias": (3,)}
    return found


def edsr_shapes(width=64, blocks=16):
    """Names and shapes of edsr_baseline_x2-1bc95232.pt."""
    convs = {
        "head.0": (width, 3),
        f"body.{blocks}": (width, width),
        "tail.0.0": (4 * width, width),
        "tail.1": (3, width),
    }
    convs |= {f"body.{block}.body.{conv}": (width, width) for block in range(blocks) for conv in (0, 2)}
    found = {f"{name}.weight": (*pair, 3, 3) for name, pair in convs.items()}
    found |= {f"{name}.bias": pair[:1] for name, pair in convs.items()}
    return found | mean_shifts()


def filled(shapes):
    """Every tensor different."""
    torch.manual_seed(3)
    tensors = {name: torch.rand(shape) for name, shape in shapes.items()}
    if (ids := "body.position_encoding.position_ids") in tensors:
        tensors[ids] = torch.arange(tensors[ids].numel())[None]
    return tensors


@pytest.fixture
def saved(tmp_path):
    def save(content, name):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def imported(arch, path):
    done = import_weights(arch, path, FACTS)
    target = path.with_name(f"{arch}.safetensors")
    save_weights(target, done.tensors, done.identity)
    return done, target


def model(bands=4, **options):
    ipt = {"width": 144, "heads": 3, "hidden": 96, "side": 4}
    chosen = {"ipt": ipt, "prior_width": 8, "adapter_width": 16, "tail_width": 8, "overlap_cells": 2, **options}
    return ModelConfig(arch="panadapter", bands=bands, ratio=4, options=PanAdapterOptions.model_validate(chosen))


def test_names_are_as_many_as_published():
    full = ipt_shapes(576, 2304, 16)
    assert len(full) == len(ipt_shapes()) == 381
    assert full["body.query_embed.weight"] == (6, 147456) and full["tail.1.0.0.weight"] == (576, 64, 3, 3)
    numbers = sum(torch.Size(shape).numel() for name, shape in full.items() if not name.endswith("position_ids"))
    assert round(numbers / 1e6, 2) == 118.89
    assert sum(torch.Size(s).numel() for n, s in edsr_shapes().items() if "mean" not in n) == 1_369_859


def test_every_tensor_of_both_lands_in_its_place(saved):
    edsr, ipt = filled(edsr_shapes()), filled(ipt_shapes())
    from_edsr, edsr_file = imported("edsr", saved(edsr, "edsr_baseline_x2.pt"))
    from_ipt, ipt_file = imported("ipt", saved(ipt, "IPT_pretrain.pt"))
    assert len(from_edsr.match.matched) == 64 and len(from_edsr.match.unexpected) == 12
    assert len(from_ipt.match.matched) == 296 + 48  # all of the body but the positions' numbers; two blocks per head
    left_out = {name.split(".")[0] for name in from_ipt.match.unexpected}
    assert left_out == {"sub_mean", "add_mean", "head", "tail"}
    assert from_ipt.identity.arch_config["ipt"] == {
        "width": 144, "heads": 3, "encoder_layers": 12, "decoder_layers": 12, "hidden": 96, "side": 4, "queries": 6
    }  # fmt: skip
    start = StartConfig(backbones={"edsr": str(edsr_file), "ipt": str(ipt_file)})
    with pytest.raises(DataError, match="frozen tensors are in no file: priors"):
        start_network(model(embedding="ipt-head"), start)  # stage 2 without the priors of stage 1
    network, origin = start_network(model(embedding="ipt-head", train_sspen=True, query=1), start)
    assert {name: base.sha256 for name, base in origin.files.items()} == {
        "edsr": file_sha256(edsr_file), "ipt": file_sha256(ipt_file)
    }  # fmt: skip
    check_places(network, edsr, ipt, query=1)


def check_places(network, edsr, ipt, query):
    places = {"priors.edsr.": ("", edsr), "interaction.vit.": ("body.", ipt)}
    places["interaction.embedding.blocks."] = (f"head.{query}.", ipt)
    counts = dict.fromkeys(places, 0)
    for name, tensor in network.state_dict().items():
        for ours, (theirs, file) in places.items():
            if name.startswith(ours):
                assert torch.equal(tensor, file[theirs + name.removeprefix(ours)]), name
                counts[ours] += 1
    assert list(counts.values()) == [64, 296, 8]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: {"state_dict": {f"module.{name}": value for name, value in t.items()}},
        lambda t: {f"model.{name}": value for name, value in t.items()},
        lambda t: t | {f"{n.removesuffix('weight')}bias": torch.zeros(len(v)) for n, v in t.items() if "out_proj" in n},
    ],
)
def test_variants_of_the_file(saved, wrap):
    tensors = filled(ipt_shapes(layers=1))
    done, _ = imported("ipt", saved(wrap(tensors), "IPT_pretrain.pt"))
    assert done.tensors["body.encoder.layers.0.self_attn.out_proj.weight"].equal(
        tensors["body.encoder.layers.0.self_attn.out_proj.weight"]
    )


def test_single_task_files(saved):
    done, _ = imported("ipt", saved(filled(ipt_shapes(layers=1, tasks=1)), "IPT_sr2.pt"))
    assert done.identity.arch_config["ipt"]["queries"] == 1


def test_positions_are_put_in_order(saved):
    tensors = filled(ipt_shapes(layers=1))
    tensors["body.position_encoding.position_ids"] = torch.arange(15, -1, -1)[None]
    done, _ = imported("ipt", saved(tensors, "IPT_pretrain.pt"))
    table = "body.position_encoding.pe.weight"
    assert done.tensors[table].equal(tensors[table].flip(0))


def without(name):
    return lambda tensors: tensors.pop(name)


SPOILED = {
    "frozen": (without("body.decoder.layers.0.norm3.bias"), "1 missing: body.decoder.layers.0.norm3.bias"),
    "head": (without("head.4.2.body.0.weight"), "1 missing: head.4.2.body.0.weight"),
    "no ipt": (without("body.query_embed.weight"), "no tensor 'body.query_embed.weight'"),
    "bias": (
        lambda t: t.update({"body.encoder.layers.0.self_attn.out_proj.bias": torch.ones(144)}),
        "out_proj.bias is not zero",
    ),
    "order": (lambda t: t.update({"tail.0.0.0.weight": torch.ones(144, 16, 3, 3)}), "enlarge by 3, 3, 4, 1, 1, 1"),
    "shape": (
        lambda t: t.update({"body.encoder.layers.0.linear1.weight": torch.ones(3, 3)}),
        r"1 of another shape: .*linear1.weight \(3x3, not 96x144\)",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_files_are_refused(saved, case):
    spoil, message = SPOILED[case]
    tensors = filled(ipt_shapes(layers=1))
    spoil(tensors)
    with pytest.raises(DataError, match=message):
        import_weights("ipt", saved(tensors, "IPT_pretrain.pt"), FACTS)


def test_a_lost_block_of_edsr_is_noticed(saved):
    tensors = filled(edsr_shapes(8, 3))
    for kind in ("weight", "bias"):
        del tensors[f"body.2.body.0.{kind}"], tensors[f"body.2.body.2.{kind}"]
    with pytest.raises(DataError, match=r"4 missing: body\.2\.body\.0\.weight"):
        import_weights("edsr", saved(tensors, "edsr.pt"), FACTS)


def test_command_line(fusion, saved):
    path = saved(filled(edsr_shapes(8, 2)), "edsr.pt")
    wrong = path.rename(path.with_name("edsr_baseline_x2-1bc95232.pt"))
    refused = fusion("weights", "import", "edsr", wrong)
    assert refused.code == 3 and "begins with 1bc95232" in refused.stderr
    right = wrong.rename(path)
    outcome = fusion("weights", "import", "edsr", right)
    assert outcome.code == 0 and "8 tensors match" in outcome.stderr
    assert "12 tensors are not of 'edsr', left out: " in outcome.stderr
    shown = fusion("weights", "show", outcome.last_line, "--json").json
    assert (shown["arch"], shown["arch_config"]) == ("edsr", {"edsr": {"width": 8, "blocks": 2}})


@pytest.mark.slow
def test_the_full_size(saved):
    """476 MB, as published; about a minute and 2 GB of memory."""
    edsr, ipt = filled(edsr_shapes()), filled(ipt_shapes(576, 2304, 16))
    edsr_file = imported("edsr", saved(edsr, "edsr_baseline_x2.pt"))[1]
    ipt_file = imported("ipt", saved(ipt, "IPT_pretrain.pt"))[1]
    del ipt
    start = StartConfig(backbones={"edsr": str(edsr_file), "ipt": str(ipt_file)})
    options = PanAdapterOptions(embedding="ipt-head", train_sspen=True)
    published = ModelConfig(arch="panadapter", bands=8, ratio=4, options=options)
    network, _ = start_network(published, start)
    check_places(network, edsr, load_weights(ipt_file).tensors, query=2)
