"""PanAdapter as a whole: what is frozen, what learns, and that a result does not depend on its company."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import l1_loss, pixel_shuffle
from torch.utils.flop_counter import FlopCounterMode

from fusioncli.config.architectures import PanAdapterOptions
from fusioncli.config.identity import Identity
from fusioncli.config.recipe import ModelConfig, StartConfig
from fusioncli.core.tiling import Blend
from fusioncli.errors import DataError
from fusioncli.models.networks import Network, build_network
from fusioncli.models.panadapter.edsr import EdsrBody, ResBlock
from fusioncli.models.panadapter.ipt import IptBody
from fusioncli.models.panadapter.network import PanAdapter
from fusioncli.models.panadapter.presets import IPT, SMALL, TINY
from fusioncli.models.start import start_network
from fusioncli.models.weights import save_weights

BEHIND_SCALE = ("injection.join.", "injection.attention.", "injection.up.")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(11)


def tiny(bands=3, ratio=4, **settings):
    return PanAdapter(bands, ratio, PanAdapterOptions(**{**TINY, **settings}))


def moved(network, scale=1.0):
    """As after training: what starts at zero does something; injections as `scale` says."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("injection.scale"):
                parameter.fill_(scale)
            elif name.endswith(("last.weight", "out_proj.weight", "perceptron.2.weight")):
                parameter.normal_(std=0.1)
    return network


def scene(n=2, bands=3, ratio=4, cells=(8, 4), pan=None, dtype=None):
    h, w = pan or (cells[0] * ratio, cells[1] * ratio)
    sizes = (n, bands, *cells), (n, bands, h, w), (n, 1, h, w)
    return tuple(torch.rand(size, dtype=dtype) for size in sizes)


# --- what a fresh network gives, and for which images


@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("bands", [1, 4, 8])
@pytest.mark.parametrize("stage", [1, 2])
def test_a_fresh_network_gives_lms(ratio, bands, stage):
    images = scene(1, bands, ratio, (5, 7))
    assert torch.equal(tiny(bands, ratio, stage=stage)(*images), images[1])


@pytest.mark.parametrize("context", ["window", "global"])
@pytest.mark.parametrize("per_band", [False, True])
@pytest.mark.parametrize("embedding", ["conv", "ipt-head"])
def test_any_size_of_at_least_one_ms_pixel(context, per_band, embedding):
    for ratio, cells, pan in [(2, (1, 1), (2, 2)), (3, (5, 9), (15, 26)), (4, (5, 4), (20, 17)), (4, (4, 4), (17, 16))]:
        network = moved(tiny(2, ratio, context=context, per_band=per_band, embedding=embedding))
        images = scene(1, 2, ratio, cells, pan)
        fused = network(*images)
        assert fused.shape == images[1].shape and fused.isfinite().all()
        assert (fused - images[1]).abs().max() > 1e-3


@pytest.mark.parametrize("tail", ["ensemble", "bilinear", "conv"])
@pytest.mark.parametrize("settings", [{"stage": 1}, {"tail_priors": True, "adapter_norm": True}, {"adapter_width": 12}])
def test_every_form_fuses_and_learns(tail, settings):
    network = moved(tiny(tail=tail, **settings))
    images = scene()
    network(*images).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


