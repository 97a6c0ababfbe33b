"""ONNX Runtime's CUDA provider, for NVIDIA GPUs without TensorRT.

Frames are turned into tensors and back by srsdk's own kernels, on device memory that is bound to
the session: ONNX Runtime copies nothing.
"""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np

from srsdk.backends.onnxruntime_library import load_onnxruntime
from srsdk.cuda.chain import DeviceChain
from srsdk.cuda.device import CudaDevice, Stream, open_device
from srsdk.cuda.failure import explained
from srsdk.cuda.workspace import DeviceGenerator, Step
from srsdk.errors import (
    BackendUnavailableError,
    ModelFormatError,
    ModelNotFoundError,
)
from srsdk.spec import ModelSpec
from srsdk.tensorrt.plugin import PLUGIN, plugin_refusal
from srsdk.types import Size

log = logging.getLogger(__name__)

_PROVIDER = "CUDAExecutionProvider"

_TILE = 1280
"""Default side of a tile; 64 channels of that size in float32 take 400 MB."""

_INSTALL = (
    "pip uninstall onnxruntime, then pip install --force-reinstall 'srsdk[gpu]' "
    "'onnxruntime-gpu[cuda,cudnn]' (both packages write the same files)"
)


class SessionGenerator(DeviceGenerator):
    """A session on the GPU. Make it while the device is current.

    A session has one stream for all of its runs. So each stream of the chain waits for it, and it
    for them; copies and kernels of one batch still overlap the graph of another.
    """

    sized = False

    def __init__(self, path: Path, device: CudaDevice) -> None:
        from srsdk.backends.onnxruntime import check_graph

        ort = load_onnxruntime()

        self.device, self.stream = device, device.stream()
        self.session = _open_session(path, device.index, self.stream)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self._spec = ModelSpec.from_metadata(metadata, source=str(path))
        check_graph(self.session, self._spec, path)
        self.options = ort.RunOptions()
        self.shares_stream = _has_stream(self.session, self.stream)
        if self.shares_stream:
            # Otherwise each run would end with the host waiting for the stream.
            self.options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        else:
            log.warning("onnxruntime %s takes no stream: the host waits for it", ort.__version__)

    @property
    def spec(self) -> ModelSpec:
        """The generator's contract."""
        return self._spec

    def check(self, size: Size) -> None:
        """Takes all sizes."""

    def step(self, stream: Stream) -> SessionStep:
        """The session, bound to a stream."""
        return SessionStep(self, stream)


class SessionStep(Step):
    """The session between two parts of a stream, with inputs and outputs bound to device memory."""

    def __init__(self, generator: SessionGenerator, stream: Stream) -> None:
        # Its runs allocate memory, which a CUDA graph must not contain.
        self.capturable = False
        self._generator, self._stream = generator, stream
        self._binding = generator.session.io_binding()

    def resize(self, size: Size, source: int, target: int, *, fixed: bool) -> None:
        spec, session = self._generator.spec, self._generator.session
        count, height, width = size
        factor = spec.graph_scale
        dtype = np.float32 if spec.precision == "fp32" else np.float16
        index = self._generator.device.index
        larger = (count, spec.out_channels, factor * height, factor * width)
        for bind, node, shape, pointer in (
            (self._binding.bind_input, session.get_inputs()[0], (count, 3, height, width), source),
            (self._binding.bind_output, session.get_outputs()[0], larger, target),
        ):
            bind(node.name, "cuda", index, dtype, shape, pointer)

    def enqueue(self) -> None:
        generator = self._generator
        wait_for = generator.device.kernels.wait_for
        if generator.shares_stream:
            wait_for(generator.stream, self._stream)
        else:
            self._stream.synchronize()
        try:
            generator.session.run_with_iobinding(self._binding, generator.options)
        except Exception as error:  # ONNX Runtime's exceptions have no other common base
            raise explained(error, "running the model") from error
        if generator.shares_stream:
            wait_for(self._stream, generator.stream)


def open(model: Path | str, *, threads: int, color: str) -> DeviceChain:  # noqa: A001
    """Open the backend; called by `open_backend`. `threads` is not used.

    Raises:
        BackendUnavailableError: onnxruntime-gpu, the CUDA kernels, the driver or the GPU is
            missing.
    """
    model = Path(model)
    if not model.is_file():
        raise ModelNotFoundError(f"there is no model file {model}")
    version = _check_provider()
    device = open_device()
    with device.current(f"loading {model.name}"):
        generator = SessionGenerator(model, device)
    return DeviceChain(
        device,
        generator,
        name="onnxruntime-cuda",
        version=f"onnxruntime {version}",
        color=color,
        tile=_TILE,
    )


def _check_provider() -> str:
    """The version of onnxruntime-gpu; raises if another onnxruntime is installed."""
    try:
        ort = load_onnxruntime()
    except BackendUnavailableError as error:
        raise BackendUnavailableError(
            f"backend onnxruntime-cuda needs onnxruntime-gpu: {_INSTALL}"
        ) from error
    if _PROVIDER not in ort.get_available_providers():
        raise BackendUnavailableError(
            "backend onnxruntime-cuda needs onnxruntime-gpu, and this onnxruntime "
            f"{ort.__version__} is built for {', '.join(ort.get_available_providers())}: {_INSTALL}"
        )
    return str(ort.__version__)


def _open_session(path: Path, index: int, stream: Stream) -> Any:
    ort = load_onnxruntime()
    if hasattr(ort, "preload_dlls"):
        # Loads CUDA and cuDNN from their pip packages. It prints what it does not find; the check
        # below reports that as an error.
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    cuda = {"device_id": str(index), "user_compute_stream": str(stream.handle)}
    try:
        # ONNX Runtime would otherwise fall back to the CPU with only a warning.
        session = ort.InferenceSession(
            str(path), options, providers=[(_PROVIDER, cuda)], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's exceptions have no other common base
        failure = explained(error, f"loading {path.name}")
        if "too little memory" in str(failure):
            raise failure from error
        if PLUGIN in str(error):
            raise plugin_refusal(path) from error
        reason = str(error).splitlines()[0]
        raise ModelFormatError(f"{path} is not a model ONNX Runtime can load: {reason}") from error
    if _PROVIDER not in session.get_providers():
        raise BackendUnavailableError(
            "ONNX Runtime could not start its CUDA provider: CUDA or cuDNN libraries are missing "
            f"or of another major version: {_INSTALL}"
        )
    return session


def _has_stream(session: Any, stream: Stream) -> bool:
    """Whether the session uses the stream that it was given."""
    options = session.get_provider_options().get(_PROVIDER, {})
    try:
        return int(options.get("user_compute_stream", ""), 0) == stream.handle
    except ValueError:
        return False
