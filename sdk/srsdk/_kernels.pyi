"""Native kernels. `srsdk.reference` holds their specification, under the same names.

All release the GIL and may be called from several threads at once. `threads`: 0 uses all cores the
process may run on; small work stays on the calling thread whatever is asked. TypeError for what is
no NumPy array, ValueError for a wrong shape, dtype or layout, a read-only `dst`, or a `dst` that
overlaps an input.

Layouts: frames given may have any strides (negative, cropped, channel-reversed). Frames written
need contiguous pixels within a row. Float planes, read or written, need a contiguous last axis and
aligned elements; their other axes may be strided.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

_Base = Literal["none", "nearest", "bilinear"]
_Frame = NDArray[np.uint8]
_Planes = NDArray[np.floating[Any]]
_Weights = NDArray[np.uint16]
_Channels = NDArray[np.float32]
_Floats = NDArray[np.float32]

def unpack(
    frame: _Frame, *, swap_rb: bool = False, dtype: DTypeLike = ..., threads: int = 0
) -> _Planes:
    """(H, W, 3) or (N, H, W, 3) uint8 to (3, H, W) or (N, 3, H, W) float in [0, 1]."""

def unpack_into(dst: _Planes, frame: _Frame, *, swap_rb: bool = False, threads: int = 0) -> None:
    """`unpack` into the caller's float32 or float16 array."""

def pixel_shuffle(x: _Planes, r: int, *, threads: int = 0) -> _Planes:
    """(..., C*r*r, h, w) to (..., C, h*r, w*r), float32 or float16; r is 1, 2, 3, 4 or 8."""

def pixel_shuffle_into(dst: _Planes, x: _Planes, r: int, *, threads: int = 0) -> None:
    """`pixel_shuffle` into the caller's array of the same dtype."""

def pixel_shuffle_prelu(
    x: _Planes, r: int, bias: _Channels | None, slope: _Channels, *, threads: int = 0
) -> _Planes:
    """prelu(pixel_shuffle(x + bias)); bias (C*r*r,), slope (C,) or (1,), both float32.

    x is ([N,] C*r*r, h, w). Computed in float32, whatever the dtype of x.
    """

def pixel_shuffle_prelu_into(
    dst: _Planes, x: _Planes, r: int, bias: _Channels | None, slope: _Channels, *, threads: int = 0
) -> None:
    """`pixel_shuffle_prelu` into the caller's array of the same dtype."""

def pack(
    x: _Planes,
    r: int,
    *,
    lr: _Frame | None = None,
    base: _Base = "none",
    scale: int | None = None,
    swap_rb: bool = False,
    threads: int = 0,
) -> _Frame:
    """([N,] 3*r*r, h, w) float to ([N,] h*r, w*r, 3) uint8, the base image added.

    `lr` times `scale` must be the size of the output; `scale` is a multiple of r, at most 64.
    """

def pack_into(
    dst: _Frame,
    x: _Planes,
    r: int,
    *,
    lr: _Frame | None = None,
    base: _Base = "none",
    scale: int | None = None,
    origin: tuple[int, int] = (0, 0),
    swap_rb: bool = False,
    threads: int = 0,
) -> None:
    """`pack` into the caller's frame, or a region of it; nothing outside `dst` is written.

    `dst` is the part of the enlarged `lr` that begins at `origin` (row, column): a tile's base
    continues that of its neighbours.
    """

def blend(
    frame: _Frame,
    patch: _Frame,
    top: int,
    left: int,
    weight_y: _Weights,
    weight_x: _Weights,
    *,
    threads: int = 0,
) -> _Frame:
    """A copy of `frame` (H, W, 3) with `patch` (h, w, 3) laid over it; weights are in 0..256."""

def blend_into(
    dst: _Frame,
    patch: _Frame,
    top: int,
    left: int,
    weight_y: _Weights,
    weight_x: _Weights,
    *,
    threads: int = 0,
) -> None:
    """`blend` in place: only pixels of `dst` under the patch are touched."""

class Quantization:
    """How a convolution becomes integers.

    Its input is u8, `(u8 - input_zero) * input_step`; weights times input steps are s8,
    `s8 * weight_step`. input_step and input_zero (inputs,); weight_step (outputs,). fine: a second
    byte of the input holds what the first one rounds off, in steps of 1/16, with 8 as its zero; of
    the frame it is a sixteenth of the first one, multiplied by what the weights round off.
    """

    def __init__(
        self,
        *,
        input_step: _Floats,
        input_zero: NDArray[np.uint8],
        weight_step: _Floats,
        fine: bool = False,
    ) -> None: ...
    @property
    def input_step(self) -> _Floats: ...
    @property
    def input_zero(self) -> NDArray[np.uint8]: ...
    @property
    def weight_step(self) -> _Floats: ...
    @property
    def fine(self) -> bool: ...

