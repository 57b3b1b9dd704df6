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
from fusioncli.ops.sampling import CentredSampling
from fusioncli.workflows.train.schedule import learning_rate
from fusioncli.workflows.train.world import World
from fusioncli.workflows.training_data import FULL

Batch = Mapping[str, Tensor]
"""The truth, gt (N, B, H, W), and what `model.inputs` names, such as ms (N, B, h, w); in units of `value_max`."""

_LEAST_SPREAD = 1e-4  # of `value_max`: a band that does not vary


def _relative_loss(fused: Tensor, gt: Tensor) -> Tensor:
    """Mean absolute error, each band of each patch in units of its standard deviation."""
    spread = gt.std((2, 3), keepdim=True).clamp_min(_LEAST_SPREAD)
    return ((fused - gt) / spread).abs().mean()


Loss = Callable[[Tensor, Tensor], Tensor]
"""Of what the network made and what it should be."""

_LOSSES: dict[str, Loss] = {"l1": functional.l1_loss, "l2": functional.mse_loss, "relative": _relative_loss}
_OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class RunningMean:
    """Exponential mean of weights; it forgets faster at first, when weights are far from where they will be.

    Attributes:
        tensors: the mean of each tensor of a network's state; frozen ones are the network's own.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay, self._frozen = decay, _frozen(network)
        self.tensors = {
            name: tensor.detach() if name in self._frozen else tensor.detach().clone()
            for name, tensor in network.state_dict().items()
        }

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step; what is no float, such as a counter, is copied."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            if name in self._frozen:
                continue
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

    def run(self, network: Callable[..., Tensor], images: Iterable[Tensor]) -> Tensor:
        """What a network makes of its inputs, float32."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return network(*images).float()


class Learner:
    """Everything that a step changes.

    Attributes:
        network: the weights that learn.
        arithmetic: where and how precisely.
        learning_rate: of the latest step.
    """

    learning_rate: float = 0.0

    def __init__(self, recipe: Recipe, network: nn.Module, world: World) -> None:
        self.arithmetic = Arithmetic.of(recipe.training.precision, world.device)
        placed = cast(Any, network).to(world.device, memory_format=torch.channels_last)  # a quarter faster on a CPU
        self.network: nn.Module = placed
        self._recipe, self._world = recipe, world
        self._mean = RunningMean(self.network, decay) if (decay := recipe.training.ema_decay) else None
        if recipe.training.gradient_checkpointing:
            _checkpoint_gradients(self.network, recipe.model.arch)
        self._loss: Loss = placed.error if recipe.loss == "components" else _LOSSES[recipe.loss]
        self._spread = world.spread(self.network)
        self._optimiser = _optimiser(recipe.optimiser, self.network)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The weights that are validated and kept: the running mean where there is one."""
        return self.network.state_dict() if self._mean is None else self._mean.tensors

    def inputs(self, batch: Batch) -> list[Tensor]:
        """What the network takes of a batch, in the order of its arguments."""
        return [batch[name] for name in self._recipe.model.inputs]

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
        passes, measure, weight = self._recipe.training.accumulate, self._loss, self._recipe.consistency.weight
        losses = []
        for number, batch in enumerate(batches, start=1):
            with self._world.alone(self._spread) if number < passes else nullcontext():
                loss = measure(self.arithmetic.run(self._spread, self.inputs(batch)), batch["gt"])
                if weight:
                    loss = loss + weight * measure(*self._degraded(batch))
                (loss := loss / passes).backward()
            losses.append(loss.detach())
        return losses

    def _degraded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The network's full-resolution windows degraded, and their MS, without the cells that the border reaches."""
        names, ratio = self._recipe.model.inputs, self._recipe.model.ratio
        inputs = [batch[FULL + name] for name in names]
        sampling, gains = CentredSampling(ratio, ratio), self._recipe.consistency.gains
        low = sampling.degrade(self.arithmetic.run(self._spread, inputs), gains)
        reach = -(-max(map(sampling.blur_reach_px, gains)) // ratio)
        cells = min(reach, (low.shape[-1] - 1) // 4)
        inner = (..., *(slice(cells, size - cells) for size in low.shape[-2:]))
        return low[inner], inputs[0][inner]

    def state(self) -> dict[str, Any]:
        """What `restore` needs; frozen tensors, which are where the run started from, are not in it."""
        frozen = _frozen(self.network)

        def learned(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor for name, tensor in tensors.items() if name not in frozen}

        return {
            "network": learned(self.network.state_dict()),
            "mean": None if self._mean is None else learned(self._mean.tensors),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of the same recipe."""
        self.network.load_state_dict(self.network.state_dict() | state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self._mean is not None:
            for name, tensor in state["mean"].items():
                self._mean.tensors[name].copy_(tensor)


def _frozen(network: nn.Module) -> set[str]:
    return {name for name, parameter in network.named_parameters() if not parameter.requires_grad}


def _optimiser(config: OptimiserConfig, network: nn.Module) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kind: Any = _OPTIMISERS[config.name]
    return kind(trained, lr=config.learning_rate, weight_decay=config.weight_decay)


def _checkpoint_gradients(network: nn.Module, arch: str) -> None:
    if not hasattr(network, "gradient_checkpointing"):
        hint = "--set training.gradient_checkpointing=false"
        raise UsageError(f"{arch} offers no gradient checkpointing", hint)
    cast(Any, network).gradient_checkpointing = True
