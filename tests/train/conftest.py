"""Small artificial data sets, so that no test of the trainer needs real ones."""

from __future__ import annotations

import io
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srtrain.config import Recipe, recipe_from_dict
from srtrain.models.descriptor import DescriptorNetwork, conv_shapes


def picture(seed: int, side: int = 72) -> Image.Image:
    """A smooth blob with edges and texture, different for every seed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    planes = []
    for _ in range(3):
        fx, fy, phase = random.uniform((2, 2, 0), (14, 14, 6))
        planes.append(np.sin(fx * x + phase) * np.cos(fy * y) + (x > random.uniform(0.2, 0.8)))
    values = np.stack(planes, axis=2)
    values = (values - values.min()) / np.ptp(values)
    return Image.fromarray((values * 255).astype(np.uint8))


def descriptor_state() -> dict[str, torch.Tensor]:
    """Weights of a face descriptor that has learned nothing."""
    random = torch.Generator().manual_seed(5)
    layers = [
        (torch.randn(shape, generator=random) / math.prod(shape[1:]) ** 0.5, torch.zeros(shape[0]))
        for shape in conv_shapes()
    ]
    return DescriptorNetwork(layers, torch.randn(128, 256, generator=random) / 16).state_dict()


def write_shard(path: Path, first: int, count: int, *, corrupt: int = 0) -> None:
    with tarfile.open(path, "w") as shard:
        for n in range(first, first + count + corrupt):
            buffer = io.BytesIO()
            picture(n).save(buffer, "WEBP", lossless=True)
            data = buffer.getvalue()
            if n >= first + count:
                data = data[: len(data) // 3]
            member = tarfile.TarInfo(f"{n:05d}.webp")
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_shard(root / "train-a-00.tar", 0, 10, corrupt=2)
    write_shard(root / "train-b-00.tar", 100, 6)
    write_shard(root / "dev-a-00.tar", 200, 4)
    return root


@pytest.fixture
def recipe() -> Recipe:
    return recipe_from_dict(
        {
            "name": "tiny-x4",
            "model": {"architecture": "edge", "features": 8, "blocks": 2, "expansion": 2},
            "data": {
                "train": ["train-*.tar"],
                "dev": ["dev-*.tar"],
                "hr_side": 64,
                "lr_patch": 12,
                "zoom": 1.1,
                "terms": "made up",
            },
            "loss": {"l1": 1.0},
            "run": {"steps": 8, "batch": 4, "learning_rate": 2e-3, "checkpoint_every": 3},
        }
    )
