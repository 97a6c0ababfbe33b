"""Arrays in device memory, in and out, on host memory; see tests/gpu for a GPU's."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srsdk.cuda import DeviceArray, is_device_array
from srsdk.errors import InputError
from srsdk.types import Pixels
from tests.sdk.cuda.device_on_host import (
    HostDevice,
    HostGenerator,
    chain,
    expected,
    frames,
    on_device,
)


def test_device_arrays(models: dict[str, Path]) -> None:
    device, path = HostDevice(), models["edge-x4"]
    backend = chain(HostGenerator(path), device)
    for shape in [(6, 5), (2, 6, 5), (1, 3, 4)]:
        pixels = frames(5, *shape)
        batch = pixels.reshape(-1, *pixels.shape[-3:])
        known = expected(path, batch).reshape(*shape[:-2], 4 * shape[-2], 4 * shape[-1], 3)
        result = backend.run_on_device(on_device(pixels))
        assert isinstance(result, DeviceArray)
        assert result.shape == known.shape
        assert is_device_array(result)
        np.testing.assert_array_equal(result.numpy(), known)
        out = np.zeros_like(known)
        target = on_device(out)
        assert backend.run_on_device(on_device(pixels), target) is target
        np.testing.assert_array_equal(out, known)
    again = backend.run_on_device(result).numpy()  # from device array to device array
    np.testing.assert_array_equal(again, expected(path, known))
    strided = frames(6, 12, 20)[::2, 3:11]
    result = backend.run_on_device(on_device(strided))
    np.testing.assert_array_equal(result.numpy(), expected(path, strided[None])[0])


def test_a_device_array_outlives_its_upscaler(models: dict[str, Path]) -> None:
    device, path = HostDevice(), models["edge-x4"]
    backend = chain(HostGenerator(path), device)
    pixels = frames(7, 6, 5)
    result = backend.run_on_device(on_device(pixels))
    backend.close()
    del backend
    gc.collect()
    np.testing.assert_array_equal(result.numpy(), expected(path, pixels[None])[0])
    del result
    gc.collect()
    assert device.live == 0


def test_device_arrays_are_freed_in_any_thread(models: dict[str, Path]) -> None:
    device = HostDevice()
    backend = chain(HostGenerator(models["edge-x2"]), device)
    results = [backend.run_on_device(on_device(frames(8, 6, 5))) for _ in range(5)]
    before = device.live
    thread = threading.Thread(target=results.clear)
    thread.start()
    thread.join()
    assert device.live == before - 5


def test_handing_over(models: dict[str, Path]) -> None:
    device = HostDevice()
    backend = chain(HostGenerator(models["edge-x2"]), device)
    result = backend.run_on_device(on_device(frames(8, 6, 5)))
    interface = result.__cuda_array_interface__
    assert interface["shape"] == (12, 10, 3)
    assert interface["typestr"] == "|u1"
    assert interface["stream"] > 2
    assert result.__dlpack_device__() == (2, 0)
    for version, versioned in ((None, False), ((0, 8), False), ((1, 0), True), ((1, 1), True)):
        owner, pointer, shape, dtype, more = result.__dlpack__(stream=1, max_version=version)
        assert owner is result
        assert (pointer, False) == interface["data"]
        assert (shape, dtype) == ((12, 10, 3), "u1")
        assert more == {"device": 0, "versioned": versioned}
    result.__dlpack__(dl_device=(2, 0), copy=False)
    for refused in ({"copy": True}, {"dl_device": (1, 0)}):
        with pytest.raises(BufferError, match="no copies"):
            result.__dlpack__(**refused)
    assert "(12, 10, 3) uint8" in repr(result)


class Elsewhere:
    def __init__(self, pixels: Pixels) -> None:
        self.__cuda_array_interface__ = on_device(pixels).__cuda_array_interface__

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: on_device(frames(1, 4, 4).astype(np.float32)), "float32 values.*expected uint8"),
        (lambda: on_device(frames(1, 4, 4)[..., 0]), r"shape \(H, W, 3\).*got \(4, 4\)"),
        (lambda: on_device(np.zeros((4, 4, 4), np.uint8)), r"got \(4, 4, 4\)"),
        (lambda: on_device(np.zeros((1, 1, 4, 4, 3), np.uint8)), r"got \(1, 1, 4, 4, 3\)"),
        (lambda: on_device(np.zeros((0, 4, 3), np.uint8)), "is empty"),
        (lambda: Elsewhere(frames(1, 4, 4)), "CUDA device 3, this Upscaler runs on device 0"),
    ],
)
def test_device_arrays_that_will_not_do(models: dict[str, Path], make: Any, message: str) -> None:
    backend = chain(HostGenerator(models["edge-x2"]))
    with pytest.raises(InputError, match=message):
        backend.run_on_device(make())
    good = on_device(frames(1, 4, 4))
    for out in (make(), np.zeros((8, 8, 3), np.uint8), on_device(np.zeros((8, 7, 3), np.uint8))):
        with pytest.raises(InputError):
            backend.run_on_device(good, out)


def test_what_counts_as_a_device_array() -> None:
    class ByDlpack:
        def __init__(self, kind: int) -> None:
            self._kind = kind

        def __dlpack_device__(self) -> tuple[int, int]:
            return self._kind, 0

        def __dlpack__(self, **_options: Any) -> Any:
            raise AssertionError("asked for its memory")

    assert is_device_array(on_device(frames(1, 2, 2)))
    assert is_device_array(ByDlpack(2))
    assert is_device_array(ByDlpack(13))
    assert not is_device_array(ByDlpack(1))
    assert not is_device_array(frames(1, 2, 2))
    assert not is_device_array([1, 2])
    assert not is_device_array(None)
