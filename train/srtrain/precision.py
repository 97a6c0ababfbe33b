"""Which arithmetic a run uses."""

from __future__ import annotations

import torch

from srtrain.config import RunConfig


def uses_bf16(config: RunConfig, device: torch.device) -> bool:
    """Whether networks run under bfloat16 autocast on this device.

    With precision "auto" they do where it is fast: on CUDA, and on CPUs with AVX512-BF16, which
    multiply bfloat16 2.5 times as fast as float32.
    """
    if config.precision != "auto":
        return config.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())


def autocast(device: torch.device, enabled: bool) -> torch.autocast:
    """Autocast to bfloat16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
