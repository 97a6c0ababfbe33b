"""Frames through a generator on an NVIDIA GPU, for the backends of TensorRT and ONNX Runtime.

    pinned memory ─▶ device ─▶ unpack ─▶ generator ─▶ pack ─▶ device ─▶ pinned memory

All of it goes on one stream and, for a size that stays, is one CUDA graph. Importing this package
needs neither PyCUDA nor a GPU.
"""

from srsdk.cuda.array import DeviceArray, is_device_array

__all__ = ["DeviceArray", "is_device_array"]
