"""Network and Int8Network in bands of rows: the memory that they take, and the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from srsdk import _kernels, zoo
from srsdk.backends.convchain import read_chain
from srsdk.int8 import read_int8
from srsdk.onnxfile import read
from srsdk.spec import ModelSpec

THIN, WHOLE = 1, 1 << 40
"""As activation_bytes: bands as thin as they are made, and whole images at once."""

HD = (1, 1080, 1920)
MOST_BYTES = 60_000_000
EDGE = ("edge-x2", "edge-x4", "edge-m-x4", "portrait-x2", "portrait-x4")


def random_layers(data: st.DataObject) -> list[_kernels.Convolution]:
    """Kernels of all sizes, a shuffle, sums with near and far values; 12 channels at the end."""
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))

    def layer(inputs: int, outputs: int, source: int, **more: int) -> _kernels.Convolution:
        size = data.draw(st.sampled_from([1, 3, 5, 9]))
        weight = random.standard_normal((outputs, inputs, size, size)) / (inputs * size**2) ** 0.5
        slope = random.uniform(0, 0.5, outputs) if data.draw(st.booleans()) else None
        return _kernels.Convolution(
            weight.astype(np.float32),
            random.standard_normal(outputs).astype(np.float32) * 0.1,
            source=source,
            slope=None if slope is None else slope.astype(np.float32),
            **more,
        )

    count = data.draw(st.sampled_from([8, 20]))
    layers = [layer(3, count, 0)]
    for number in range(1, data.draw(st.integers(2, 5))):
        add = data.draw(st.integers(0, number))
        layers.append(layer(count, count, number, add=add or -1))
    shuffle = data.draw(st.sampled_from([1, 2]))
    layers.append(layer(count, 8 * shuffle**2, len(layers), shuffle=shuffle))
    layers.append(layer(8, 12, len(layers)))
    return layers


def upscaled(
    layers: list[_kernels.Convolution], frames: NDArray[np.uint8], bytes_: int, threads: int
) -> NDArray[np.uint8]:
    scale = 4 if len(layers[-2].bias) == 32 else 2
    network = _kernels.Network(
        layers, scale=scale, shuffle=2, base="bilinear", activation_bytes=bytes_
    )
    count, height, width, _ = frames.shape
    out = np.empty((count, height * scale, width * scale, 3), np.uint8)
    for _ in range(2):  # the second time with what the first one left in memory
        network.run_into(out, frames, threads=threads)
    return out


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_bands_and_threads_change_no_bit(data: st.DataObject) -> None:
    layers = random_layers(data)
    width = data.draw(st.integers(250, 280))
    shape = (data.draw(st.integers(1, 2)), data.draw(st.integers(100, 230)), width, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    whole = upscaled(layers, frames, WHOLE, 1)
    for bytes_ in (THIN, 2_000_000):
        threads = data.draw(st.integers(1, 3))
        np.testing.assert_array_equal(upscaled(layers, frames, bytes_, threads), whole)


@pytest.mark.parametrize(("name", "width"), [("edge-x4", 400), ("srresnet-x4", 50)])
def test_bands_of_bundled_models(isa: str, name: str, width: int) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (1, 190, width, 3), dtype=np.uint8)
    thin, whole = network(name, activation_bytes=THIN), network(name, activation_bytes=WHOLE)
    shape = frames.shape[:3]
    assert thin.workspace_bytes(shape) < whole.workspace_bytes(shape)
    results = []
    for one in (thin, whole):
        out = np.empty((1, 760, 4 * width, 3), np.uint8)
        one.run_into(out, frames)
        results.append(out)
    np.testing.assert_array_equal(*results)


def network(
    name: str, *, int8: bool = False, activation_bytes: int = 0
) -> _kernels.Network | _kernels.Int8Network:
    path = Path(zoo.find(name))
    file = read(path)
    spec = ModelSpec.from_metadata(file.metadata, source=name)
    chain = read_chain(file, spec)
    if not int8:
        return _kernels.Network(
            [layer.kernel() for layer in chain.layers],
            scale=spec.scale,
            shuffle=chain.shuffle,
            base=spec.base,
            activation_bytes=activation_bytes,
        )
    record = read_int8(file.metadata, source=name)
    assert record is not None
    steps = zip(chain.layers, record.layers, strict=True)
    return _kernels.Int8Network(
        [layer.kernel(step) for layer, step in steps],
        scale=spec.scale,
        shuffle=chain.shuffle,
        base=spec.base,
    )


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("name", EDGE)
def test_activations_of_a_large_frame_are_bounded(name: str, int8: bool) -> None:
    assert 0 < network(name, int8=int8).workspace_bytes(HD, threads=2) < MOST_BYTES


def test_workspace_bytes_of_nothing_and_of_nonsense() -> None:
    for int8 in (False, True):
        one = network("edge-x4", int8=int8)
        assert one.workspace_bytes((0, 5, 5)) == 0
        for shape in ((5, 5), (1, -1, 5)):
            with pytest.raises(ValueError, match="shape"):
                one.workspace_bytes(shape)
        with pytest.raises(ValueError, match="threads"):
            one.workspace_bytes(HD, threads=-1)
