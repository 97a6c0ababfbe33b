"""Int8Network against integers in NumPy, bit for bit, on every instruction set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from srsdk import _kernels, reference

Pixels = NDArray[np.uint8]
UNIT = np.float32(1 / 255)


@pytest.fixture(params=_kernels.available_isas())
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _kernels.isa()
    _kernels.set_isa(request.param)
    yield request.param
    _kernels.set_isa(before)


@dataclass
class Layer:
    """One convolution, and the steps of what it reads."""

    source: int
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    slope: NDArray[np.float32] | None
    add: int
    input_step: NDArray[np.float32]
    input_zero: Pixels
    weight_step: NDArray[np.float32]
    fine: bool = False
    shuffle: int = 1

    def kernel(self) -> _kernels.Convolution:
        int8 = _kernels.Quantization(
            input_step=self.input_step,
            input_zero=self.input_zero,
            weight_step=self.weight_step,
            fine=self.fine,
        )
        return _kernels.Convolution(
            self.weight,
            self.bias,
            source=self.source,
            slope=self.slope,
            shuffle=self.shuffle,
            add=self.add,
            int8=int8,
        )


def made(
    random: np.random.Generator,
    source: int,
    inputs: int,
    outputs: int,
    size: int,
    *,
    activation: str = "relu",
    add: int = -1,
    steps: tuple[NDArray[np.float32], Pixels] | None = None,
    fine: bool = False,
    shuffle: int = 1,
) -> Layer:
    weight = random.standard_normal((outputs, inputs, size, size)).astype(np.float32)
    weight /= np.float32((inputs * size**2) ** 0.5)
    if source == 0:
        steps = np.full(inputs, UNIT), np.zeros(inputs, np.uint8)
    assert steps is not None
    scaled = np.abs(weight * steps[0][None, :, None, None]).reshape(outputs, -1)
    slope = None
    if activation != "none":
        low = 0.0 if activation == "relu" else -0.5
        slope = random.uniform(low, 0.0 if activation == "relu" else 1.5, outputs)
        slope = slope.astype(np.float32)
    return Layer(
        source,
        weight,
        (random.standard_normal(outputs) * 0.1).astype(np.float32),
        slope,
        add,
        *steps,
        # Some weights are clipped.
        (scaled.max(axis=1) / random.uniform(100, 140, outputs)).astype(np.float32),
        fine,
        shuffle,
    )


def shuffled(values: NDArray[np.float32], r: int) -> NDArray[np.float32]:
    """`(c * r * r, h, w)` -> `(c, h * r, w * r)`."""
    c, h, w = values.shape
    return values.reshape(c // r**2, r, r, h, w).transpose(0, 3, 1, 4, 2).reshape(-1, h * r, w * r)


def diffused(exact: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rounded weights, each with what the one before it in its kernel has rounded off."""
    flat = exact.reshape(*exact.shape[:2], -1)
    levels, carry = np.zeros(flat.shape, np.int64), np.zeros(flat.shape[:2])
    for tap in range(flat.shape[2]):
        wanted = flat[:, :, tap] + carry
        levels[:, :, tap] = np.clip(np.rint(wanted), -127, 127).astype(np.int64)
        carry = wanted - levels[:, :, tap]
    return levels.reshape(exact.shape)


def convolve(x: NDArray[np.int64], weight: NDArray[np.int64]) -> NDArray[np.int64]:
    """The plain sum over `(c, h, w)` that is padded already."""
    size = weight.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weight)


