"""A small generator of the report's kind, as an ONNX file."""

from __future__ import annotations

from pathlib import Path

import torch

from srexport.onnx import build, save
from srexport.source import LayeredGenerator, fold
from srsdk.spec import ModelSpec
from srtrain.models import SRResNet


def tiny(path: Path) -> Path:
    torch.manual_seed(1)
    model = SRResNet(4, 16, 1).eval()
    spec = ModelSpec("tiny", "srresnet", 4, halo=model.halo, face_size=32)
    save(build(LayeredGenerator(fold(model), spec)), path)
    return path
