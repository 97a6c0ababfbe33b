"""Test vectors for the kernels: shapes, strides, alignments and values drawn at random.

CPU kernels, CUDA kernels on a device, and the CUDA kernels' bodies run by the host all take the
same cases. A case's arrays are views of flat memory, so that a test can lay the same bytes, at the
same alignment, out anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from srsdk import reference

Rng = np.random.Generator
Layout = Literal["NCHW", "NHWC"]
FACTORS = [1, 2, 3, 4, 8]
WILD = np.array([np.nan, np.inf, -np.inf, 1e9, -1e9, 0, -0.0, 1e-40, 6e-8], np.float32)


@dataclass(frozen=True)
class Strided:
    """`view` into the flat uint8 memory `base`, which begins on 64 bytes."""

    base: np.ndarray
    view: np.ndarray

    @property
    def offset(self) -> int:
        """Bytes from the beginning of `base` to the first element of `view`."""
        return int(self.view.ctypes.data - self.base.ctypes.data)


@dataclass(frozen=True)
class Case:
    """A call `<name>_into(dst, *inputs, **options)`, and what `dst` must hold after it.

    `inputs` of `blend_many` is one list of (patch, top, left, weight_y, weight_x).
    """

    name: str
    dst: Strided
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    expected: np.ndarray

    def check(self, memory: np.ndarray) -> None:
        """Compare `memory`, the bytes of `dst.base` after the call; only `dst` may differ."""
        memory = memory.copy()
        shape, dtype = self.dst.view.shape, self.dst.view.dtype
        got = np.ndarray(shape, dtype, memory.data, self.dst.offset, self.dst.view.strides)
        message = f"{self}"
        np.testing.assert_array_equal(got, self.expected, err_msg=message)
        got[...] = self.dst.view
        np.testing.assert_array_equal(memory, self.dst.base, err_msg=f"surroundings: {message}")

    def __str__(self) -> str:
        arrays = [self.dst, *(i for i in self.inputs if isinstance(i, Strided))]
        if isinstance(self.options.get("lr"), Strided):
            arrays.append(self.options["lr"])
        texts = [
            f"{a.view.dtype}{a.view.shape} strides {a.view.strides} at {a.offset}" for a in arrays
        ]
        options = {k: v for k, v in self.options.items() if not isinstance(v, Strided)}
        return f"{self.name}({', '.join(texts)}, {options})"


def place(rng: Rng, shape: tuple[int, ...], dtype: Any, order: tuple[int, ...]) -> Strided:
    """Memory full of garbage with a view of that shape, axes in memory in the given order.

    Half of the time dense and aligned, else padded along every axis (but the last in memory, every
    second time) and at any element.
    """
    size = np.dtype(dtype).itemsize
    loose = rng.random() < 0.5
    pad = rng.integers(0, 4, len(shape)) * loose
    if rng.random() < 0.5:
        pad[order[-1]] = 0
    strides, step = [0] * len(shape), size
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1) + int(pad[axis])
    lead = int(rng.integers(0, 40)) * size if loose else 0
    raw = np.empty(lead + step + 64, np.uint8)
    raw = raw[-raw.ctypes.data % 64 :][: lead + step]
    raw[:] = rng.integers(0, 256, raw.size, np.uint8)
    return Strided(raw, np.ndarray(shape, dtype, raw.data, lead, tuple(strides)))


def fill(place_: Strided, values: np.ndarray) -> Strided:
    """Give the view these values."""
    place_.view[...] = values
    return place_


def flipped(rng: Rng, array: Strided, axes: tuple[int, ...]) -> Strided:
    """Sometimes count some axes from their end."""
    steps = [slice(None)] * array.view.ndim
    for axis in axes:
        if rng.random() < 0.2:
            steps[axis] = slice(None, None, -1)
    return Strided(array.base, array.view[tuple(steps)])


def floats(rng: Rng, shape: tuple[int, ...], dtype: Any, wild: bool) -> np.ndarray:
    """In and around [0, 1], and some of everything that a broken network may give."""
    x = rng.uniform(-0.3, 1.3, shape).astype(np.float32)
    if wild:
        odd = rng.random(shape) < 0.05
        x[odd] = rng.choice(WILD, int(odd.sum()))
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def extent(rng: Rng) -> tuple[int, int]:
    """Height and width; now and then wide enough for several tiles."""
    return int(rng.integers(1, 6)), int(rng.choice([*range(1, 40), 64, 100, 129, 1100]))


def float_type(rng: Rng) -> Any:
    return rng.choice([np.float32, np.float16])


def planes(rng: Rng, shape: tuple[int, ...], dtype: Any, layout: Layout) -> Strided:
    """(N, C, H, W) memory in that order, or as NHWC; now and then the other way round."""
    order = (0, 1, 2, 3)
    if layout == "NHWC":
        n, c, h, w = shape
        shape = (n, h, w, c)
    if rng.random() < 0.1:
        order = (0, 2, 3, 1) if layout == "NCHW" else (0, 3, 1, 2)
    return flipped(rng, place(rng, shape, dtype, order), (0, 1))


def in_nchw(array: np.ndarray, layout: Layout) -> np.ndarray:
    return array if layout == "NCHW" else np.moveaxis(array, -1, 1)


def unpack(rng: Rng) -> Case:
    h, w = extent(rng)
    n, dtype, layout = int(rng.integers(1, 3)), float_type(rng), rng.choice(["NCHW", "NHWC"])
    order = (0, 1, 2, 3) if rng.random() < 0.7 else (0, 3, 1, 2)
    frame = flipped(rng, place(rng, (n, h, w, 3), np.uint8, order), (0, 1, 2, 3))
    dst = planes(rng, (n, 3, h, w), dtype, layout)
    options: dict[str, Any] = {"layout": str(layout), "swap_rb": bool(rng.random() < 0.5)}
    scale = np.float32(1 / 255)
    if rng.random() < 0.3:
        options["scale"] = float(scale := np.float32(rng.choice([1.0, 1 / 127.5, 0.017])))
    pixels = frame.view[..., ::-1] if options["swap_rb"] else frame.view
    expected = (pixels.astype(np.float32) * scale).astype(dtype)
    if layout == "NCHW":
        expected = np.moveaxis(expected, -1, 1)
    if "scale" not in options:
        as_specified = reference.unpack(frame.view, swap_rb=options["swap_rb"], dtype=dtype)
        np.testing.assert_array_equal(in_nchw(expected, layout), as_specified)
    return Case("unpack", dst, (frame,), options, expected)


def pixel_shuffle(rng: Rng) -> Case:
    h, w = extent(rng)
    n, c, r = int(rng.integers(1, 3)), int(rng.integers(1, 6)), int(rng.choice(FACTORS))
    if rng.random() < 0.3:
        c = int(rng.choice([8, 16]))
        w = min(w, 129)
    if r == 8:
        w = min(w, 140)
    dtype, layout = float_type(rng), rng.choice(["NCHW", "NHWC"])
    x = planes(rng, (n, c * r * r, h, w), dtype, layout)
    fill(x, floats(rng, x.view.shape, dtype, wild=True))
    dst = planes(rng, (n, c, h * r, w * r), dtype, layout)
    expected = reference.pixel_shuffle(in_nchw(x.view, layout), r)
    if layout == "NHWC":
        expected = np.moveaxis(expected, 1, -1)
    return Case("pixel_shuffle", dst, (x, r), {"layout": str(layout)}, expected)


def pixel_shuffle_prelu(rng: Rng) -> Case:
    plain = pixel_shuffle(rng)
    x, r = plain.inputs
    layout = plain.options["layout"]
    channels = in_nchw(x.view, layout).shape[1]
    bias: Strided | None = None
    if rng.random() < 0.8:
        bias = place(rng, (channels,), np.float32, (0,))
        fill(bias, rng.uniform(-0.5, 0.5, channels))
    outputs = 1 if rng.random() < 0.3 else channels // (r * r)
    slope = fill(place(rng, (outputs,), np.float32, (0,)), rng.uniform(-0.1, 0.5, outputs))
    expected = reference.pixel_shuffle_prelu(
        in_nchw(x.view, layout), r, None if bias is None else bias.view, slope.view
    )
    if layout == "NHWC":
        expected = np.moveaxis(expected, 1, -1)
    inputs = (x, r, bias, slope)
    return Case("pixel_shuffle_prelu", plain.dst, inputs, plain.options, expected)


def pack(rng: Rng) -> Case:
    r, k, n = int(rng.choice(FACTORS)), int(rng.integers(1, 4)), int(rng.integers(1, 3))
    scale, dtype = r * k, float_type(rng)
    base = str(rng.choice(["none", "nearest", "bilinear"]))
    h, w = extent(rng)
    if r == 8:
        w = min(w, 140)
    height, width = -(-h // k) + int(rng.integers(0, 3)), -(-w // k) + int(rng.integers(0, 9))
    top = int(rng.integers(0, height * scale - h * r + 1))
    left = int(rng.integers(0, width * scale - w * r + 1))
    x = planes(rng, (n, 3 * r * r, h, w), dtype, "NCHW")
    fill(x, floats(rng, x.view.shape, dtype, wild=True))
    dst = flipped(rng, place(rng, (n, h * r, w * r, 3), np.uint8, (0, 1, 2, 3)), (0, 1))
    if dst.view.strides[2] != 3:  # pixels of a frame that is written are contiguous
        dst = place(rng, (n, h * r, w * r * 3), np.uint8, (0, 1, 2))
        dst = Strided(dst.base, dst.view.reshape(n, h * r, w * r, 3))
        assert np.may_share_memory(dst.base, dst.view)
    options: dict[str, Any] = {"swap_rb": bool(rng.random() < 0.5)}
    if base == "none":
        expected = reference.pack(x.view, r, **options)
    else:
        order = (0, 1, 2, 3) if rng.random() < 0.7 else (0, 3, 1, 2)
        lr = flipped(rng, place(rng, (n, height, width, 3), np.uint8, order), (0, 1, 2, 3))
        options |= {"base": base, "scale": scale, "origin": (top, left)}
        expected = reference.pack(x.view, r, lr=lr.view, **options)
        options["lr"] = lr
    return Case("pack", dst, (x, r), options, expected)


def blend_many(rng: Rng) -> Case:
    height, width = int(rng.integers(1, 50)), int(rng.integers(1, 90))
    dst = place(rng, (height, width, 3), np.uint8, (0, 1, 2))
    if dst.view.strides[1] != 3:
        dst = fill(Strided((flat := place(rng, (height * width * 3,), np.uint8, (0,))).base,
                           flat.view.reshape(height, width, 3)), dst.view)  # fmt: skip
    expected = np.ascontiguousarray(dst.view)
    faces = []
    for _ in range(int(rng.choice([1, 2, 3, 7, 40]))):
        h, w = int(rng.integers(0, 30)), int(rng.integers(0, 60))
        order = (0, 1, 2) if rng.random() < 0.7 else (2, 0, 1)
        patch = flipped(rng, place(rng, (h, w, 3), np.uint8, order), (0, 1, 2))
        top, left = int(rng.integers(-h - 2, height + 3)), int(rng.integers(-w - 2, width + 3))
        weights = [place(rng, (size,), np.uint16, (0,)) for size in (h, w)]
        for weight in weights:
            fill(weight, rng.integers(0, 257, weight.view.shape))
        expected = reference.blend(expected, patch.view, top, left, *(x.view for x in weights))
        faces.append((patch, top, left, *weights))
    return Case("blend_many", dst, (faces,), {}, expected)


MAKERS: dict[str, Callable[[Rng], Case]] = {
    "unpack": unpack,
    "pixel_shuffle": pixel_shuffle,
    "pixel_shuffle_prelu": pixel_shuffle_prelu,
    "pack": pack,
    "blend_many": blend_many,
}