class Convolution:
    """One layer: `activation(pixel_shuffle(convolve(value[source], weight) + bias)) + value[add]`.

    weight (outputs, inputs, k, k), k odd, zero padding of k // 2; bias (outputs,); slope (outputs,)
    where negative, 0 being a ReLU, None for no activation; shuffle 1 for none; add -1 for no sum.
    Values are numbered: 0 is the frame in [0, 1] in the model's channel order, n the result of the
    n-th layer. int8 is what Int8Network needs.
    """

    def __init__(
        self,
        weight: _Floats,
        bias: _Floats,
        *,
        source: int,
        slope: _Floats | None = None,
        shuffle: int = 1,
        add: int = -1,
        int8: Quantization | None = None,
    ) -> None: ...
    @property
    def weight(self) -> _Floats: ...
    @property
    def bias(self) -> _Floats: ...
    @property
    def source(self) -> int: ...
    @property
    def slope(self) -> _Floats | None: ...
    @property
    def shuffle(self) -> int: ...
    @property
    def add(self) -> int: ...
    @property
    def int8(self) -> Quantization | None: ...

class Network:
    """A chain of convolutions in float32, from u8 frames to u8 frames.

    The last value has 3 * shuffle**2 channels, and goes to the frame as `pack` does it; swap_rb
    says that the frame's channel order is not the model's. ValueError where layers do not fit each
    other.

    activation_bytes is the memory that activations should take, 0 what is fast. Frames for which
    it is too little go through the layers in bands of rows, each of some thousand pixels at least,
    which may take more: see workspace_bytes. The bits of the result do not depend on it, nor on
    the number of threads.
    """

    def __init__(
        self,
        layers: Sequence[Convolution],
        *,
        scale: int,
        shuffle: int,
        base: _Base = "none",
        swap_rb: bool = False,
        activation_bytes: int = 0,
    ) -> None: ...
    def run_into(self, dst: _Frame, batch: _Frame, *, threads: int = 0) -> None:
        """([N,] H, W, 3) uint8 to ([N,] scale*H, scale*W, 3) uint8 in the caller's memory."""

    def profile_into(self, dst: _Frame, batch: _Frame, *, threads: int = 0) -> list[float]:
        """`run_into`, and the seconds of its steps: reading the frame, each layer, writing it.

        The last is not there where the last layer writes the frame row by row; all are 0 for an
        empty batch.
        """

    def workspace_bytes(self, shape: Sequence[int], *, threads: int = 0) -> int:
        """Bytes that `run_into` with a batch (N, H, W) takes, beside the weights and the frames."""

class Int8Network:
    """A chain of convolutions in 8-bit integers, from u8 frames to u8 frames.

    As Network, but that shuffled values cannot be added, that a base image needs layers without a
    shuffle, and that each layer needs its Quantization, that of the frame having steps 1 / 255 and
    zeros 0. All instruction sets, thread counts and tilings give the same bits. ValueError where
    layers or steps do not fit each other.
    """

    def __init__(
        self,
        layers: Sequence[Convolution],
        *,
        scale: int,
        shuffle: int,
        base: _Base = "none",
        swap_rb: bool = False,
    ) -> None: ...
    def run_into(self, dst: _Frame, batch: _Frame, *, threads: int = 0) -> None:
        """([N,] H, W, 3) uint8 to ([N,] scale*H, scale*W, 3) uint8 in the caller's memory."""

    def profile_into(self, dst: _Frame, batch: _Frame, *, threads: int = 0) -> list[float]:
        """`run_into`, and the seconds of its steps: reading the frame, each layer, writing it.

        Of several threads the mean.
        """

    def workspace_bytes(self, shape: Sequence[int], *, threads: int = 0) -> int:
        """Bytes that `run_into` with a batch (N, H, W) takes, beside the weights and the frames."""

def isa() -> str:
    """The instruction set in use, one of `available_isas()`; SRSDK_ISA chooses another."""

def available_isas() -> list[str]:
    """Those that this CPU and this build have, the best first; the last is "portable"."""

def fast_int8() -> bool:
    """Whether the one in use multiplies bytes fast enough that int8 beats float32."""

def set_isa(name: str) -> None:
    """Use another one in all threads, for tests. ValueError where this CPU or build lacks it."""

def built_with_cuda() -> bool:
    """Whether the CUDA kernels, `srsdk._kernels_cuda`, are in this build."""
