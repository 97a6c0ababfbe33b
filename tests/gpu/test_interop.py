"""Arrays and streams of torch and CuPy, as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from srsdk import _kernels, reference

if not _kernels.built_with_cuda():
    pytest.skip("this build has no CUDA kernels", allow_module_level=True)

from srsdk import _kernels_cuda as cuda

pytestmark = pytest.mark.gpu


@pytest.fixture
def torch(gpu: Any) -> Any:
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return module


@pytest.fixture
def cupy(gpu: Any) -> Any:
    return pytest.importorskip("cupy")


def test_torch_tensors(torch: Any) -> None:
    frame = torch.randint(0, 256, (2, 67, 131, 3), dtype=torch.uint8, device="cuda")
    dst = torch.empty((2, 3, 67, 131), dtype=torch.float16, device="cuda")
    cuda.unpack_into(dst, frame, swap_rb=True)
    expected = reference.unpack(frame.cpu().numpy(), swap_rb=True, dtype=np.float16)
    np.testing.assert_array_equal(dst.cpu().numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_torch_channels_last(torch: Any, dtype: str) -> None:
    """Shape (N, C, H, W), memory (N, H, W, C): torch's own result, bit for bit."""
    x = torch.randn((2, 64, 33, 47), dtype=getattr(torch, dtype), device="cuda")
    expected = torch.nn.functional.pixel_shuffle(x, 2)
    for memory in (torch.contiguous_format, torch.channels_last):
        source = x.contiguous(memory_format=memory)
        dst = torch.full_like(expected, float("nan"), memory_format=memory)
        cuda.pixel_shuffle_into(dst, source, 2)
        assert torch.equal(dst, expected)


def test_work_of_other_streams_is_waited_for(torch: Any) -> None:
    side, mine = torch.cuda.Stream(), torch.cuda.Stream()
    x = torch.zeros((12, 512, 512), device="cuda")
    dst = torch.zeros((3, 1024, 1024), device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        x.fill_(3)
        cuda.pixel_shuffle_into(dst, x, 2, stream=mine)  # DLPack makes `mine` wait for `side`
    mine.synchronize()
    assert bool((dst == 3).all())


def test_cuda_graph(torch: Any) -> None:
    """Captured once, replayed on new input: nothing allocates or synchronises."""
    frame = torch.zeros((48, 64, 3), dtype=torch.uint8, device="cuda")
    planes = torch.empty((3, 48, 64), device="cuda")
    out = torch.empty((48, 64, 3), dtype=torch.uint8, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        stream = torch.cuda.current_stream()
        cuda.unpack_into(planes, frame, stream=stream)
        cuda.pack_into(out, planes, 1, stream=stream)
    for _ in range(3):
        frame.copy_(torch.randint(0, 256, frame.shape, dtype=torch.uint8, device="cuda"))
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(out, frame)


def test_cupy_arrays(cupy: Any) -> None:
    frame = cupy.random.randint(0, 256, (40, 50, 3)).astype(cupy.uint8)
    dst = cupy.empty((3, 40, 50), cupy.float32)
    cuda.unpack_into(dst, frame, stream=cupy.cuda.get_current_stream())
    np.testing.assert_array_equal(dst.get(), reference.unpack(frame.get()))
