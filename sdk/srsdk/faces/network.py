"""Small bundled networks around the generators: ONNX Runtime where it is installed, else OpenCV."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from srsdk.backends.onnxruntime_library import load_onnxruntime
from srsdk.errors import BackendUnavailableError, DetectorError, ModelNotFoundError
from srsdk.onnxfile import Array


class Network(Protocol):
    """Runs one ONNX file on the CPU. Safe to call from several threads at once."""

    def __call__(self, images: Array) -> list[Array]:
        """Run it.

        Args:
            images: `(N, 3, H, W)` float32.

        Returns:
            The outputs, in the order in which they were asked for.

        Raises:
            DetectorError: It failed.
        """
        ...


@functools.lru_cache(maxsize=8)
def open_network(path: Path, outputs: tuple[str, ...], threads: int = 1) -> Network:
    """The network of a file; one object for all that ask for the same.

    Args:
        path: The ONNX file, with one input.
        outputs: Names of the wanted outputs.
        threads: Threads in ONNX Runtime; OpenCV uses its own setting (`cv2.setNumThreads`).

    Raises:
        ModelNotFoundError: There is no such file.
        DetectorError: The file cannot be loaded.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"there is no file {path}")
    try:
        try:
            onnxruntime = load_onnxruntime()
        except BackendUnavailableError:
            return _OpenCv(path, outputs)
        return _OnnxRuntime(onnxruntime, path, outputs, threads)
    except Exception as error:  # neither library has a common class of errors
        raise DetectorError(
            f"{path} cannot be loaded: run `pip install --force-reinstall srsdk` ({error})"
        ) from error


class _OnnxRuntime:
    def __init__(
        self, onnxruntime: Any, path: Path, outputs: tuple[str, ...], threads: int
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Threads that wait for work by spinning would take time from the generators'.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = list(outputs)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: Array) -> list[Array]:
        try:
            return list(self._session.run(self._outputs, {self._input: images}))
        except Exception as error:
            raise DetectorError(f"a network around faces failed: {error}") from error


class _OpenCv:
    """OpenCV takes about 1.7 times as long as ONNX Runtime; results agree to 1e-4."""

    def __init__(self, path: Path, outputs: tuple[str, ...]) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(path))
        self._outputs = list(outputs)
        self._lock = threading.Lock()  # the input is state of the network

    def __call__(self, images: Array) -> list[Array]:
        try:
            with self._lock:
                self._net.setInput(images)
                return [np.array(found) for found in self._net.forward(self._outputs)]
        except cv2.error as error:
            raise DetectorError(f"a network around faces failed: {error}") from error
