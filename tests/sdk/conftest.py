"""Small generators with random weights, written by the exporter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srexport.onnx import build, save
from srexport.source import Conv, Layer, LayeredGenerator, PRelu, Relu, Residual, Shuffle
from srsdk.spec import ModelSpec


def conv(
    random: np.random.Generator, inputs: int, outputs: int, size: int, gain: float = 1.0
) -> Conv:
    weight = (
        random.standard_normal((outputs, inputs, size, size)) * gain / (inputs * size**2) ** 0.5
    )
    return Conv(
        weight.astype(np.float32), (random.standard_normal(outputs) * 0.02).astype(np.float32)
    )


def edge(scale: int, base: str = "bilinear") -> LayeredGenerator:
    random = np.random.default_rng(scale)
    layers: tuple[Layer, ...] = (
        conv(random, 3, 8, 3),
        Relu(),
        conv(random, 8, 8, 3),
        Relu(),
        conv(random, 8, 3 * scale**2, 3, 0.3),
        Shuffle(scale),
    )
    return LayeredGenerator(layers, ModelSpec(f"edge-x{scale}", "edge", scale, base=base, halo=3))  # type: ignore[arg-type]


def residual(scale: int = 4) -> LayeredGenerator:
    random = np.random.default_rng(7)
    slope = PRelu(random.uniform(0, 0.4, 8).astype(np.float32))
    block = Residual((conv(random, 8, 8, 3), slope, conv(random, 8, 8, 3)))
    layers: tuple[Layer, ...] = (
        conv(random, 3, 8, 5),
        slope,
        block,
        conv(random, 8, 32, 3),
        Shuffle(2),
        slope,
        conv(random, 8, 32, 3),
        Shuffle(2),
        slope,
        conv(random, 8, 3, 9, 0.5),
    )
    return LayeredGenerator(
        layers, ModelSpec("residual-x4", "srresnet", scale, halo=8, face_size=32)
    )


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    sources = {
        "edge-x2": (edge(2), "subpixel"),
        "edge-x3": (edge(3, "nearest"), "subpixel"),
        "edge-x4": (edge(4), "subpixel"),
        "edge-x4-image": (edge(4), "image"),
        "edge-x8": (edge(8), "subpixel"),
        "residual-x4": (residual(), "subpixel"),
    }
    paths = {}
    for name, (source, tail) in sources.items():
        paths[name] = folder / f"{name}.onnx"
        save(build(source, tail=tail), paths[name])
    return paths
