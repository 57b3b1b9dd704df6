"""A network that learns: weights, their running mean, the optimiser, and one step of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusioncli.config.recipe import OptimiserConfig, Recipe
from fusioncli.errors import UsageError
from fusioncli.models.networks import build_network
from fusioncli.workflows.train.schedule import learning_rate
from fusioncli.workflows.train.world import World

Batch = Mapping[str, Tensor]
"""gt (N, B, H, W), ms (N, B, h, w), lms (N, B, H, W), pan (N, 1, H, W), in units of `value_max`."""

_LOSSES = {"l1": functional.l1_loss, "l2": functional.mse_loss}
_OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class RunningMean:
    """Exponential mean of weights; it forgets faster at first, when weights are far from where they will be.

    Attributes:
        tensors: the mean of each tensor of a network's state.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step; what is no float, such as a counter, is copied."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            mean = self.tensors[name]
            mean.lerp_(tensor, share) if mean.is_floating_point() else mean.copy_(tensor)


@dataclass(frozen=True)
class Arithmetic:
    """Where and how precisely the network computes.

    Attributes:
        device: of all tensors.
        bf16: mixed precision.
    """

    device: torch.device
    bf16: bool

    @classmethod
    def of(cls, precision: str, device: torch.device) -> Arithmetic:
        """bf16 where it is asked for, or left to us and the device has it in hardware (UsageError: it has not)."""
        able = device.type == "cpu" or torch.cuda.is_bf16_supported()
        if precision == "bf16" and not able:
            raise UsageError(
                f"training.precision is bf16, which {device} does not have", "--set training.precision=fp32"
            )
        return cls(device, precision == "bf16" or (precision == "auto" and able and device.type != "cpu"))

    def run(self, network: Callable[..., Tensor], batch: Batch) -> Tensor:
        """The fused batch, float32."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return network(batch["ms"], batch["lms"], batch["pan"]).float()


class Learner:
    """Everything that a step changes.

    Attributes:
        network: the weights that learn.
        arithmetic: where and how precisely.
        learning_rate: of the latest step.
    """

    learning_rate: float = 0.0

    def __init__(self, recipe: Recipe, world: World) -> None:
        self.arithmetic = Arithmetic.of(recipe.training.precision, world.device)
        network: Any = build_network(recipe.model)
        self.network: nn.Module = network.to(
            world.device, memory_format=torch.channels_last
        )  # a quarter faster on a CPU
        self._recipe, self._world = recipe, world
        self._mean = RunningMean(self.network, decay) if (decay := recipe.training.ema_decay) else None
        if recipe.training.gradient_checkpointing:
            _checkpoint_gradients(self.network, recipe.model.arch)
        self._spread = world.spread(self.network)
        self._optimiser = _optimiser(recipe.optimiser, self.network)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The weights that are validated and kept: the running mean where there is one."""
        return self.network.state_dict() if self._mean is None else self._mean.tensors

    def step(self, batches: Iterable[Batch], step: int) -> Tensor:
        """One optimiser step.

        Args:
            batches: `training.accumulate` of them.
            step: counted from 0.

        Returns:
            The mean loss of this process's batches, on the device, so that nothing waits for it.
        """
        self.learning_rate = learning_rate(self._recipe, step)
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate
        self._spread.train()
        losses = self._backward(batches)
        if norm := self._recipe.optimiser.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), norm)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        if self._mean is not None:
            self._mean.follow(self.network, step)
        return torch.stack(losses).sum()

    def _backward(self, batches: Iterable[Batch]) -> list[Tensor]:
        """Gradients of the mean loss over all batches; they meet those of other processes in the last pass."""
        passes, measure = self._recipe.training.accumulate, _LOSSES[self._recipe.loss]
        losses = []
        for number, batch in enumerate(batches, start=1):
            with self._world.alone(self._spread) if number < passes else nullcontext():
                loss = measure(self.arithmetic.run(self._spread, batch), batch["gt"]) / passes
                loss.backward()
            losses.append(loss.detach())
        return losses

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        mean = None if self._mean is None else self._mean.tensors
        return {"network": self.network.state_dict(), "mean": mean, "optimiser": self._optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of the same recipe."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self._mean is not None:
            for name, tensor in state["mean"].items():
                self._mean.tensors[name].copy_(tensor)


def _optimiser(config: OptimiserConfig, network: nn.Module) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kind: Any = _OPTIMISERS[config.name]
    return kind(trained, lr=config.learning_rate, weight_decay=config.weight_decay)


def _checkpoint_gradients(network: nn.Module, arch: str) -> None:
    if not hasattr(network, "gradient_checkpointing"):
        hint = "--set training.gradient_checkpointing=false"
        raise UsageError(f"{arch} offers no gradient checkpointing", hint)
    cast(Any, network).gradient_checkpointing = True
