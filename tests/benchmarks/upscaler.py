"""What a call of `Upscaler` costs beside its graph alone and beside the obvious way.

    python tests/benchmarks/upscaler.py [--json FILE]

Rows, all on the same frame and the same weights, in turn within one run:

graph    ONNX Runtime on bound buffers, nothing around it.
call     `Upscaler.up` with backend="onnxruntime": u8 frame in, u8 frame out.
native   the same with backend="native".
obvious  pixel shuffle and base image inside the graph (DepthToSpace, Resize, Add), NumPy before and
         after it, as one writes it first.

Needs the extra `export`, for writing the obvious graph.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from srsdk import Upscaler, zoo
from srsdk.backends import Pixels


def obvious_graph(path: Path) -> onnx.ModelProto:
    """The bundled graph with its shuffle and base image appended, as a plain export has them."""
    with Upscaler(path) as upscaler:
        spec = upscaler.info.frames.spec
    model = onnx.load(path)
    graph = model.graph
    source, result = graph.input[0].name, graph.output[0].name
    last = "shuffled" if spec.base != "none" else "image"
    graph.node.append(
        helper.make_node("DepthToSpace", [result], [last], blocksize=spec.shuffle, mode="CRD")
    )
    if spec.base != "none":
        scales = np.array([1, 1, spec.scale, spec.scale], np.float32)
        graph.initializer.append(numpy_helper.from_array(scales, "scales"))
        mode = "linear" if spec.base == "bilinear" else "nearest"
        graph.node.append(helper.make_node("Resize", [source, "", "scales"], ["base"], mode=mode))
        graph.node.append(helper.make_node("Add", ["shuffled", "base"], ["image"]))
    del graph.output[:]
    shape = ["batch", 3, "out_height", "out_width"]
    graph.output.append(helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(model, full_check=True)
    return model


def session(model: bytes, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def obvious_way(path: Path, threads: int) -> Callable[[Pixels], Pixels]:
    runner = session(obvious_graph(path).SerializeToString(), threads)
    name = runner.get_inputs()[0].name

    def up(frame: Pixels) -> Pixels:
        rgb = frame[:, :, ::-1].astype(np.float32) / 255
        sr = runner.run(None, {name: rgb.transpose(2, 0, 1)[None]})[0][0]
        sr = np.clip(sr.transpose(1, 2, 0) * 255, 0, 255).round().astype(np.uint8)
        return np.ascontiguousarray(sr[:, :, ::-1])

    return up


def graph_alone(path: Path, frame: Pixels, threads: int) -> Callable[[], None]:
    runner = session(path.read_bytes(), threads)
    lr = np.ascontiguousarray(frame[:, :, ::-1].transpose(2, 0, 1)[None], np.float32) / 255
    sr = runner.run(None, {runner.get_inputs()[0].name: lr})[0]
    binding = runner.io_binding()
    for bind, node, array in (
        (binding.bind_input, runner.get_inputs()[0], lr),
        (binding.bind_output, runner.get_outputs()[0], sr),
    ):
        bind(node.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run() -> None:
        runner.run_with_iobinding(binding)

    run.buffers = (lr, sr)  # type: ignore[attr-defined] # kept alive with the function
    return run


def interleave(
    programs: dict[str, Callable[[], object]], repetitions: int
) -> dict[str, list[float]]:
    """Seconds of each program, `repetitions` times, in a new order every round."""
    for program in programs.values():
        for _ in range(3):
            program()
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    order = list(programs)
    for _ in range(repetitions):
        random.shuffle(order)
        for name in order:
            time.sleep(0.02)  # until the other program's idle threads have stopped spinning
            programs[name]()  # the first call after another program finds cold caches
            started = time.perf_counter()
            programs[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def matrix_product() -> float:
    """GFLOP/s of a float32 product of 1536 x 1536 matrices, the best of ten."""
    a = np.random.default_rng(0).random((1536, 1536), np.float32)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return 2 * 1536**3 / best / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a call over its graph.")
    parser.add_argument("--model", default="edge-x4")
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--repetitions", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    path = Path(zoo.find(arguments.model))
    upscaler = Upscaler(path, backend="onnxruntime", threads=arguments.threads)
    native = Upscaler(path, backend="native", threads=arguments.threads)
    out = upscaler.up(frame)
    obvious = obvious_way(path, arguments.threads)
    for other in (obvious(frame), native.up(frame)):
        difference = np.abs(other.astype(int) - out.astype(int)).max()
        assert difference <= 1, f"two ways differ by {difference} grey levels"

    seconds = interleave(
        {
            "graph": graph_alone(path, frame, arguments.threads),
            "call": lambda: upscaler.up(frame, out=out),
            "native": lambda: native.up(frame, out=out),
            "obvious": lambda: obvious(frame),
        },
        arguments.repetitions,
    )
    rows = {
        name: {
            "min_ms": min(values) * 1e3,
            **{f"p{q}_ms": float(np.percentile(values, q)) * 1e3 for q in (50, 95, 99)},
        }
        for name, values in seconds.items()
    }
    ratios = {
        f"{a}/{b}": {q: rows[a][q] / rows[b][q] for q in ("min_ms", "p50_ms")}
        for a, b in (
            ("call", "graph"),
            ("call", "obvious"),
            ("native", "call"),
            ("native", "obvious"),
        )
    }
    record = {
        "model": arguments.model,
        "size": arguments.size,
        "threads": arguments.threads,
        "machine": f"{platform.machine()}, {platform.system()}",
        "onnxruntime": ort.__version__,
        "matrix_product_gflops": matrix_product(),
        "rows": rows,
        "ratios": ratios,
    }
    print(f"{arguments.model}, {arguments.size}, {arguments.threads} threads, ", end="")
    print(f"matrix product {record['matrix_product_gflops']:.0f} GFLOP/s")
    for name, row in rows.items():
        print(f"{name:8}" + "".join(f"  {key[:-3]} {value:7.2f} ms" for key, value in row.items()))
    for name, pair in ratios.items():
        print(f"{name:14} min {pair['min_ms']:.2f}  p50 {pair['p50_ms']:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
