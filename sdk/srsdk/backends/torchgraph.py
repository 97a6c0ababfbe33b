"""A graph that `srsdk-export` wrote as a torch module, from frames to frames.

It uses none of srsdk's kernels, so it can serve as a reference and as a fair baseline. Importing it
needs torch.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from srsdk.errors import ModelFormatError
from srsdk.onnxfile import Array, Node, OnnxFile, read
from srsdk.spec import ModelSpec
from srsdk.tensorrt.plugin import plugin_refusal

_ELSEWHERE = 'use backend="onnxruntime" for this model'


class TorchGraph(nn.Module):
    """A generator with the conversion from frames and back to frames.

    Args:
        path: An ONNX file in float32; `half()` or `to(torch.float16)` rounds its weights.
        color: Channel order of the frames.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFormatError: It is damaged, or has an operator that this module lacks.
    """

    def __init__(self, path: Path, *, color: str = "bgr") -> None:
        super().__init__()
        file = read(path)
        self.spec = ModelSpec.from_metadata(file.metadata, source=str(path))
        if self.spec.plugin:
            raise plugin_refusal(path)
        if self.spec.precision != "fp32":
            raise ModelFormatError(
                f"{path} is {self.spec.precision}; the torch backend takes float32 and rounds to "
                "float16 itself on a GPU: export with --precision fp32"
            )
        self._swap = color != self.spec.channel_order
        self._source, self._result = file.input, file.output
        self._steps = nn.ModuleList()
        self._wiring: list[tuple[tuple[str, ...], str]] = []
        try:
            known = {file.input}
            for node in file.nodes:
                step, inputs = _step(file, node)
                if not known.issuperset(inputs):
                    raise _unsupported(node)
                self._steps.append(step)
                self._wiring.append((inputs, node.output))
                known.add(node.output)
        except ModelFormatError as error:
            raise ModelFormatError(f"{path}: {error}") from None
        if file.output not in known:
            raise ModelFormatError(f"{path}: nothing computes {file.output}; export it again")
        self._reads = Counter(name for inputs, _ in self._wiring for name in inputs)
        self._reads[file.output] += 1
        self._try(path)

    def forward(self, frames: Tensor, out: Tensor | None = None) -> Tensor:
        """Upscale frames.

        Args:
            frames: `(N, H, W, 3)` uint8.
            out: `(N, scale*H, scale*W, 3)` uint8 to write into; None: allocated, contiguous.

        Returns:
            `out`, or the new tensor; in the channel order of `frames`.
        """
        spec, dtype = self.spec, next(self.parameters()).dtype
        if self._swap:
            frames = frames.flip(3)
        # The transposed view of a frame is channels-last memory, as are all results made from it.
        lr = frames.permute(0, 3, 1, 2).to(dtype)
        image = functional.pixel_shuffle(self._graph(lr / 255), spec.shuffle) * 255
        if spec.base != "none":
            image = image + functional.interpolate(lr, scale_factor=spec.scale, mode=spec.base)
        pixels = image.clamp_(0, 255).round_().to(torch.uint8).permute(0, 2, 3, 1)
        pixels = pixels.flip(3) if self._swap else pixels
        return pixels.contiguous() if out is None else out.copy_(pixels)

    def _graph(self, lr: Tensor) -> Tensor:
        values, reads = {self._source: lr}, self._reads.copy()
        for step, (inputs, output) in zip(self._steps, self._wiring, strict=True):
            values[output] = step(*(values[name] for name in inputs))
            for name in inputs:
                reads[name] -= 1
                if not reads[name]:
                    values.pop(name, None)  # frees results that no further layer reads
        return values[self._result]

    def _try(self, path: Path) -> None:
        """Run once on shapes alone, which finds layers that do not fit each other."""
        try:
            shadow = deepcopy(self).to("meta")
            result = shadow._graph(torch.empty((1, 3, 8, 8), device="meta"))
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ModelFormatError(f"{path}: {reason}; export it again") from error
        spec, side = self.spec, 8 * self.spec.graph_scale
        if result.shape != (1, spec.out_channels, side, side):
            raise ModelFormatError(
                f"{path}: {self._result} of an 8x8 frame is {tuple(result.shape[1:])}, but its "
                f"spec says {spec.out_channels} channels of {side}x{side}"
            )


class _Convolution(nn.Module):
    """Convolution as ONNX describes it, with the same padding on opposite sides."""

    def __init__(self, weight: Array, bias: Array | None, node: Node) -> None:
        super().__init__()
        self.weight = _parameter(weight)
        self.bias = None if bias is None else _parameter(bias)
        self._stride = _pair(node, "strides")
        self._dilation = _pair(node, "dilations")
        pads = node.attributes.get("pads", (0, 0, 0, 0))
        groups = node.attributes.get("group", 1)
        if not (
            isinstance(pads, tuple)
            and len(pads) == 4
            and pads[:2] == pads[2:]
            and isinstance(groups, int)
            and weight.ndim == 4
            and node.attributes.get("kernel_shape", weight.shape[2:]) == weight.shape[2:]
            and "auto_pad" not in node.attributes
        ):
            raise _unsupported(node)
        self._padding, self._groups = pads[:2], groups

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.weight, self.bias, self._stride, self._padding, self._dilation, self._groups
        )


class _PRelu(nn.Module):
    def __init__(self, slope: Array) -> None:
        super().__init__()
        self.slope = _parameter(slope.reshape(-1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.prelu(x, self.slope)


class _Add(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


def _step(file: OnnxFile, node: Node) -> tuple[nn.Module, tuple[str, ...]]:
    """An operator and the names of the tensors that flow into it."""
    flowing = tuple(name for name in node.inputs if name not in file.weights)
    weights = [file.weights[name] for name in node.inputs[len(flowing) :] if name in file.weights]
    step: nn.Module
    if node.kind == "Conv" and len(flowing) == 1 and weights:
        step = _Convolution(weights[0], weights[1] if len(weights) > 1 else None, node)
    elif node.kind == "Relu" and len(flowing) == 1:
        step = nn.ReLU()
    elif node.kind == "PRelu" and len(flowing) == 1 and weights:
        step = _PRelu(weights[0])
    elif node.kind == "Add" and len(flowing) == 2:
        step = _Add()
    elif node.kind == "DepthToSpace" and node.attributes.get("mode") == "CRD":
        step = nn.PixelShuffle(int(node.attributes["blocksize"]))  # type: ignore[arg-type]
    else:
        raise _unsupported(node)
    return step, flowing


def _parameter(values: Array) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(values.copy()), requires_grad=False)


def _pair(node: Node, name: str) -> tuple[int, int]:
    value = node.attributes.get(name, (1, 1))
    if not isinstance(value, tuple) or len(value) != 2 or min(value) < 1:
        raise _unsupported(node)
    return value


def _unsupported(node: Node) -> ModelFormatError:
    return ModelFormatError(
        f"the torch backend cannot run {node.kind} ({node.output}); {_ELSEWHERE}"
    )
