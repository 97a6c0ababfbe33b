"""The CUDA kernels on a real device, against NumPy: run with `pytest -m gpu tests/gpu`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from srsdk import reference
from tests.kernels import cases
from tests.kernels.cases import Case, Strided

from .conftest import run

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", cases.MAKERS)
def test_random_cases(name: str, gpu: Any) -> None:
    """200 of each, 1,000 in all: sizes, strides, alignments, r, dtypes, poisoned outputs."""
    streams = [None, gpu.stream(), gpu.stream()]
    for seed in range(200):
        case = cases.MAKERS[name](np.random.default_rng([seed, 11]))
        case.check(run(gpu, case, streams[seed % 3]))


def dense(values: np.ndarray) -> Strided:
    flat = np.ascontiguousarray(values)
    return Strided(flat.view(np.uint8).reshape(-1), flat)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_frames_of_real_sizes(dtype: Any, gpu: Any) -> None:
    rng = np.random.default_rng(5)
    lr = rng.integers(0, 256, (180, 320, 3), np.uint8)
    x = rng.uniform(-0.3, 0.3, (48, 180, 320)).astype(dtype)
    dst = dense(rng.integers(0, 256, (720, 1280, 3), np.uint8))
    options = {"lr": dense(lr), "base": "bilinear"}
    expected = reference.pack(x, 4, lr=lr, base="bilinear")
    case = Case("pack", dst, (dense(x), 4), options, expected)
    case.check(run(gpu, case))
    frame = rng.integers(0, 256, (720, 1280, 3), np.uint8)
    out = dense(np.full((3, 720, 1280), 7, dtype))
    case = Case("unpack", out, (dense(frame),), {}, reference.unpack(frame, dtype=dtype))
    case.check(run(gpu, case))


def test_grids_longer_than_cuda_allows(gpu: Any) -> None:
    """More than 65535 rows, and more than 65535 planes."""
    rng = np.random.default_rng(6)
    frame = rng.integers(0, 256, (70000, 3, 3), np.uint8)
    dst = dense(np.zeros((3, 70000, 3), np.float32))
    case = Case("unpack", dst, (dense(frame),), {}, reference.unpack(frame))
    case.check(run(gpu, case))
    x = rng.standard_normal((4 * 70000, 1, 5)).astype(np.float16)
    dst = dense(np.zeros((70000, 2, 10), np.float16))
    expected = reference.pixel_shuffle(x, 2)
    case = Case("pixel_shuffle", dst, (dense(x), 2), {}, expected)
    case.check(run(gpu, case))


def test_ties_go_to_even(gpu: Any) -> None:
    ties = np.arange(0, 255, dtype=np.float32) + np.float32(0.5)
    levels = ties / np.float32(255)
    levels = levels[levels * np.float32(255) == ties]
    x = np.random.default_rng(7).choice(levels, (12, 30, 40)).astype(np.float32)
    dst = dense(np.full((60, 80, 3), 1, np.uint8))
    case = Case("pack", dst, (dense(x), 2), {}, reference.pack(x, 2))
    case.check(run(gpu, case))
    assert (case.expected % 2 == 0).all()


@pytest.mark.slow
def test_more_than_two_to_the_31(gpu: Any) -> None:
    """A frame of 3 GB: offsets do not fit 32 bits."""
    torch = pytest.importorskip("torch")
    from srsdk import _kernels_cuda as cuda

    frame = torch.randint(0, 256, (26000, 40000, 3), dtype=torch.uint8, device="cuda")
    dst = torch.empty((3, 26000, 40000), dtype=torch.float16, device="cuda")
    cuda.unpack_into(dst, frame)
    for rows in (slice(0, 8), slice(-8, None)):
        expected = reference.unpack(frame[rows].cpu().numpy(), dtype=np.float16)
        np.testing.assert_array_equal(dst[:, rows].cpu().numpy(), expected)
