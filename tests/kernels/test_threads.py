from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from srsdk import _kernels, reference
from srsdk.faces.feather import feather_weights


@pytest.mark.parametrize("threads", [0, 1, 2, 7])
@pytest.mark.usefixtures("isa")
def test_thread_counts_agree(threads: int, rng: np.random.Generator) -> None:
    x = rng.uniform(-0.3, 1.3, (2, 48, 67, 129)).astype(np.float32)
    lr = rng.integers(0, 256, (2, 67, 129, 3), np.uint8)
    packed = _kernels.pack(x, 4, lr=lr, base="bilinear", threads=threads)
    np.testing.assert_array_equal(packed, reference.pack(x, 4, lr=lr, base="bilinear"))
    got = _kernels.pixel_shuffle(x, 4, threads=threads)
    np.testing.assert_array_equal(got, reference.pixel_shuffle(x, 4))
    frame = rng.integers(0, 256, (500, 700, 3), np.uint8)[:, ::-1]
    np.testing.assert_array_equal(_kernels.unpack(frame, threads=threads), reference.unpack(frame))
    patch = rng.integers(0, 256, (600, 600, 3), np.uint8)
    ramp = feather_weights(600, 100)
    blended = _kernels.blend(frame, patch, -30, 60, ramp, ramp, threads=threads)
    np.testing.assert_array_equal(blended, reference.blend(frame, patch, -30, 60, ramp, ramp))


def test_callers_at_once(rng: np.random.Generator) -> None:
    x = rng.uniform(-0.3, 1.3, (48, 67, 129)).astype(np.float32)
    lrs = rng.integers(0, 256, (8, 67, 129, 3), np.uint8)
    expected = [reference.pack(x, 4, lr=lr, base="bilinear") for lr in lrs]

    def work(i: int) -> bool:
        same = [
            np.array_equal(
                _kernels.pack(x, 4, lr=lrs[i], base="bilinear", threads=1 + (i + k) % 4),
                expected[i],
            )
            for k in range(12)
        ]
        return all(same)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_gil_is_released(rng: np.random.Generator) -> None:
    """Another Python thread gets on while a kernel runs."""
    frame = rng.integers(0, 256, (4000, 4000, 3), np.uint8)
    out = np.empty((3, 4000, 4000), np.float32)
    ticks, running = 0, threading.Event()

    def kernel() -> None:
        for _ in range(5):
            _kernels.unpack_into(out, frame, threads=1)
        running.clear()

    thread = threading.Thread(target=kernel)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # without the release, the kernel's thread would not let go
    try:
        running.set()
        thread.start()
        while running.is_set():
            time.sleep(0)  # offers the GIL to the kernel's thread, which needs it between calls
            ticks += 1
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert ticks > 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_works_after_fork() -> None:
    """The child of a process that has used the threads makes its own."""
    program = """
import os
import numpy as np
from srsdk import _kernels
frame = np.random.default_rng(0).integers(0, 256, (800, 900, 3), np.uint8)
first = _kernels.unpack(frame, threads=4)
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if np.array_equal(_kernels.unpack(frame, threads=4), first) else 1)
    children.append(pid)
assert np.array_equal(_kernels.unpack(frame, threads=4), first)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


def test_isa_names() -> None:
    names = _kernels.available_isas()
    assert _kernels.isa() in names
    assert names[-1] == "portable"
    with pytest.raises(ValueError, match="'sse9' is not available"):
        _kernels.set_isa("sse9")
    assert isinstance(_kernels.built_with_cuda(), bool)


_PLACES = """
import os
import numpy as np
from srsdk import Upscaler

def tasks():
    return set(os.listdir("/proc/self/task"))

frame = np.zeros((360, 640, 3), np.uint8)
with Upscaler("edge-x4", backend="native", threads=2) as upscaler:
    before = tasks()
    for _ in range(3):
        upscaler(frame)
    all_cpus = os.sched_getaffinity(0)
    helpers = [os.sched_getaffinity(int(task)) for task in tasks() - before]
    print(len(helpers), all(own < all_cpus and len(all_cpus - own) == 1 for own in helpers))
    os.sched_setaffinity(0, {min(all_cpus)})  # of the calling thread alone
    upscaler(frame)
    print([os.sched_getaffinity(int(task)) for task in tasks() - before] == helpers)
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs Linux and two cores",
)
def test_helpers_stay_off_the_core_of_their_caller() -> None:
    """Woken there, after a pause, they waited for the caller while another core was idle."""
    run = subprocess.run([sys.executable, "-c", _PLACES], capture_output=True, text=True)
    assert run.stdout.split() == ["1", "True", "True"], run.stderr
