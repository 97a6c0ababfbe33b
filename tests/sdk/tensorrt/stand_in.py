"""The sidecar of an engine that is none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from srsdk.spec import ModelSpec
from srsdk.tensorrt.profiles import Profile
from srsdk.tensorrt.sidecar import EngineRecord, sidecar_path


def make_engine(folder: Path) -> Path:
    """Bytes that are no engine, with a sidecar: whoever deserialised them would fail."""
    model = folder / "face.onnx"
    model.write_bytes(b"model")
    path = folder / "face.engine"
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
