"""From checkpoints to files that run anywhere: ONNX with a `ModelSpec`, and engines."""
