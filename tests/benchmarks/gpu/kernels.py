"""The step `kernels`: how fast the CUDA kernels are, against a copy and against torch.

    python -m tests.benchmarks.gpu.kernels FILE.json [--repeats N]

Each figure is bytes that must be read and written, over the time of one call; the device-to-device
copy moves as many bytes in the same run (reading half of them and writing half). Candidates take
turns; a turn is a batch of calls, captured as a CUDA graph and replayed between two events: it is
the device that is measured, not Python. Buffers change from call to call, lest the caches hold
them. Median and minimum over the turns. Needs torch (for memory, graphs and events) and a GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.report import COULD_NOT, FAILED, PASSED, JsonObject, step

try:
    import torch

    from srsdk import _kernels_cuda as cuda
except ImportError as error:
    missing = f"{error}"
else:
    missing = "" if torch.cuda.is_available() else "torch sees no GPU"
    functional = torch.nn.functional

Candidate = Callable[[int], object]
COPIES = 4  # of every buffer
BATCH = 8  # calls between two events
OF_COPY = {"pack": 0.85, "unpack": 0.85, "pixel_shuffle": 0.90}
OVER_TORCH = {"pack": 2.0, "pixel_shuffle_prelu": 2.0}  # the fused forms


def main() -> None:
    """Run everything and write what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--repeats", type=int, default=30, help="turns of each candidate")
    options = parser.parse_args()
    record = step(COULD_NOT, missing) if missing else measure_all(options.repeats)
    options.output.write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def measure_all(repeats: int) -> JsonObject:
    """Every kernel, in both float types."""
    torch.manual_seed(1)
    rows: list[JsonObject] = []
    for make in (pack, unpack, pixel_shuffle, pixel_shuffle_prelu, blend):
        for dtype in (torch.float16, torch.float32) if make is not blend else (torch.uint8,):
            try:
                for case in make(dtype):
                    rows.append(measure(case, repeats))
                    print(f"{case.name}, {case.shape}", flush=True)
            except Exception as error:  # too little memory, a kernel that fails: the others go on
                text = f"{type(error).__name__}: {error}".splitlines()[0]
                rows.append({"kernel": make.__name__, "shape": str(dtype), "error": text})
            torch.cuda.empty_cache()
    result = {"machine": machine(), "repeats": repeats, "rows": rows}
    errors = [row["error"] for row in rows if "error" in row]
    return step(FAILED if errors else PASSED, "; ".join(errors), **result)