def test_images_are_mirrored_to_whole_windows():
    network = moved(tiny())
    images = scene(cells=(3, 4))
    wider = [torch.cat([image, image.flip(2)[:, :, : image.shape[2] // 3]], 2) for image in images]
    assert torch.allclose(network(*images), network(*wider)[:, :, :12], atol=1e-6)


def test_batch_and_order_do_not_matter():
    for dtype, error in ((torch.float32, 2e-6), (torch.float64, 1e-13)):
        network = moved(tiny()).to(dtype).eval()
        images = scene(3, dtype=dtype)
        together = network(*images)
        backwards = network(*(image.flip(0) for image in images)).flip(0)
        alone = torch.cat([network(*(image[n : n + 1] for image in images)) for n in range(3)])
        assert torch.allclose(together, backwards, atol=error, rtol=0)
        assert torch.allclose(together, alone, atol=error, rtol=0)


def test_windows_keep_to_themselves_and_a_global_context_does_not():
    """The transformer's part alone: what it carries out of one window when another one changes."""
    for context, isolated in (("window", True), ("global", False)):
        network = moved(tiny(context=context))
        ms_prior, pan_prior, stacked = torch.rand(1, 6, 8, 4), torch.rand(1, 6, 32, 16), torch.rand(1, 4, 32, 16)
        before = network.interaction(ms_prior, pan_prior, stacked)[0]
        stacked[:, :, 16:] += 1
        after = network.interaction(ms_prior, pan_prior, stacked)[0]
        assert torch.equal(before[:, :, :4], after[:, :, :4]) == isolated
        assert not torch.allclose(before[:, :, 4:], after[:, :, 4:])


def test_bands_are_treated_alike_where_they_are_treated_one_by_one():
    network = moved(tiny(4, per_band=True))
    images = scene(bands=4)
    order = [2, 0, 3, 1]
    turned = network(images[0][:, order], images[1][:, order], images[2])
    assert torch.allclose(turned, network(*images)[:, order], atol=1e-5)
    other = tiny(7, per_band=True)
    other.load_state_dict(network.state_dict())
    assert other(*scene(bands=7)).shape == (2, 7, 32, 16)


# --- what is frozen


def frozen_by_definition(name, stage, train_sspen):
    if name.startswith("priors."):
        return name.startswith("priors.edsr.") or (stage == 2 and not train_sspen)
    return name.startswith("interaction.vit.")


@pytest.mark.parametrize(("stage", "train_sspen"), [(1, False), (2, False), (2, True)])
def test_gradients_reach_all_that_learns_and_nothing_else(stage, train_sspen):
    network = moved(tiny(stage=stage, train_sspen=train_sspen), scale=0.0)
    images = scene()
    l1_loss(network(*images), images[1]).backward()
    learns = []
    for name, parameter in network.named_parameters():
        if frozen_by_definition(name, stage, train_sspen):
            assert parameter.grad is None and not parameter.requires_grad, name
            continue
        learns.append(name)
        assert parameter.grad is not None, name
        silent = any(part in name for part in BEHIND_SCALE)
        assert bool(parameter.grad.any()) != silent, name
    assert network.trainable_names() == tuple(learns)
    assert network.requires_grad_(False).trainable_names() == tuple(learns)
    scales = [name for name in learns if name.endswith("injection.scale")]
    assert len(scales) == (0 if stage == 1 else 3)  # four adapters, the last without


@pytest.mark.parametrize("stage", [1, 2])
def test_frozen_tensors_keep_their_bits(stage):
    network = tiny(stage=stage)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.1)
    for _ in range(5):
        network.train()
        images = scene()
        l1_loss(network(*images), images[1] + 0.3 * images[2]).backward()
        optimiser.step()
        optimiser.zero_grad()
    learns = set(network.trainable_names())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name not in learns), name


def test_frozen_modules_stay_in_eval():
    network = tiny()
    assert network.training and network.interaction.adapters[0].training
    for module in (network.priors, network.priors.edsr.body[0], network.interaction.vit.encoder.layers[1]):
        assert not module.training
    assert not network.eval().interaction.adapters[0].training
    assert tiny(stage=1).priors.spatial.training


def test_the_gradient_of_the_first_scale_passes_through_frozen_layers():
    network = moved(tiny().double(), scale=0.0)
    images = scene(dtype=torch.float64)
    scale = network.interaction.adapters[0].injection.scale

    def loss(value):
        with torch.no_grad():
            scale.fill_(value)
        return network(*images).square().mean()

    loss(0.0).backward()
    step = 1e-4
    numeric = (loss(step) - loss(-step)) / (2 * step)
    assert abs(numeric) > 1e-9
    assert torch.allclose(scale.grad[0], numeric, rtol=1e-5)


def test_without_scale_the_transformer_is_the_plain_one():
    body = moved(tiny(), scale=0.0).interaction
    tokens, carried = torch.randn(2, 16, 36), (torch.randn(2, 16, 16), torch.randn(2, 16, 16))
    tables = body.vit.tables((4, 4), 1)
    stream, _ = body.vit.adapted(tokens, tables, list(body.adapters), carried)
    assert torch.equal(stream + body.vit.mlp_head(stream), body.vit(tokens, (4, 4), 1))
    with torch.no_grad():
        body.adapters[0].injection.scale.fill_(0.1)
    assert not torch.allclose(body.vit.adapted(tokens, tables, list(body.adapters), carried)[0], stream)


@pytest.mark.parametrize("ratio", [2, 4])
def test_a_fresh_stage_keeps_the_spatial_prior_pixel_by_pixel(ratio):
    body = tiny(ratio=ratio).interaction
    prior = torch.randn(2, 6, 4 * ratio, 4 * ratio)
    fine = pixel_shuffle(body.spatial_down(prior), ratio)
    pixel = body.spatial_down.weight[:: ratio**2, :, 0, 0]
    assert fine.shape[1] == len(pixel) == 16 // ratio**2
    assert torch.allclose(fine, torch.einsum("kc,nchw->nkhw", pixel, prior), atol=1e-5)


def test_a_fresh_adapter_only_opens_gates():
    adapter = tiny().interaction.adapters[0]
    stream, own, other = torch.randn(2, 16, 36), torch.randn(2, 16, 16), torch.randn(2, 16, 16)
    after, (spectral, spatial) = adapter(stream, (own, other))
    assert torch.equal(after, stream)
    assert torch.allclose(spectral, own * (1 + adapter.spectral.gate(other).sigmoid()), atol=1e-6)
    assert torch.allclose(spatial, other * (1 + adapter.spatial.gate(own).sigmoid()), atol=1e-6)


def test_the_last_adapter_injects_nothing_and_ends_the_transformer():
    network = tiny(adapter_after=[1, 3])
    assert [adapter.injection is None for adapter in network.interaction.adapters] == [False, True]
    broken = network.interaction.vit.decoder.layers[1]
    broken.forward = None  # would fail if it ran
    network(*scene())


def test_recomputing_gives_the_same_gradients():
    images = scene()
    for settings in ({"stage": 1}, {"train_sspen": True}):
        network = moved(tiny(**settings))
        gradients = []
        for recompute in (False, True):
            network.gradient_checkpointing = recompute
            network.zero_grad()
            network(*images).square().mean().backward()
            gradients.append([p.grad.clone() for p in network.parameters() if p.requires_grad])
        assert all(torch.allclose(*pair, atol=1e-7) for pair in zip(*gradients, strict=True))


def test_mixed_precision_leaves_the_residual_alone():
    images = scene()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tiny()(*images), images[1])
        mixed = moved(tiny()).eval()
        fused = mixed(*images)
    assert fused.dtype == torch.float32
    plain = mixed(*images)
    assert not torch.equal(fused, plain)
    assert (fused - plain).abs().mean() < 0.1 * (plain - images[1]).abs().mean()


# --- weights, sizes


def config_of(stage, **settings):
    options = PanAdapterOptions(**{**TINY, "stage": stage, **settings})
    return ModelConfig(arch="panadapter", bands=3, ratio=4, options=options)


def backbone_files(folder, config):
    """Files of both backbones, named as published ones, and their tensors."""
    edsr, ipt = config.options.edsr, config.options.ipt
    head = {f"{block}.{name}": t for block in (1, 2) for name, t in ResBlock(4, 5).state_dict().items()}
    tensors = {
        "edsr": EdsrBody(edsr).state_dict(),
        "ipt": {
            **{f"body.{name}": tensor for name, tensor in IptBody(ipt).state_dict().items()},
            **{f"head.{task}.{name}": task + t for task in range(ipt.queries) for name, t in head.items()},
        },
    }
    paths = {}
    for name, size in (("edsr", edsr), ("ipt", ipt)):
        facts = {"arch": name, "arch_config": {name: size.model_dump(mode="json")}, "bands": 3, "ratio": 1}
        paths[name] = str(folder / f"{name}.safetensors")
        save_weights(folder / f"{name}.safetensors", tensors[name], Identity(**facts, value_max=255.0))
    return paths, tensors


@pytest.mark.parametrize("embedding", ["conv", "ipt-head"])
def test_frozen_parts_come_from_backbones_and_from_the_stage_before(tmp_path, embedding):
    configs = [config_of(stage, embedding=embedding) for stage in (1, 2)]
    files, tensors = backbone_files(tmp_path, configs[1])
    with pytest.raises(DataError, match="backbone edsr"):
        start_network(configs[0], StartConfig())
    first, _ = start_network(configs[0], StartConfig(backbones={"edsr": files["edsr"]}))
    stage1 = tmp_path / "stage1.safetensors"
    save_weights(stage1, first.state_dict(), Identity.of_model(configs[0], value_max=1.0))
    with pytest.raises(DataError, match="backbone ipt"):
        start_network(configs[1], StartConfig(weights=str(stage1)))
    second, _ = start_network(configs[1], StartConfig(weights=str(stage1), backbones={"ipt": files["ipt"]}))
    for name, tensor in second.priors.state_dict().items():
        assert torch.equal(tensor, first.priors.state_dict()[name])
    for name, tensor in second.priors.edsr.state_dict().items():
        assert torch.equal(tensor, tensors["edsr"][name])
    for name, tensor in second.interaction.vit.state_dict().items():
        assert torch.equal(tensor, tensors["ipt"][f"body.{name}"])
    if embedding == "ipt-head":
        for name, tensor in second.interaction.embedding.blocks.state_dict().items():
            assert torch.equal(tensor, tensors["ipt"][f"head.2.{name}"])


def test_the_paper_sizes():
    with torch.device("meta"):
        network = PanAdapter(8, 4, PanAdapterOptions(**IPT))
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    total = sum(p.numel() for p in network.parameters())
    assert trained == 2_200_525  # the paper says 2.19 million …
    assert round(100 * trained / total, 2) == 1.85  # … and 1.85 per cent
    assert network.rule(10) == Blend(64, 16, 12)  # a halo of whole MS pixels


def test_the_small_preset_is_small():
    for stage in (1, 2):
        network = PanAdapter(8, 4, PanAdapterOptions(**SMALL, stage=stage)).eval()
        counted = sdpa_kernel(SDPBackend.MATH)  # the counter overlooks the other ones on a CPU
        with torch.no_grad(), counted, FlopCounterMode(display=False) as counter:
            network(*scene(1, 8, 4, (16, 16)))
        assert 100_000 < counter.get_total_flops() / 2 / 64**2 < 400_000
    assert sum(p.numel() for p in network.parameters()) < 3_000_000


def test_it_is_a_network_that_a_recipe_can_name():
    config = config_of(2)
    network = build_network(config)
    assert isinstance(network, PanAdapter) and isinstance(network, Network)
    assert config.inputs == ("ms", "lms", "pan")
    again = Identity.of_model(config, value_max=1.0).model()
    assert again == config
