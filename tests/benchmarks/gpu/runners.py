"""Everything that can run a bundled generator on one batch of frames, as calls to be timed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from srsdk.backends import BACKENDS, open_backend
from srsdk.types import Backend, DeviceBackend, Future, Pixels
from tests.benchmarks.gpu.report import JsonObject

ENGINES = {"tensorrt"}  # backends that take an engine
HALVES = {"onnxruntime-cuda"}  # backends that take an ONNX file in float16
TORCH = ("torch eager", "torch eager, with transfers", "torch.compile", "torch + CUDA graph")
CPU = ("onnxruntime", "native")
STREAM = ", stream"  # the same backend, with batches in flight
IN_FLIGHT, STREAMED = 2, 8  # batches in flight, batches of a turn
NAMES = (
    *TORCH,
    *(f"srsdk {name}" for name in BACKENDS if name != "bicubic"),
    *(f"srsdk {name}{STREAM}" for name in ("cuda-native", "torch", "tensorrt")),
)


@dataclass(frozen=True)
class Runner:
    """One way to run the generator.

    Attributes:
        name: One of `NAMES`.
        clock: "device", "host" or "stream".
        turn: Runs it once; the seconds that took.
        result: The pixels of the last turn.
    """

    name: str
    clock: str
    turn: Callable[[], float]
    result: Callable[[], Pixels]


def on_host(name: str, call: Callable[[], Pixels]) -> Runner:
    """Wall clock around a call that returns when its pixels are in host memory."""
    last: list[Pixels] = []

    def turn() -> float:
        started = perf_counter()
        pixels = call()
        seconds = perf_counter() - started
        last[:] = [pixels]
        return seconds

    return Runner(name, "host", turn, lambda: last[0])


def backend(name: str, model: Path, batch: Pixels, *, stream: bool = False) -> Runner:
    """A backend of srsdk's, whatever raises what it raises."""
    # The others have one arithmetic each; compared is the same network, so not int8 here.
    opened = open_backend(
        name, model, color="rgb", precision="fp32" if name == "native" else "auto"
    )
    if stream:
        return streamed(f"srsdk {name}{STREAM}", opened, batch)
    scale = opened.info.spec.scale
    count, height, width, _ = batch.shape
    out = np.empty((count, height * scale, width * scale, 3), np.uint8)
    return on_host(f"srsdk {name}", lambda: opened.run(batch, out))


def streamed(name: str, opened: Backend, batch: Pixels) -> Runner:
    """Wall clock of a batch where the next ones are submitted before its result is waited for."""
    if not isinstance(opened, DeviceBackend):
        raise ImportError("this backend has no batches in flight on this machine")
    last: list[Pixels] = []

    def turn() -> float:
        futures: deque[Future] = deque()
        started = perf_counter()
        for _ in range(STREAMED):
            if len(futures) == IN_FLIGHT:
                last[:] = [futures.popleft().result()]
            futures.append(opened.submit(batch))
        while futures:
            last[:] = [futures.popleft().result()]
        return (perf_counter() - started) / STREAMED

    return Runner(name, "stream", turn, lambda: last[0])


class Torch:
    """The generator in torch, on the GPU in float16, else on the CPU in float32."""

    def __init__(self, model: Path, batch: Pixels) -> None:
        import torch

        from srsdk.backends.torchgraph import TorchGraph

        self.module: Any = torch
        self.gpu = torch.cuda.is_available()
        self.device = "cuda" if self.gpu else "cpu"
        generator: Any = TorchGraph(model, color="rgb").eval()
        dtype = torch.float16 if self.gpu else torch.float32
        self.generator = generator.to(self.device, dtype, memory_format=torch.channels_last)
        self.batch = batch
        self.input = torch.from_numpy(batch.copy()).to(self.device)
        torch.backends.cudnn.benchmark = True

    def runner(self, name: str) -> Runner:
        """One of `TORCH`."""
        if name == "torch eager":
            return self._timed(name, lambda: self.generator(self.input))
        if name == "torch eager, with transfers":
            return on_host(name, self._there_and_back)
        if name == "torch.compile":
            compiled = self.module.compile(self.generator, dynamic=False)
            return self._timed(name, lambda: compiled(self.input))
        if not self.gpu:
            raise ImportError("torch sees no GPU")
        return self._graph(name)

    def _there_and_back(self) -> Pixels:
        sr = self.generator(self.module.from_numpy(self.batch).to(self.device))
        pixels: Pixels = sr.cpu().numpy()
        return pixels

    def _graph(self, name: str) -> Runner:
        torch = self.module
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.generator(self.input)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self.generator(self.input)

        def replay() -> Any:
            graph.replay()
            return output

        return self._timed(name, replay)

    def _timed(self, name: str, call: Callable[[], Any]) -> Runner:
        if not self.gpu:
            return on_host(name, lambda: call().numpy())
        cuda, last = self.module.cuda, list[Any]()

        def turn() -> float:
            begin, end = (cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            last[:] = [call()]
            end.record()
            end.synchronize()
            return float(begin.elapsed_time(end)) / 1000

        return Runner(name, "device", turn, lambda: last[0].cpu().numpy())


def open_all(
    names: list[str], model: Path, files: JsonObject, batch: Pixels
) -> Iterator[tuple[str, Runner | Exception]]:
    """Each runner, or why there is none."""
    shared: list[Torch] = []
    for name in names:
        try:
            if name in TORCH:
                if not shared:
                    shared.append(Torch(model, batch))
                yield name, shared[0].runner(name)
                continue
            kind = name.removeprefix("srsdk ").removesuffix(STREAM)
            file = files.get("engine" if kind in ENGINES else "onnx" if kind in HALVES else "", "")
            if kind in ENGINES and not file:
                raise ImportError("the step engines made no engine of this model")
            path = Path(file) if file else model
            yield name, backend(kind, path, batch, stream=name.endswith(STREAM))
        except Exception as error:  # one that cannot run must not stop the others
            yield name, error
