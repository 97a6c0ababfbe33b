"""Frames through a generator on an NVIDIA GPU, for the backends of TensorRT and ONNX Runtime.

    pinned memory ─▶ device ─▶ unpack ─▶ generator ─▶ pack ─▶ device ─▶ pinned memory

The steps of a batch run on one stream. When the size stays the same they are recorded as one CUDA
graph. Importing this package needs no GPU.
"""

from srsdk.cuda.array import DeviceArray, is_device_array

__all__ = ["DeviceArray", "is_device_array"]