def expected_values(layers: list[Layer], frame: Pixels) -> NDArray[np.float32]:
    """The last value of one `(H, W, 3)` RGB frame, as int8.h specifies it."""
    quads: dict[int, NDArray[np.int64]] = {0: frame.transpose(2, 0, 1).astype(np.int64)}
    floats: dict[int, NDArray[np.float32]] = {}
    rests: dict[int, NDArray[np.int64]] = {}
    kept = {layer.add for layer in layers}
    for number, layer in enumerate(layers, 1):
        step = layer.input_step.astype(np.float64)[None, :, None, None]
        exact = layer.weight.astype(np.float64) * step
        weight_step = layer.weight_step.astype(np.float64)
        exact /= weight_step[:, None, None, None]
        weight, sixteenth = (
            np.clip(np.rint(exact / part), -127, 127).astype(np.int64) for part in (1, 16)
        )
        if layer.source == 0:  # second bytes are sixteenths of the frame's, for the weights' rest
            if layer.fine:
                weight = diffused(exact)
                sixteenth = diffused((exact - weight) * 16)
            rests[0], middle = (quads[0] + 8) // 16, 0
        else:
            middle = 8
        bias = np.rint(layer.bias.astype(np.float64) / weight_step).astype(np.int64)
        zero = layer.input_zero.astype(np.int64)[:, None, None]
        reach = layer.weight.shape[-1] // 2
        margin = ((0, 0), (reach, reach), (reach, reach))
        total = convolve(np.pad(quads[layer.source] - zero, margin), weight)
        if layer.fine:
            total += convolve(np.pad(rests[layer.source] - middle, margin), sixteenth)
        total = (total + bias[:, None, None]).astype(np.float32)  # type: ignore[assignment]
        reader = next((one for one in layers if one.source == number), None)
        wants_floats = reader is None or layer.add >= 0 or number in kept
        scale = weight_step
        if not wants_floats:
            assert reader is not None
            scale = scale / np.repeat(reader.input_step.astype(np.float64), layer.shuffle**2)
        y = total * scale.astype(np.float32)[:, None, None]
        if layer.slope is not None:
            y = np.where(y > 0, y, y * layer.slope[:, None, None])
        y = shuffled(y, layer.shuffle)
        if wants_floats:
            if layer.add >= 0:
                y = y + floats[layer.add]
            floats[number] = y
            if reader is not None:
                y = y * (1 / reader.input_step.astype(np.float64)).astype(np.float32)[:, None, None]
        if reader is not None:
            y = np.minimum(y + reader.input_zero.astype(np.float32)[:, None, None], 65536)
            quads[number] = np.clip(np.rint(y), 0, 255).astype(np.int64)
            rest = (np.maximum(y, 0) - quads[number].astype(np.float32)) * 16 + 8
            rests[number] = np.clip(np.rint(rest), 0, 255).astype(np.int64)
    return floats[len(layers)]


def expected_pixels(
    layers: list[Layer], frames: Pixels, shuffle: int, base: str, swap_rb: bool
) -> Pixels:
    ordered = frames[..., ::-1] if swap_rb else frames
    values = np.stack([expected_values(layers, frame) for frame in ordered])
    lr = None if base == "none" else frames
    scale = shuffle * int(np.prod([layer.shuffle for layer in layers]))
    return reference.pack(values, shuffle, lr=lr, base=base, scale=scale, swap_rb=swap_rb)


def chain(random: np.random.Generator, data: st.DataObject) -> tuple[list[Layer], int]:
    counts = data.draw(st.lists(st.sampled_from([1, 3, 8, 12, 20, 33]), min_size=0, max_size=4))
    shuffle = data.draw(st.sampled_from([1, 2, 3, 4, 8]))
    drawn: list[int] = []  # inner shuffles
    layers: list[Layer] = []
    before, source, steps, fine = 3, 0, None, data.draw(st.booleans())
    for count in [*counts, 3 * shuffle**2]:
        activation = data.draw(st.sampled_from(["none", "relu", "prelu"]))
        size = data.draw(st.sampled_from([1, 3, 5]))
        is_last = len(drawn) == len(counts)
        drawn.append(1 if is_last or 2 in drawn else data.draw(st.sampled_from([1, 2])))
        inner_shuffle = drawn[-1]
        layers.append(
            made(random, source, before, count * inner_shuffle**2, size, activation=activation,
                 steps=steps, fine=fine, shuffle=inner_shuffle)
        )  # fmt: skip
        source, fine = len(layers), data.draw(st.booleans())
        if inner_shuffle == 1 and data.draw(st.booleans()):
            inner = random.uniform(0.005, 0.03, count).astype(np.float32)
            zero = random.integers(0, 200, count, dtype=np.uint8)
            layers.append(
                made(random, source, count, count, 3, activation="none", add=source,
                     steps=(inner, zero))
            )  # fmt: skip
            source, fine = len(layers), False  # floats are kept of what is added
        steps = (
            random.uniform(0.003, 0.03, count).astype(np.float32),
            random.integers(0, 200, count, dtype=np.uint8) * np.uint8(data.draw(st.booleans())),
        )
        before = count
    return layers, shuffle


