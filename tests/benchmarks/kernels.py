"""How fast the native kernels are, against a memory copy and against the NumPy way.

    python -m tests.benchmarks.kernels [--json FILE] [--repeats N]

The candidates of a comparison take turns, so that a busy machine slows all of them alike, and each
figure is reported as median and minimum over the turns. A "copy" is `np.copyto` between two buffers
of half the bytes that the kernel must move, so that reading one and writing the other moves the
same number; it runs whole on one thread and in halves on two. The ratio takes the kernel on the
number of threads that the copy is best at.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from srsdk import _kernels, reference
from srsdk.faces.feather import feather_weights

Candidate = Callable[[], object]
HEIGHT, WIDTH, R = 180, 320, 4


def main() -> None:
    """Run all comparisons and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--repeats", type=int, default=60, help="turns of each candidate")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    with ThreadPoolExecutor(2) as pool:
        cases = {
            "pack, base bilinear": pack(rng, "bilinear"),
            "pack, base none": pack(rng, "none"),
            "unpack": unpack(rng),
            "pixel_shuffle": pixel_shuffle(rng),
            "blend": blend(rng),
        }
        results = {}
        for name, (candidates, moved) in cases.items():
            results[name] = compare({**candidates, **copies(moved, pool)}, options.repeats, moved)
    for name, result in results.items():
        report(name, result)
    if options.json:
        options.json.write_text(json.dumps({"isa": _kernels.isa(), "results": results}, indent=2))


def pack(rng: np.random.Generator, base: Any) -> tuple[dict[str, Candidate], int]:
    """320x180 -> 1280x720 at r = 4."""
    x = rng.uniform(-0.2, 0.2, (3 * R * R, HEIGHT, WIDTH)).astype(np.float32)
    lr = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    dst = np.zeros((HEIGHT * R, WIDTH * R, 3), np.uint8)
    given = {"lr": None if base == "none" else lr, "base": base}
    candidates: dict[str, Candidate] = {
        "kernel, 2 threads": lambda: _kernels.pack_into(dst, x, R, **given, threads=2),
        "kernel, 1 thread": lambda: _kernels.pack_into(dst, x, R, **given, threads=1),
        "numpy": lambda: pack_the_numpy_way(x, lr, base),
    }
    moved = x.nbytes + dst.nbytes + (0 if base == "none" else lr.nbytes)
    return candidates, moved


def pack_the_numpy_way(x: np.ndarray, lr: np.ndarray, base: str) -> np.ndarray:
    """What one writes without the kernel: OpenCV for the base, NumPy for the rest."""
    h, w = x.shape[1:]
    image = x.reshape(3, R, R, h, w).transpose(0, 3, 1, 4, 2).reshape(3, h * R, w * R)
    image = image.transpose(1, 2, 0) * np.float32(255)
    if base != "none":
        size = (w * R, h * R)
        image += cv2.resize(lr.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def unpack(rng: np.random.Generator) -> tuple[dict[str, Candidate], int]:
    """One 1280x720 frame."""
    frame = rng.integers(0, 256, (720, 1280, 3), np.uint8)
    dst = np.zeros((3, 720, 1280), np.float32)
    candidates: dict[str, Candidate] = {
        "kernel, 2 threads": lambda: _kernels.unpack_into(dst, frame, threads=2),
        "kernel, 1 thread": lambda: _kernels.unpack_into(dst, frame, threads=1),
        "numpy": lambda: reference.unpack(frame),
    }
    return candidates, frame.nbytes + dst.nbytes


def pixel_shuffle(rng: np.random.Generator) -> tuple[dict[str, Candidate], int]:
    """64 channels at 90x160, r = 2."""
    x = rng.standard_normal((256, 90, 160)).astype(np.float32)
    dst = np.zeros((64, 180, 320), np.float32)
    candidates: dict[str, Candidate] = {
        "kernel, 2 threads": lambda: _kernels.pixel_shuffle_into(dst, x, 2, threads=2),
        "kernel, 1 thread": lambda: _kernels.pixel_shuffle_into(dst, x, 2, threads=1),
        "numpy": lambda: reference.pixel_shuffle(x, 2),
    }
    return candidates, 2 * x.nbytes


def blend(rng: np.random.Generator) -> tuple[dict[str, Candidate], int]:
    """A 512x512 face on a 1280x720 frame."""
    frame = rng.integers(0, 256, (720, 1280, 3), np.uint8)
    patch = rng.integers(0, 256, (512, 512, 3), np.uint8)
    ramp = feather_weights(512, 64)
    candidates: dict[str, Candidate] = {
        "kernel, 2 threads": lambda: _kernels.blend_into(
            frame, patch, 100, 300, ramp, ramp, threads=2
        ),
        "kernel, 1 thread": lambda: _kernels.blend_into(
            frame, patch, 100, 300, ramp, ramp, threads=1
        ),
        "numpy": lambda: reference.blend(frame, patch, 100, 300, ramp, ramp),
    }
    return candidates, 3 * patch.nbytes


def copies(moved: int, pool: ThreadPoolExecutor) -> dict[str, Candidate]:
    """Copies that read and write `moved` bytes together, on one thread and on two."""
    source, target = np.ones(moved // 2, np.uint8), np.zeros(moved // 2, np.uint8)
    half = len(source) // 2

    def in_halves() -> None:
        other = pool.submit(np.copyto, target[:half], source[:half])
        np.copyto(target[half:], source[half:])
        other.result()

    return {"copy, 1 thread": lambda: np.copyto(target, source), "copy, 2 threads": in_halves}


def compare(candidates: Mapping[str, Candidate], repeats: int, moved: int) -> dict[str, Any]:
    """Milliseconds of each candidate, in turns, and the ratios that the bars are about."""
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    result: dict[str, Any] = {"bytes": moved, "ms": {}, "ratios": {}}
    for name, values in seconds.items():
        p50, least = 1e3 * float(np.median(values)), 1e3 * min(values)
        result["ms"][name] = {"p50": round(p50, 4), "min": round(least, 4)}
    for figure in ("p50", "min"):
        ms = {name: values[figure] for name, values in result["ms"].items()}
        threads = min(("1 thread", "2 threads"), key=lambda count: ms[f"copy, {count}"])
        kernel, copy = ms[f"kernel, {threads}"], ms[f"copy, {threads}"]
        result["ratios"][figure] = {
            "threads": threads,
            "kernel / copy": round(kernel / copy, 3),
            "numpy / kernel": round(ms["numpy"] / kernel, 2),
        }
    return result


def report(name: str, result: Mapping[str, Any]) -> None:
    """Print one comparison."""
    print(f"{name}: {result['bytes'] / 1e6:.1f} MB moved, {_kernels.isa()}")
    for candidate, ms in result["ms"].items():
        print(f"  {candidate:18} p50 {ms['p50']:8.3f} ms   min {ms['min']:8.3f} ms")
    for figure, ratios in result["ratios"].items():
        text = ", ".join(f"{label} = {value}" for label, value in ratios.items())
        print(f"  by {figure}: {text}")


if __name__ == "__main__":
    main()
