"""The step `network`: srsdk's own engine on the device, its pixels and its time.

    python -m tests.benchmarks.gpu.network FILE.json

Each network at each size: pixels against float32 on the processor, and the time of a call, as a
CUDA graph of several between two events: frames and results stay on the GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srsdk import zoo
from srsdk.backends import open_backend
from srsdk.backends.cuda_native import read_chain
from srsdk.onnxfile import read
from srsdk.spec import ModelSpec
from tests.benchmarks.gpu.generators import picture, size
from tests.benchmarks.gpu.report import COULD_NOT, FAILED, PASSED, JsonObject, step

try:
    import torch

    from srsdk import _kernels_cuda as cuda
except ImportError as error:
    missing = f"{error}"
else:
    missing = "" if torch.cuda.is_available() else "torch sees no GPU"

CALLS = 10  # of one graph
GOALS = {("edge-x4", "1*1280x720"): 0.5, ("edge-x4", "1*320x180"): 0.05}  # milliseconds
MODELS = (
    ("edge-x4", ("1*1280x720", "1*320x180", "1*640x360")),
    ("edge-x2", ("1*640x360",)),
)
WIDTHS = ((24, 6, "1*320x180"), (32, 6, "1*320x180"), (48, 4, "16*64x64"))


@dataclass
class Subject:
    """A network and what it is checked against."""

    name: str
    layers: list[tuple[Any, Any]]
    scale: int
    base: str
    swap_rb: bool
    reference: Any  # pixels to pixels in float32, or None

    def products(self) -> int:
        """Multiply-adds for each pixel of the input."""
        return sum(weight.size for weight, _ in self.layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--repeats", type=int, default=30, help="graphs of each")
    options = parser.parse_args()
    rows: list[JsonObject] = []
    record = step(COULD_NOT, missing)
    options.output.write_text(json.dumps(record), "utf-8")
    if missing:
        return
    for subject, inputs in subjects():
        for text in inputs:
            try:
                rows.append(measure(subject, text, options.repeats))
            except Exception as error:  # the others go on
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                rows.append({"model": subject.name, "input": text, "error": reason})
            print(rows[-1], flush=True)
            errors = [f"{row['model']} at {row['input']}: {row['error']}"
                      for row in rows if "error" in row]  # fmt: skip
            record = step(FAILED if errors else PASSED, "; ".join(errors), rows=rows)
            options.output.write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def subjects() -> Iterator[tuple[Subject, tuple[str, ...]]]:
    """Bundled generators, then networks of other widths with random weights."""
    for name, inputs in MODELS:
        path = Path(zoo.find(name))
        file = read(path)
        spec = ModelSpec.from_metadata(file.metadata, source=name)
        layers, scale = read_chain(path, file, spec)
        exact = open_backend("native", path, color="bgr", precision="fp32")
        swap_rb = spec.channel_order != "bgr"
        yield Subject(name, layers, scale, spec.base, swap_rb, exact.run), inputs
    rng = np.random.default_rng(0)
    for channels, hidden, text in WIDTHS:
        shapes = [(channels, 3, 3, 3), *[(channels, channels, 3, 3)] * hidden, (48, channels, 3, 3)]
        layers = [
            (
                (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32),
                np.zeros(shape[0], np.float32),
            )
            for shape in shapes
        ]
        name = f"{channels} channels, {hidden} hidden layers"
        yield Subject(name, layers, 4, "bilinear", True, None), (text,)


def measure(subject: Subject, text: str, repeats: int) -> JsonObject:
    """Pixels and time of one network at one size."""
    count, width, height = size(text)
    network = cuda.Network(
        subject.layers, shuffle=subject.scale, base=subject.base, swap_rb=subject.swap_rb
    )
    batch = picture(count, width, height)
    frames = torch.from_numpy(batch).cuda()
    larger = (count, height * subject.scale, width * subject.scale, 3)
    out = torch.full(larger, 165, dtype=torch.uint8, device="cuda")
    room = torch.empty(
        max(network.scratch_bytes(count, height, width), 16), dtype=torch.uint8, device="cuda"
    )

    def call() -> None:
        stream = torch.cuda.current_stream()
        network.run_into(out, frames, scratch=room.data_ptr(), stream=stream)

    trials = network.tune_into(
        out, frames, scratch=room.data_ptr(), stream=torch.cuda.current_stream()
    )
    call()
    torch.cuda.synchronize()
    row: JsonObject = {
        "model": subject.name,
        "input": text,
        "launches": network.describe(count, height, width).splitlines(),
        "trials": [{"launches": what.splitlines(), "ms": time} for what, time in trials],
    }
    if subject.reference is not None:
        ours = out.cpu().numpy().astype(np.int16)
        off = np.abs(ours - subject.reference(batch).astype(np.int16))
        row |= {"largest_difference": int(off.max()), "mean_difference": float(off.mean())}
        if off.max() > 1:
            row["error"] = f"wrong pixels: {off.max()} grey levels from float32"
    seconds = timed(call, repeats)
    median = statistics.median(seconds)
    operations = 2 * subject.products() * count * width * height
    return row | {
        "p50_ms": median * 1e3,
        "min_ms": min(seconds) * 1e3,
        "tera_operations_per_second": operations / median / 1e12,
        "goal_ms": GOALS.get((subject.name, text)),
    }


def timed(call: Any, repeats: int) -> list[float]:
    """Seconds of a call, on the device."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            call()
    graph.replay()
    torch.cuda.synchronize()
    seconds = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        seconds.append(begin.elapsed_time(end) / 1000 / CALLS)
    return seconds


if __name__ == "__main__":
    main()