@pytest.mark.usefixtures("each_isa")
@settings(max_examples=15)
@given(data=st.data())
def test_random_chains_have_the_bits_of_the_specification(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 10000)))
    layers, shuffle = chain(random, data)
    inner = int(np.prod([layer.shuffle for layer in layers]))
    base = data.draw(st.sampled_from(["none", *(["bilinear", "nearest"] if inner == 1 else [])]))
    swap_rb = data.draw(st.booleans())
    most = 70 // inner
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, most)))
    frames = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    network = _kernels.Int8Network(
        [layer.kernel() for layer in layers],
        scale=shuffle * inner,
        shuffle=shuffle,
        base=base,
        swap_rb=swap_rb,
    )
    expected = expected_pixels(layers, frames, shuffle, base, swap_rb)
    out = np.zeros(expected.shape, np.uint8)
    network.run_into(out, frames, threads=data.draw(st.integers(1, 3)))
    np.testing.assert_array_equal(out, expected)


def edge(random: np.random.Generator, width: int = 16) -> list[_kernels.Convolution]:
    steps = np.full(width, np.float32(0.01)), np.zeros(width, np.uint8)
    layers = [made(random, 0, 3, width, 3)]
    layers += [made(random, n, width, width, 3, steps=steps) for n in range(1, 4)]
    layers.append(made(random, 4, width, 48, 1, activation="none", steps=steps))
    return [layer.kernel() for layer in layers]


def test_threads_sizes_and_strides_do_not_change_the_bits(rng: np.random.Generator) -> None:
    network = _kernels.Int8Network(edge(rng), scale=4, shuffle=4, base="bilinear")
    frames = rng.integers(0, 256, (3, 120, 200, 3), dtype=np.uint8)
    expected = np.empty((3, 480, 800, 3), np.uint8)
    network.run_into(expected, frames, threads=1)
    for threads in (2, 3, 7):
        out = np.zeros(expected.shape, np.uint8)
        network.run_into(out, frames, threads=threads)
        np.testing.assert_array_equal(out, expected)
    alone = np.empty((480, 800, 3), np.uint8)
    network.run_into(alone, frames[1], threads=4)
    np.testing.assert_array_equal(alone, expected[1])
    for view in (frames[:, ::2], frames[:, :, ::-3], frames[..., ::-1]):
        n, h, w, _ = view.shape
        plain, canvas = (
            np.empty((n, 4 * h, 4 * w, 3), np.uint8),
            np.full((n, 4 * h + 3, 4 * w + 5, 3), 77, np.uint8),
        )
        network.run_into(plain, np.ascontiguousarray(view))
        region = canvas[:, 1 : 1 + 4 * h, 2 : 2 + 4 * w]
        network.run_into(region, view)
        np.testing.assert_array_equal(region, plain)
        region[...] = 77
        assert (canvas == 77).all()


def test_a_tile_with_its_margin_has_the_bits_of_the_whole_image(rng: np.random.Generator) -> None:
    network = _kernels.Int8Network(edge(rng), scale=4, shuffle=4)
    frame = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    whole, part = np.empty((200, 280, 3), np.uint8), np.empty((30 * 4, 41 * 4, 3), np.uint8)
    network.run_into(whole, frame)
    network.run_into(part, np.ascontiguousarray(frame[10:40, 9:50]))
    margin = 4
    np.testing.assert_array_equal(
        part[4 * margin : -4 * margin, 4 * margin : -4 * margin],
        whole[4 * (10 + margin) : 4 * (40 - margin), 4 * (9 + margin) : 4 * (50 - margin)],
    )


def test_profile_has_the_same_pixels_and_adds_up(rng: np.random.Generator) -> None:
    network = _kernels.Int8Network(edge(rng), scale=4, shuffle=4, base="bilinear")
    frame = rng.integers(0, 256, (90, 160, 3), dtype=np.uint8)
    plain, profiled = (np.empty((360, 640, 3), np.uint8) for _ in range(2))
    network.run_into(plain, frame)
    seconds = network.profile_into(profiled, frame)
    np.testing.assert_array_equal(plain, profiled)
    assert len(seconds) == 7
    assert all(step > 0 for step in seconds)
    nothing = np.empty((0, 8, 8, 3), np.uint8)
    assert set(network.profile_into(np.empty((0, 32, 32, 3), np.uint8), nothing)) == {0.0}


