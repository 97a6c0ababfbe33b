"""The exceptions of srsdk.

Each class is also a builtin exception, so `except ValueError` works without this module. A message
is one line: what was wrong with which input, and what to do.
"""


class SrsdkError(Exception):
    """Base of all errors raised by srsdk."""


class InputError(SrsdkError, ValueError):
    """An image, array or option that cannot be used as given."""


class ClosedError(InputError):
    """An `Upscaler` that was used after it was closed."""

    def __init__(self) -> None:
        super().__init__("this Upscaler is closed; make a new one")


class ModelFormatError(SrsdkError, ValueError):
    """A model file that is damaged, or does not carry a usable `ModelSpec`."""


class ModelNotFoundError(SrsdkError, FileNotFoundError):
    """A model name that the zoo does not have, or a path where no file is."""


class BackendUnavailableError(SrsdkError, ImportError):
    """A backend that is unknown, or whose packages or device are missing."""


class EngineMismatchError(SrsdkError, RuntimeError):
    """An engine that was built for another device, driver, library or model."""


class EngineBuildError(SrsdkError, RuntimeError):
    """TensorRT did not build an engine."""


class CudaError(SrsdkError, RuntimeError):
    """A CUDA kernel that could not be launched: no device, no driver, or a failure of either."""


class DetectorError(SrsdkError, RuntimeError):
    """A face detector that cannot be loaded or run."""


class VideoError(SrsdkError, OSError):
    """A video or image file that cannot be read or written."""
