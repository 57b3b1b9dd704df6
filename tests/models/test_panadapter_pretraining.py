"""Networks whose bodies become backbones: the image itself at first, one head and tail per task, published names."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import l1_loss

from fusioncli.config.architectures import TASKS
from fusioncli.config.recipe import ModelConfig
from fusioncli.models.networks import build_network

EDSR = {"edsr": {"width": 8, "blocks": 3}}
IPT = {
    "ipt": {"width": 36, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "hidden": 16, "side": 4, "queries": 5}
}


def build(arch, **options):
    torch.manual_seed(0)
    chosen = {"edsr-pretraining": EDSR, "ipt-pretraining": IPT}[arch]
    return build_network(
        ModelConfig.model_validate({"arch": arch, "bands": 3, "ratio": 1, "options": {**chosen, **options}})
    )


def ask(network, image, task=0):
    return network(image, torch.full((len(image),), task))


@pytest.mark.parametrize("arch", ["edsr-pretraining", "ipt-pretraining"])
@pytest.mark.parametrize("size", [(12, 12), (13, 20), (5, 4)])
def test_fresh_networks_leave_images_as_they_are(arch, size):
    image = torch.rand(2, 3, *size)
    assert ask(build(arch), image).equal(image)


@pytest.mark.parametrize("arch", ["edsr-pretraining", "ipt-pretraining"])
def test_they_learn(arch):
    """To undo a constant shift and a change of contrast."""
    network = build(arch)
    gt = torch.rand(4, 3, 12, 12)
    image = 0.5 * gt + 0.1
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = l1_loss(ask(network, image), gt)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]


def test_edsr_is_what_the_paper_draws():
    """Head, blocks, one convolution around which the head's features are added, tail."""
    network = build("edsr-pretraining")
    torch.nn.init.normal_(network.tail.weight)
    image, state = torch.rand(1, 3, 9, 9), network.state_dict()

    def conv(x, name):
        return torch.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    features = x = conv(image, "head")
    for block in range(3):
        x = x + conv(conv(x, f"body.{block}.body.0").relu(), f"body.{block}.body.2")
    wanted = image + conv(features + conv(x, "after"), "tail")
    assert torch.allclose(ask(network, image), wanted, atol=1e-6)


def test_ipt_has_its_own_way_for_every_task():
    network = build("ipt-pretraining", token_px=2)
    for tail in network.tail:
        torch.nn.init.normal_(tail.weight)
    image = torch.rand(2, 3, 8, 8)
    results = [ask(network, image, task) for task in range(len(TASKS))]
    for number, one in enumerate(results):
        assert all(not torch.allclose(one, other) for other in results[:number])
    network.zero_grad()
    results[3].sum().backward()
    used = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert {name.split(".")[1] for name in used if name.startswith(("head", "tail"))} == {"3"}
    assert all(name in used for name, _ in network.body.named_parameters(prefix="body"))
    rows = network.body.query_embed.weight.grad.abs().sum(1)
    assert rows[3] > 0 and rows.count_nonzero() == 1


def test_tokens_are_ipt_s_patches():
    """A body that passes tokens on twice doubles the head's features, wherever they lie."""
    network = build("ipt-pretraining")
    network.body.forward = lambda tokens, grid, query, recompute: tokens if grid == (2, 3) and query == 1 else None
    torch.nn.init.normal_(network.tail[1].weight)
    image = torch.rand(1, 3, 6, 9)
    features = network.head[1](image)
    assert torch.allclose(ask(network, image, 1), image + network.tail[1](2 * features), atol=1e-6)


@pytest.mark.parametrize("arch", ["edsr-pretraining", "ipt-pretraining"])
def test_gradient_checkpointing_changes_nothing(arch):
    gradients = []
    for checkpointing in (False, True):
        network = build(arch)
        network.gradient_checkpointing = checkpointing
        torch.manual_seed(1)
        for name, parameter in network.named_parameters():
            if name.startswith("tail"):
                torch.nn.init.normal_(parameter)
        ask(network, torch.rand(2, 3, 12, 12), 2).square().sum().backward()
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    assert all(torch.allclose(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"token_px": 5}, ("options", "token_px")),
        ({"ipt": {**IPT["ipt"], "queries": 3}}, ("options", "ipt", "queries")),
        ({"ipt": {**IPT["ipt"], "width": 35}}, ("options", "ipt", "width")),
    ],
)
def test_sizes_that_do_not_go_together(options, path):
    with pytest.raises(ValidationError) as caught:
        build("ipt-pretraining", **options)
    assert [error["loc"] for error in caught.value.errors()] == [path]