def test_what_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    good = made(rng, 0, 3, 12, 3, activation="none")

    def refused(message: str, *layers: Layer | _kernels.Convolution, shuffle: int = 2) -> None:
        kernels = [one.kernel() if isinstance(one, Layer) else one for one in layers]
        with pytest.raises(ValueError, match=message):
            _kernels.Int8Network(kernels, scale=shuffle, shuffle=shuffle)

    def changed(**changes: object) -> Layer:
        return Layer(**{**vars(good), **changes})  # type: ignore[arg-type]

    refused("epilogue", good, shuffle=3)
    refused("epilogue")
    refused("no steps", _kernels.Convolution(good.weight, good.bias, source=0))
    refused("1 / 255", changed(input_step=np.full(3, np.float32(0.01))))
    refused("zeros 0", changed(input_zero=np.ones(3, np.uint8)))
    refused("input steps", changed(input_step=np.zeros(3, np.float32)))
    refused("weight steps", changed(weight_step=np.full(12, np.nan, np.float32)))
    refused("weight_step", changed(weight_step=np.ones(11, np.float32)))
    refused("not numbers", changed(weight=np.full_like(good.weight, np.nan)))
    refused("32 bits", changed(bias=np.full(12, 1e30, np.float32)))
    refused("not there", changed(source=1))
    for last in ({"shuffle": 2}, {"shuffle": 5}):
        inner = _kernels.Convolution(
            good.weight, good.bias, source=0, int8=good.kernel().int8, **last
        )
        refused("shuffled by" if last["shuffle"] == 5 else "epilogue", inner, shuffle=1)
    far = np.full(12, np.float32(1e-30)), np.zeros(12, np.uint8)
    refused("too far apart", good, made(rng, 1, 12, 12, 1, activation="none", steps=far))
    refused("too far apart", changed(slope=np.full(12, np.inf, np.float32)))
    coarse = np.full(12, np.float32(0.01)), np.zeros(12, np.uint8)
    refused(
        "two bytes",
        good,
        made(rng, 1, 12, 12, 1, activation="none", steps=coarse, fine=True),
        made(rng, 2, 12, 12, 1, activation="none", steps=coarse, add=1),
    )
    few = coarse[0][:3], coarse[1][:3]
    refused(
        "shuffled values",
        made(rng, 0, 3, 12, 3, activation="none", shuffle=2),
        made(rng, 1, 3, 3, 1, activation="none", steps=few),
        made(rng, 2, 3, 3, 1, activation="none", steps=few, add=1),
    )
    one, other = (np.full(12, np.float32(step)) for step in (0.01, 0.02))
    zeros = np.zeros(12, np.uint8)
    refused(
        "other steps",
        good,
        made(rng, 1, 12, 12, 1, steps=(one, zeros)),
        made(rng, 1, 12, 12, 1, steps=(other, zeros), add=2),
    )


def test_a_second_byte_makes_steps_finer(rng: np.random.Generator) -> None:
    steps = np.full(8, np.float32(0.02)), np.zeros(8, np.uint8)
    first = made(rng, 0, 3, 8, 3)
    first.bias += np.float32(0.5)
    frame = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    error = []
    for fine in (False, True):
        last = made(
            np.random.default_rng(1), 1, 8, 12, 1, activation="none", steps=steps, fine=fine
        )
        for one in (first, last):  # no weight is clipped, and none rounded much
            one.weight = np.rint(one.weight * 60) / np.float32(60)
            one.weight_step = np.full(len(one.weight), one.input_step[0] / np.float32(60))
        layers = [first.kernel(), last.kernel()]
        exact, integer = (np.empty((80, 100, 3), np.uint8) for _ in range(2))
        _kernels.Network(layers, scale=2, shuffle=2, base="bilinear").run_into(exact, frame)
        _kernels.Int8Network(layers, scale=2, shuffle=2, base="bilinear").run_into(integer, frame)
        error.append(np.square(exact.astype(float) - integer).mean())
    assert error[1] < error[0] / 2


def test_the_environment_chooses_the_instruction_set() -> None:
    command = [sys.executable, "-c", "from srsdk import _kernels; print(_kernels.isa())"]
    for name in _kernels.available_isas():
        run = subprocess.run(
            command,
            env={**os.environ, "SRSDK_ISA": name},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == name
