"""INFN learns: gradients, thrift, precision, compilation, and one patch by heart."""

import pytest
import torch

from fusioncli.config.architectures import InfnOptions
from fusioncli.models.infn import network as infn_network
from fusioncli.models.infn.network import Infn

SMALL = {"width": 8, "blocks": 1, "hidden": (16, 12), "latent": 6}


def network(width=8, **options):
    torch.manual_seed(1)
    made = Infn(5, 3, InfnOptions(**SMALL | {"width": width} | options))
    torch.nn.init.normal_(made.head[-1].weight, std=0.05)
    return made


def patch(cells=8, ratio=4):
    """A smooth scene with an edge, its HSI as means of cells, and an MSI of means of bands; values 0 … 1."""
    n = cells * ratio
    y, x = torch.meshgrid(torch.linspace(0, 1, n), torch.linspace(0, 1, n), indexing="ij")
    texture = 0.5 + 0.2 * torch.sin(9 * x) * torch.cos(7 * y) + 0.2 * (x + y > 1)
    gt = torch.stack([texture * (0.5 + 0.1 * band) + 0.05 * band * x for band in range(5)])[None]
    hsi = torch.nn.functional.avg_pool2d(gt, ratio)
    hsi_up = torch.nn.functional.interpolate(hsi, scale_factor=ratio, mode="bicubic")
    msi = torch.stack([gt[:, :2].mean(1), gt[:, 1:4].mean(1), gt[:, 3:].mean(1)], 1)
    return gt, (hsi, hsi_up, msi)


def psnr_db(a, b):
    return -10 * (a - b).square().mean().log10().item()


def learned(steps):
    """A network after so many steps on the patch, frozen."""
    gt, inputs = patch()
    made = network(width=16, hidden=(32, 32), latent=16)
    optimiser = torch.optim.Adam(made.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps)
    for _ in range(steps):
        optimiser.zero_grad()
        (made(*inputs) - gt).square().mean().sqrt().backward()
        optimiser.step()
        schedule.step()
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("options", [{}, {"similarity": "guide"}, {"area_weighted": True}, {"learn_temperature": True}])
def test_every_weight_gets_a_gradient(options):
    gt, inputs = patch()
    made = network(**options)
    (made(*inputs) - gt).abs().mean().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name
    assert ("log_temperature" in dict(made.named_parameters())) == options.get("learn_temperature", False)


@pytest.mark.parametrize("ratio", [3, 4])
def test_gradients_are_those_of_finite_differences(ratio):
    """In double precision, through pooling, cosines and neighbours."""
    _, inputs = patch(3, ratio)
    made = network(width=3, learn_temperature=True).double()
    inputs = [x.double().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(made, inputs, fast_mode=True)


def test_gradient_checkpointing_changes_nothing(monkeypatch):
    monkeypatch.setattr(infn_network, "_STRIP_PX", 32 * 8)
    gt, inputs = patch()
    gradients = []
    for thrifty in (False, True):
        made = network().double().train()
        made.gradient_checkpointing = thrifty
        (made(*(x.double() for x in inputs)) - gt).abs().mean().backward()
        gradients.append([parameter.grad for parameter in made.parameters()])
    assert all(torch.allclose(a, b, rtol=1e-10, atol=0) for a, b in zip(*gradients, strict=True))


def test_gradient_checkpointing_keeps_less():
    """Bytes that the backward pass waits with."""
    _, inputs = patch(16)
    kept = []
    for thrifty in (False, True):
        made = network().train()
        made.gradient_checkpointing = thrifty
        saved = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, saved=saved: saved.update({x.untyped_storage().data_ptr(): x.untyped_storage().nbytes()}) or x,
            lambda x: x,
        ):
            made(*inputs)
        kept.append(sum(saved.values()))
    assert kept[1] < 0.5 * kept[0]


def test_bf16_costs_nearly_nothing():
    """Under autocast only the detail is rounded: the residual stays float32."""
    gt, inputs = patch()
    made = learned(120)
    full = made(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = made(*inputs)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, full)
    assert psnr_db(mixed, full) > 70
    assert psnr_db(full, gt) - psnr_db(mixed, gt) < 0.02


def test_it_compiles_to_one_graph():
    """No break and no dependence on data; the eager backend spares the compiler."""
    for ratio in (4, 2.5):
        size = int(8 * ratio)
        inputs = torch.rand(1, 5, 8, 8), torch.rand(1, 5, size, size), torch.rand(1, 3, size, size)
        made = network().eval().requires_grad_(False)
        torch._dynamo.reset()
        compiled = torch.compile(made, backend="eager", fullgraph=True)
        assert torch.allclose(compiled(*inputs), made(*inputs), atol=1e-6)


def test_channels_last_gives_the_same():
    _, inputs = patch()
    made = network().eval().requires_grad_(False)
    plain = made(*inputs)
    made.to(memory_format=torch.channels_last)
    moved = made(*(x.to(memory_format=torch.channels_last) for x in inputs))
    assert torch.allclose(moved, plain, atol=1e-6)


def test_it_learns_a_patch_by_heart():
    gt, inputs = patch()
    assert psnr_db(inputs[1], gt) < 35
    assert psnr_db(learned(320)(*inputs), gt) > 60
