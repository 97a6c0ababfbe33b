"""A checkpoint without its training, and the sidecar of an engine that is none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from srsdk.engine_sidecar import EngineRecord, Profile, sidecar_path
from srsdk.spec import ModelSpec
from srtrain.checkpoint import Checkpoint
from srtrain.config import recipe_from_dict
from srtrain.models import build_generator


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = recipe_from_dict(
        {
            "name": "tiny-x4",
            "model": {"architecture": "edge", "features": 8, "blocks": 1},
            "data": {
                "train": ["train-*.tar"],
                "dev": ["dev-*.tar"],
                "hr_side": 64,
                "lr_patch": 12,
                "terms": "made up",
            },
            "loss": {"l1": 1.0},
            "run": {"steps": 2, "batch": 2, "learning_rate": 0.05, "ema": 0.1},
        }
    )
    torch.manual_seed(0)
    model = build_generator(recipe.model)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.1)
    weights = model.state_dict()
    path = tmp_path_factory.mktemp("tiny") / "last.pt"
    Checkpoint(
        recipe,
        step=2,
        seconds=1.0,
        generator=weights,
        ema=weights,
        optimiser={},
        history=[],
        data="train-a-00 (4)",
        hardware="CPU",
        scores={"psnr_rgb/dev-a": 20.0},
    ).save(path)
    return path


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """Bytes that are no engine, with a sidecar: whoever deserialised them would fail."""
    model = tmp_path / "face.onnx"
    model.write_bytes(b"model")
    path = tmp_path / "face.engine"
    path.write_bytes(b"plan" * 100)
    record = EngineRecord(
        spec=ModelSpec("face-fp16", "srresnet", 4, precision="fp16", face_size=32, halo=24),
        model=model.name,
        model_sha256=hashlib.sha256(b"model").hexdigest(),
        engine_sha256=hashlib.sha256(b"plan" * 100).hexdigest(),
        engine_bytes=400,
        flavour="tensorrt",
        version="10.3.0",
        compute_capabilities=("8.7",),
        device="Orin",
        driver="12.6",
        platform="Linux aarch64",
        profiles=(Profile("faces", (1, 16, 16), (4, 32, 32), (16, 128, 128)),),
        flags={"strongly_typed": True, "version_compatible": False},
        layers={"convolution half": 21},
        build_seconds=61.5,
        command="srsdk-export engine face.onnx -o face.engine",
        parity={"parity": {"largest": 1, "psnr": 63.0}},
    )
    sidecar_path(path).write_text(record.to_json())
    return path


def edit(engine: Path, **changes: Any) -> None:
    path = sidecar_path(engine)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
