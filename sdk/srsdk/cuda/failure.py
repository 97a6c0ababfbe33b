"""Errors of CUDA, TensorRT and ONNX Runtime as one line with a remedy."""

from __future__ import annotations

from srsdk.errors import CudaError

_OUT_OF_MEMORY = ("out of memory", "outofmemory", "failed to allocate memory", "cudnn_status_alloc")


class _ExplainedError(CudaError):
    """An error that was explained already."""


def explained(error: BaseException | str, doing: str) -> CudaError:
    """The error to raise in place of a library's own; an explained one is returned unchanged.

    Args:
        error: What the library raised, or the line that it logged.
        doing: What was being done, for instance "upscaling 1*640x360".
    """
    if isinstance(error, _ExplainedError):
        return error
    text = str(error).strip()
    reason = text.splitlines()[0] if text else type(error).__name__
    kind = type(error).__name__ if isinstance(error, BaseException) else ""
    if kind == "MemoryError" or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return _ExplainedError(
            f"the GPU has too little memory for {doing}: use a smaller tile or batch, or close "
            f"other programs that use the GPU ({reason})"
        )
    return _ExplainedError(f"{doing} failed on the GPU: {reason}")
