"""Frames through a generator on an NVIDIA GPU, for all GPU backends.

    pinned memory ─▶ device ─▶ unpack ─▶ generator ─▶ pack ─▶ device ─▶ pinned memory

The steps of a batch run on one stream; batches in flight have different streams. When the size
stays the same the steps are recorded as one CUDA graph. A generator that reads and writes frames
itself needs neither `unpack` nor `pack`. Importing this package needs no GPU.
"""

from srsdk.cuda.array import DeviceArray, is_device_array

__all__ = ["DeviceArray", "is_device_array"]
