"""Everything that knows TensorRT and TensorRT-RTX: building engines, keeping them, loading them.

    model.onnx ─▶ building ─▶ x.engine + x.engine.json ─▶ cache ─▶ sidecar's checks ─▶ library

The backend "tensorrt" runs what comes out. Importing this package needs neither TensorRT nor a GPU.
"""
