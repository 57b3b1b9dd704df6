"""Gradient checkpointing, in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.checkpoint import checkpoint


def call(function: Callable[..., Any], *inputs: Any, recompute: bool) -> Any:  # noqa: ANN401 - what `function` gives
    """Call a function of tensors; with `recompute` its inner results are computed again in the backward pass."""
    return checkpoint(function, *inputs, use_reentrant=False) if recompute else function(*inputs)
