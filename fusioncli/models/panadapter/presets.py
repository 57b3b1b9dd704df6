"""Settings of PanAdapter in three sizes, as `model.options` of a recipe takes them."""

from __future__ import annotations

from typing import Any

IPT: dict[str, Any] = {}
"""The paper's: EDSR-baseline and IPT, whose published weights fit; 119 million parameters, 2 of them trainable."""

SMALL: dict[str, Any] = {
    "edsr": {"width": 32, "blocks": 6},
    "ipt": {
        "width": 128,
        "heads": 4,
        "encoder_layers": 4,
        "decoder_layers": 4,
        "hidden": 256,
        "queries": 5,
    },
    "taps": 6,
    "tap_width": 16,
    "prior_width": 48,
    "adapter_width": 96,
    "adapter_every": 2,
    "gate_width": 12,
    "ffn_width": 48,
    "tail_width": 64,
    "tail_priors": True,
}
"""For a CPU: under 0.4 million multiplications per PAN pixel at ratio 4, under three million parameters."""

TINY: dict[str, Any] = {
    "edsr": {"width": 8, "blocks": 2},
    "ipt": {
        "width": 36,
        "heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "hidden": 16,
        "side": 4,
        "queries": 3,
    },
    "taps": 2,
    "tap_width": 4,
    "prior_width": 6,
    "adapter_width": 16,
    "adapter_heads": 2,
    "adapter_every": 1,
    "gate_width": 4,
    "ffn_width": 8,
    "tail_width": 12,
    "overlap_cells": 2,
}
"""For tests."""
