"""What `--quick` runs: the most telling figures first, all of it in four minutes.

Each step has its own limit, and the report is written after each, so that what was measured is
there whatever happens to the steps behind it.
"""

from __future__ import annotations

STEPS = ("network", "engines", "generators", "kernels", "tests")

LIMITS = {"network": 45.0, "engines": 60.0, "generators": 75.0, "kernels": 40.0, "tests": 90.0}
"""Seconds for each process of a step."""

TOTAL = 240.0
"""Seconds for all steps; a step begins only with time left, and gets no more than that."""

CASES = (
    ("edge-x4", "1*1280x720"),
    ("edge-x4", "1*320x180"),
    ("srresnet-x4", "16*32x32"),
    ("edge-x2", "1*640x360"),
)
"""Generators and inputs: BATCH*WIDTHxHEIGHT."""

RUNNERS = (
    "torch eager",
    "torch + CUDA graph",
    "srsdk cuda-native",
    "srsdk cuda-native, stream",
    "srsdk torch",
    "srsdk torch, stream",
    "srsdk tensorrt",
    "srsdk tensorrt, stream",
    "srsdk onnxruntime-cuda",
)

REPEATS, SECONDS, KERNEL_REPEATS = 60, 3.0, 10

FOLDERS = ("tests/gpu",)
