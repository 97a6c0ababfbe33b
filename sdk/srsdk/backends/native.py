"""srsdk's own convolutions on the CPU, from u8 frame to u8 frame without a graph runtime.

Runs what `srsdk-export` writes: chains of Conv with Relu, PRelu, DepthToSpace and Add. In float32,
3x3 and 5x5 convolutions take Winograd's algorithm; see kernels/cpu/conv.h. In int8, which needs the
steps that `srsdk-export quantize` writes into a model, they are plain sums of byte products; see
kernels/cpu/int8.h. Large frames go through all layers a band of rows at a time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from srsdk import __version__, _kernels
from srsdk.backends.convchain import Chain, UnsupportedGraphError, read_chain
from srsdk.cpu import usable_cores
from srsdk.errors import ClosedError, ModelFormatError
from srsdk.int8 import Int8Record, read_int8
from srsdk.onnxfile import read
from srsdk.spec import ModelSpec
from srsdk.tensorrt.plugin import plugin_refusal
from srsdk.types import BackendInfo, ComputePrecision, Pixels, ProfiledBackend

_TILE = 2048
"""Largest side of a frame that is computed at once: a few rows of each layer are kept, not whole
images, and this bounds their width."""

_MOST_BYTES = 64_000_000
"""What activations of such a frame may take; where they take more, tiles are smaller."""


_Network = _kernels.Network | _kernels.Int8Network


class NativeBackend(ProfiledBackend):
    """Runs an ONNX model that `srsdk-export` wrote."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 0,
        color: str = "bgr",
        precision: ComputePrecision = "auto",
    ) -> None:
        file = read(path)
        spec = ModelSpec.from_metadata(file.metadata, source=str(path))
        if spec.plugin:
            raise plugin_refusal(path)
        int8 = read_int8(file.metadata, source=str(path))
        if precision == "int8" and int8 is None:
            raise ModelFormatError(
                f"{path} has no int8 steps; add them with `srsdk-export quantize`, "
                'or take precision="fp32"'
            )
        if precision == "fp32" or not (precision == "int8" or _prefers(int8)):
            int8 = None
        try:
            chain = read_chain(file, spec)
            self._network: _Network | None = _network(
                chain, spec, int8, swap_rb=color != spec.channel_order
            )
        except UnsupportedGraphError as error:
            raise UnsupportedGraphError(f"{path}: {error}") from None
        except ValueError as error:
            raise ModelFormatError(f"{path}: {error}; export it again") from error
        self._layers = len(chain.layers)
        self._threads = threads or usable_cores()
        version = f"{__version__} {_kernels.isa()}"
        info = BackendInfo("native", "cpu", version, self._threads, spec)
        if int8 is not None:
            info = replace(info, precision="int8")
        if self._network.workspace_bytes((1, _TILE, _TILE), threads=1) <= _MOST_BYTES:
            info = replace(info, tile=_TILE)
        self._info = info

    @property
    def info(self) -> BackendInfo:
        return self._info

    def run(self, batch: Pixels, out: Pixels | None = None) -> Pixels:
        network = self._open_network()
        if out is None:
            out = self._empty(batch)
        network.run_into(out, batch, threads=self._threads)
        return out

    def profile(self, batch: Pixels, out: Pixels | None = None) -> dict[str, float]:
        """The seconds of the parts, by name.

        Returns:
            "unpack", "first layer", "hidden layers", "last layer" and "pack", or at the end
            "last layer + pack" where the one hands its rows to the other; of a network with fewer
            layers, those that it has. In int8 the "last layer" adds the base image and rounds too,
            and "pack" is what is left of it: the base image's rows, and the order of bytes.
        """
        network = self._open_network()
        out = self._empty(batch) if out is None else out
        unpack, *layers = network.profile_into(out, batch, threads=self._threads)
        parts = {"unpack": unpack}
        ends = ["last layer + pack"] if len(layers) == self._layers else ["last layer", "pack"]
        first = len(layers) - len(ends)
        if first:
            parts["first layer"] = layers[0]
        if first > 1:
            parts["hidden layers"] = sum(layers[1:first])
        return parts | dict(zip(ends, layers[first:], strict=True))

    def _open_network(self) -> _Network:
        if self._network is None:
            raise ClosedError
        return self._network

    def _empty(self, batch: Pixels) -> Pixels:
        (count, height, width, _), scale = batch.shape, self._info.spec.scale
        return np.empty((count, height * scale, width * scale, 3), np.uint8)

    def close(self) -> None:
        self._network = None


def open(  # noqa: A001
    model: Path | str, *, threads: int, color: str, precision: ComputePrecision = "auto"
) -> NativeBackend:
    """Open the backend; called by `open_backend`."""
    return NativeBackend(Path(model), threads=threads, color=color, precision=precision)


def can_run(path: Path) -> bool:
    """Whether all operators of a model are among this backend's; not whether it is sound."""
    try:
        file = read(path)
        read_chain(file, ModelSpec.from_metadata(file.metadata, source=str(path)))
    except UnsupportedGraphError:
        return False
    return True


def _prefers(int8: Int8Record | None) -> bool:
    """Whether int8 is proven for the model, and faster than float32 on this CPU."""
    return int8 is not None and int8.certificate.passed and _kernels.fast_int8()


def _network(chain: Chain, spec: ModelSpec, int8: Int8Record | None, *, swap_rb: bool) -> _Network:
    if int8 is None:
        layers = [layer.kernel() for layer in chain.layers]
        return _kernels.Network(
            layers, scale=spec.scale, shuffle=chain.shuffle, base=spec.base, swap_rb=swap_rb
        )
    if len(int8.layers) != len(chain.layers):
        raise ModelFormatError(
            f"int8 steps of {len(int8.layers)} convolutions, but the graph has {len(chain.layers)}"
        )
    layers = [layer.kernel(steps) for layer, steps in zip(chain.layers, int8.layers, strict=True)]
    return _kernels.Int8Network(
        layers, scale=spec.scale, shuffle=chain.shuffle, base=spec.base, swap_rb=swap_rb
    )
