"""Scalars and sample pictures for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from typing_extensions import Self

from srsdk.errors import BackendUnavailableError
from srtrain.data import Pairs
from srtrain.images import to_tensor

_FACES = 4


class TrainingLog:
    """Writes to `folder/tensorboard`, or nothing at all.

    Raises:
        BackendUnavailableError: It is enabled, but TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, enabled: bool) -> None:
        self._writer: Any = None
        if enabled:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise BackendUnavailableError(
                    "--tensorboard needs TensorBoard: pip install 'srsdk[train]'"
                ) from error
            self._writer = SummaryWriter(str(folder / "tensorboard"))

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Add each value as `group/name`."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    @torch.no_grad()
    def picture(self, model: nn.Module, dev: Mapping[str, Pairs], step: int) -> None:
        """Add the first faces of each dev set: low resolution, result, high resolution."""
        if self._writer is None:
            return
        device = next(model.parameters()).device
        for name, pairs in dev.items():
            side = pairs.hr.shape[1:3]
            lr, hr = (to_tensor(part[:_FACES], device) for part in (pairs.lr, pairs.hr))
            shown = [F.interpolate(x, size=side, mode="nearest") for x in (lr, model(lr), hr)]
            rows = torch.cat([torch.cat(list(x), dim=2) for x in shown], dim=1)
            self._writer.add_image(f"faces/{name}", rows.clamp(0, 1).cpu(), step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
