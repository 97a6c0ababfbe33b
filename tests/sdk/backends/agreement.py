"""Compares backends with ONNX Runtime, and with themselves on unusual memory layouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from srsdk.backends import open_backend
from srsdk.errors import ModelFormatError
from srsdk.types import Backend, Color, Pixels


def noise(*shape: int, seed: int = 0) -> Pixels:
    """Noise of `shape` and three channels."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def beside_onnxruntime(
    name: str, path: Path, images: Pixels, color: Color = "bgr"
) -> tuple[Pixels, Pixels]:
    """What a backend makes of images, and what ONNX Runtime does."""
    results = []
    for one in (name, "onnxruntime"):
        backend = open_backend(one, path, color=color, precision="fp32")
        results.append(backend.run(images))
        backend.close()
    return results[0], results[1]


def assert_close(ours: Pixels, theirs: Pixels) -> None:
    """At most one grey level apart, and that only where rounding is a close call."""
    assert ours.shape == theirs.shape
    error = np.abs(ours.astype(int) - theirs.astype(int))
    assert error.max(initial=0) <= 1
    assert np.count_nonzero(error) <= max(2, error.size // 1000)


def assert_same_from_threads(
    run: Callable[[Pixels], Pixels], images: Sequence[Pixels], *, threads: int, calls: int
) -> None:
    """An image's result does not depend on other threads."""
    expected = [run(image) for image in images]

    def work(first: int) -> None:
        for n in range(calls):
            which = (first + n) % len(images)
            np.testing.assert_array_equal(run(images[which]), expected[which])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def assert_any_layout(backend: Backend, wide: Pixels) -> None:
    """Strided, reversed and read-only input, a region as output: nothing else is touched.

    Args:
        backend: A generator x4.
        wide: `(N, H, W, 3)` from 40x33 on.
    """
    before = wide.copy()
    wide.flags.writeable = False
    for view in (
        wide[:, ::2],
        wide[:, :, ::3],
        wide[:, ::-1],
        wide[:, ::-1, ::-1],
        wide[::2],
        wide[..., ::-1],
        wide[:, 3:40, 5:33],
    ):
        expected = backend.run(np.ascontiguousarray(view))
        count, height, width, _ = view.shape
        canvas = np.full((count, 4 * height + 9, 4 * width + 5, 3), 77, np.uint8)
        region = canvas[:, 7 : 7 + 4 * height, 2 : 2 + 4 * width]
        assert backend.run(view, region) is region
        np.testing.assert_array_equal(region, expected)
        region[:] = 77
        assert (canvas == 77).all()
    np.testing.assert_array_equal(wide, before)


def other_operator(model: onnx.ModelProto) -> None:
    """A change for `refuses_change`: what no backend of ours knows stands where a ReLU was."""
    model.graph.node[1].op_type = "Sigmoid"


def half_weights(model: onnx.ModelProto) -> None:
    """A change for `refuses_change`: the first weights in float16."""
    values = numpy_helper.to_array(model.graph.initializer[0]).astype(np.float16)
    name = model.graph.initializer[0].name
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, name))


def refuses_change(
    backend: str, model: Path, folder: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    """What a backend cannot run is an error of one line that names the file and what can run it."""
    changed = onnx.load(model)
    change(changed)
    path = folder / "changed.onnx"
    path.write_bytes(changed.SerializeToString())
    with pytest.raises(ModelFormatError, match=r'changed\.onnx.*backend="onnxruntime"') as caught:
        open_backend(backend, path)
    assert "\n" not in str(caught.value)


def refuses_damage(backend: str, model: Path, folder: Path, *, changes: int) -> None:
    """A truncated file is an error that names it; a randomly changed one is too, or it runs."""
    data, path = model.read_bytes(), folder / "damaged.onnx"
    random = np.random.default_rng(0)
    for end in (0, 1, 7, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(ModelFormatError, match=r"damaged\.onnx"):
            open_backend(backend, path)
    for _ in range(changes):
        changed = bytearray(data)
        for at in random.integers(0, len(data), 3):
            changed[at] = random.integers(256)
        path.write_bytes(changed)
        try:
            opened = open_backend(backend, path)
        except ModelFormatError:
            continue
        with np.errstate(all="ignore"):
            opened.run(noise(1, 5, 6))
