"""The processes of a run: which of them this one is, on which device, and how they agree on things."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fusioncli.errors import UsageError
from fusioncli.workflows.memory import available_cores, pick_device


@dataclass(frozen=True)
class World:
    """One process among `size`.

    Attributes:
        rank: number of this process.
        size: number of processes.
        device: where it computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    @property
    def title(self) -> str:
        """The devices in words."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        return f"{name} x {self.size}" if self.size > 1 else name

    def spread(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes."""
        if self.size == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        skips = getattr(network, "skips_parameters", False)
        return DistributedDataParallel(network, device_ids=devices, find_unused_parameters=skips)

    def alone(self, network: nn.Module) -> AbstractContextManager[Any]:
        """Keep gradients to this process for a while, as all but the last pass of an accumulated step do."""
        return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()

    def mean(self, value: float) -> float:
        """Mean over the processes."""
        return sum(self.gather(value)) / self.size

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return any(self.gather(flag))

    def gather(self, item: Any) -> list[Any]:  # noqa: ANN401 - whatever can be pickled
        """Each process's item, by rank, in every process."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        distributed.all_gather_object(items, item)
        return items


@contextmanager
def join_world(device: str) -> Iterator[World]:
    """Meet the other processes, if the environment names any, for as long as the context lasts.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: no such device here.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if size == 1:
        torch.set_num_threads(available_cores())
        yield World(0, 1, pick_device(device))
        return
    here = _own_device(device)
    torch.set_num_threads(max(1, available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    if here.type == "cuda":
        torch.cuda.set_device(here)
    distributed.init_process_group("nccl" if here.type == "cuda" else "gloo", rank=rank, world_size=size)
    try:
        yield World(rank, size, here)
    finally:
        distributed.destroy_process_group()


def _own_device(name: str) -> torch.device:
    """One GPU per process of a machine, or its CPU."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {name} is one device, and there are several processes", "use --device cuda or cpu")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    return pick_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
