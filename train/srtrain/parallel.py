"""One process, or several that train the same networks on parts of each batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from srsdk.errors import BackendUnavailableError


class Processes(Protocol):
    """What the loop needs to know of the processes that take part.

    Attributes:
        rank: Number of this one; 0 writes checkpoints and reports.
        count: How many there are.
    """

    rank: int
    count: int

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace float tensors by their means over the processes."""
        ...

    def agree(self, value: float) -> float:
        """The first process's value."""
        ...


class Alone:
    """One process."""

    rank = 0
    count = 1

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Nothing to do."""

    def agree(self, value: float) -> float:
        """The value itself."""
        return value


class FabricProcesses:
    """Processes launched by Lightning Fabric.

    Gradients are averaged in one piece behind the backward pass rather than by wrapped networks:
    the gradient penalty differentiates the critic twice, which hooks in the first pass would see.

    Args:
        fabric: A launched `lightning_fabric.Fabric`.
    """

    def __init__(self, fabric: Any) -> None:
        self.fabric = fabric
        self.rank, self.count = int(fabric.global_rank), int(fabric.world_size)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace float tensors by their means over the processes."""
        parts = [tensor for tensor in tensors if tensor.is_floating_point()]
        if not parts:
            return
        flat = self.fabric.all_reduce(torch.cat([p.flatten() for p in parts]), reduce_op="mean")
        start = 0
        for part in parts:
            part.copy_(flat[start : start + part.numel()].view_as(part))
            start += part.numel()

    def agree(self, value: float) -> float:
        """The first process's value."""
        return float(self.fabric.broadcast(value))


def launch(count: int, device: str) -> tuple[Processes, str]:
    """Start this program `count` times, each with the same arguments; call it once, early.

    Returns:
        The processes, and the torch device of this one.

    Raises:
        BackendUnavailableError: Several are wanted, but Lightning Fabric is not installed.
    """
    if count == 1:
        return Alone(), device
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise BackendUnavailableError(
            "several processes need Lightning Fabric: pip install 'srsdk[train]'"
        ) from error
    accelerator = torch.device(device).type
    fabric = Fabric(accelerator=accelerator, devices=count, strategy="ddp")
    fabric.launch()
    return FabricProcesses(fabric), str(fabric.device)


@torch.no_grad()
def average_gradients(processes: Processes, module: nn.Module) -> None:
    """Average gradients and, so that batch norm stays the same everywhere, its statistics."""
    if processes.count > 1:
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        processes.average([*gradients, *module.buffers()])