class Case:
    """One kernel on one shape: what to call, what it moves, and what torch would do."""

    def __init__(self, name: str, shape: str, moved: int, kernel: Candidate) -> None:
        self.name, self.shape, self.moved = name, shape, moved
        self.candidates: dict[str, Candidate] = {"kernel": kernel}


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Seconds of each candidate, and what follows from them."""
    half = case.moved // 2
    source = [torch.empty(half, dtype=torch.uint8, device="cuda").random_() for _ in range(COPIES)]
    target = [torch.empty_like(buffer) for buffer in source]
    candidates = {**case.candidates, "copy": lambda k: target[k].copy_(source[k])}
    graphs = {name: captured(candidate) for name, candidate in candidates.items()}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, graph in graphs.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record()
            graph.replay()
            end.record()
            end.synchronize()
            seconds[name].append(begin.elapsed_time(end) / 1000 / BATCH)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "kernel": case.name,
        "shape": case.shape,
        "bytes": case.moved,
        "seconds": {n: {"median": median[n], "min": min(v)} for n, v in seconds.items()},
        "bytes_per_second": case.moved / median["kernel"],
        "of_copy": median["copy"] / median["kernel"],
        "bar_of_copy": OF_COPY.get(case.name),
        "torch_over_kernel": median["torch"] / median["kernel"] if "torch" in median else None,
        "bar_of_torch": OVER_TORCH.get(case.name),
    }


def captured(candidate: Candidate) -> Any:
    """A batch of calls as a CUDA graph, run twice to warm up."""
    for k in range(COPIES):
        candidate(k)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in range(BATCH):
            candidate(call % COPIES)
    for _ in range(2):
        graph.replay()
    torch.cuda.synchronize()
    return graph


def many(make: Callable[[], torch.Tensor]) -> list[torch.Tensor]:
    return [make() for _ in range(COPIES)]


def stream() -> Any:
    return torch.cuda.current_stream()


def size(*tensors: torch.Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def frames(*shape: int) -> list[torch.Tensor]:
    return many(lambda: torch.randint(0, 256, shape, dtype=torch.uint8, device="cuda"))


def floats(dtype: torch.dtype, *shape: int) -> list[torch.Tensor]:
    return many(lambda: torch.rand(shape, device="cuda").mul_(0.4).sub_(0.2).to(dtype))


def pack(dtype: torch.dtype) -> list[Case]:
    """1280x720 -> 5120x2880 over a bilinear base, and without one."""
    h, w, r = 720, 1280, 4
    x, lr, out = floats(dtype, 3 * r * r, h, w), frames(h, w, 3), frames(h * r, w * r, 3)

    def plain(k: int) -> None:
        cuda.pack_into(out[k], x[k], r, stream=stream())

    def based(k: int) -> None:
        cuda.pack_into(out[k], x[k], r, lr=lr[k], base="bilinear", stream=stream())

    def by_torch(k: int) -> torch.Tensor:
        image = functional.pixel_shuffle(x[k][None], r) * 255
        return image.clamp_(0, 255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def based_by_torch(k: int) -> torch.Tensor:
        planes = lr[k].permute(2, 0, 1)[None].to(dtype)
        base = functional.interpolate(planes, scale_factor=r, mode="bilinear")
        image = functional.pixel_shuffle(x[k][None], r).mul_(255).add_(base)
        return image.clamp_(0, 255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    shape = f"{dtype} 48x720x1280 -> 2880x5120x3".removeprefix("torch.")
    cases = [
        Case("pack", f"{shape}, bilinear", size(x[0], lr[0], out[0]), based),
        Case("pack", shape, size(x[0], out[0]), plain),
    ]
    cases[0].candidates["torch"] = based_by_torch
    cases[1].candidates["torch"] = by_torch
    return cases


def unpack(dtype: torch.dtype) -> list[Case]:
    """Frames of 1280x720 and 5120x2880."""
    cases = []
    for h, w in ((720, 1280), (2880, 5120)):
        for layout in ("NCHW", "NHWC"):
            shape = (3, h, w) if layout == "NCHW" else (h, w, 3)
            frame, out = frames(h, w, 3), floats(dtype, *shape)

            def kernel(k: int, frame: Any = frame, out: Any = out, layout: Any = layout) -> None:
                cuda.unpack_into(out[k], frame[k], layout=layout, stream=stream())

            def by_torch(k: int, frame: Any = frame, layout: str = layout) -> torch.Tensor:
                pixels = frame[k].permute(2, 0, 1) if layout == "NCHW" else frame[k]
                return (pixels.to(dtype) * (1 / 255)).contiguous()

            text = f"{dtype} {h}x{w} {layout}".removeprefix("torch.")
            case = Case("unpack", text, size(frame[0], out[0]), kernel)
            case.candidates["torch"] = by_torch
            cases.append(case)
    return cases


def pixel_shuffle(dtype: torch.dtype) -> list[Case]:
    """64 channels to 1280x720 at r = 2, and 3 to 5120x2880 at r = 4; both layouts."""
    cases = []
    for c, r, h, w in ((64, 2, 360, 640), (3, 4, 720, 1280), (3, 8, 360, 640), (32, 3, 240, 426)):
        for last in (False, True):
            memory = torch.channels_last if last else torch.contiguous_format
            x = [t.contiguous(memory_format=memory) for t in floats(dtype, 1, c * r * r, h, w)]
            out = [
                t.contiguous(memory_format=memory) for t in floats(dtype, 1, c, h * r, w * r)
            ]  # fmt: skip

            def kernel(k: int, out: Any = out, x: Any = x, r: int = r) -> None:
                cuda.pixel_shuffle_into(out[k], x[k], r, stream=stream())

            def by_torch(k: int, x: Any = x, r: int = r) -> torch.Tensor:
                return functional.pixel_shuffle(x[k], r)

            layout = "NHWC" if last else "NCHW"
            text = f"{dtype} {c * r * r}x{h}x{w} r={r} {layout}".removeprefix("torch.")
            case = Case("pixel_shuffle", text, size(x[0], out[0]), kernel)
            case.candidates["torch"] = by_torch
            cases.append(case)
    return cases


def pixel_shuffle_prelu(dtype: torch.dtype) -> list[Case]:
    """The inside of a sub-pixel block: 64 channels to 1280x720."""
    c, r, h, w = 64, 2, 360, 640
    x, out = floats(dtype, 1, c * r * r, h, w), floats(dtype, 1, c, h * r, w * r)
    bias, slope = torch.rand(c * r * r, device="cuda"), torch.rand(c, device="cuda")
    typed = bias.to(dtype)[:, None, None], slope.to(dtype)

    def kernel(k: int) -> None:
        cuda.pixel_shuffle_prelu_into(out[k], x[k], r, bias, slope, stream=stream())

    def by_torch(k: int) -> torch.Tensor:
        return functional.prelu(functional.pixel_shuffle(x[k] + typed[0], r), typed[1])

    text = f"{dtype} {c * r * r}x{h}x{w} r={r} NCHW".removeprefix("torch.")
    case = Case("pixel_shuffle_prelu", text, size(x[0], out[0]), kernel)
    case.candidates["torch"] = by_torch
    return [case]


def blend(_: torch.dtype) -> list[Case]:
    """16 faces of 256x256 on a 5120x2880 frame, in one launch."""
    frame, patches = frames(2880, 5120, 3), frames(16, 256, 256, 3)
    weight = torch.full((256,), 200, dtype=torch.int16, device="cuda").view(torch.uint16)

    def kernel(k: int) -> None:
        faces = [(patches[k][i], 300 + i // 4 * 600, 300 + i % 4 * 1100, weight, weight)
                 for i in range(16)]  # fmt: skip
        cuda.blend_many_into(frame[k], faces, stream=stream())

    return [Case("blend", "16 x 256x256x3 on 2880x5120x3", 3 * size(patches[0]), kernel)]


def machine() -> dict[str, Any]:
    """What it was measured on."""
    properties = torch.cuda.get_device_properties(0)
    return {
        "device": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
