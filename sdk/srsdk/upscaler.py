"""`Upscaler`: the façade over backends, tiles and faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, get_args, overload

import numpy as np
from numpy.typing import NDArray

from srsdk import zoo
from srsdk.backends import open_backend
from srsdk.cuda import is_device_array
from srsdk.errors import InputError
from srsdk.image import PreparedImage, split
from srsdk.stream import UpscalerStream
from srsdk.tiling import TiledBackend
from srsdk.timing import StageTimer
from srsdk.types import Backend, BackendInfo, Color, DeviceBackend, Pixels

if TYPE_CHECKING:
    from srsdk.faces import FaceDetector, FaceEnhancer

_FACE_SIZE = 32
"""Size of faces for a face generator that was trained on whole frames."""


@dataclass(frozen=True)
class UpscalerInfo:
    """What an `Upscaler` does and runs on.

    Attributes:
        scale: Upscaling factor.
        color: Channel order of the frames.
        tile: Largest side of what goes through the generator at once, halo not counted.
        frames: The generator of whole frames.
        faces: The generator of faces, or None.
    """

    scale: int
    color: Color
    tile: int
    frames: BackendInfo
    faces: BackendInfo | None


class Upscaler:
    """Upscales images and video frames: `upscaler(frame)`, or `upscaler(frame, out=array)`.

    One object may be used by several threads at once; each call stands alone. Video, where faces
    are tracked from frame to frame, goes through `stream`.

    Args:
        model: A name from `srsdk.zoo.models()`, "bicubic-xN", or the path of an ONNX file or engine
            that `srsdk-export` wrote.
        faces: The same, for the generator that is run on detected faces, whose results are blended
            into the frame; None leaves faces to `model`. Both must have the same scale.
        detector: What finds the faces; None: `srsdk.faces.BlazeFaceDetector()`.
        max_face: Largest side of a face's square (whole head) in pixels of the input that goes
            through the face generator, whose cost grows with the area; None: `FaceEnhancer`'s.
        backend: "auto", or a name from `srsdk.backends.BACKENDS`. "auto" is the fastest on the CPU,
            and TensorRT for an engine; a GPU is otherwise asked for by name.
        threads: CPU threads of each generator; None for all that this process may use.
        color: Channel order of all images, "bgr" as OpenCV and cameras give it, or "rgb".
        tile: Largest side of what goes through the generator at once. Larger images are cut into
            tiles with a margin as wide as the generator sees, so that the result is that of the
            whole image. None: what the backend suggests, 512 on the CPU.

    Raises:
        ModelNotFoundError: No such model.
        ModelFormatError: The file is not a usable model.
        BackendUnavailableError: The backend is unknown or cannot run here.
        EngineMismatchError: The engine was built for another GPU, TensorRT or model.
        CudaError: The GPU has no room for the model.
        InputError: An option is out of its range, or the two models' scales differ.
    """

    def __init__(
        self,
        model: str | Path = "edge-x4",
        *,
        faces: str | Path | None = None,
        detector: FaceDetector | None = None,
        max_face: int | None = None,
        backend: str = "auto",
        threads: int | None = None,
        color: Color = "bgr",
        tile: int | None = None,
    ) -> None:
        if color not in get_args(Color):
            raise InputError(f"color is {color!r}, expected 'bgr' or 'rgb'")
        if tile is not None and tile < 16:
            raise InputError(f"tile is {tile}, expected at least 16 pixels")
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}, expected at least 1")
        if faces is None and not (detector is None and max_face is None):
            raise InputError("detector and max_face need a face generator: pass faces=MODEL too")

        def open_model(name: str | Path) -> Backend:
            return open_backend(backend, zoo.find(name), threads=threads or 0, color=color)

        self._backend = open_model(model)
        self._generator = TiledBackend(self._backend, tile)
        self._face_backend = None if faces is None else open_model(faces)
        self._faces: FaceEnhancer | None = None
        if self._face_backend is not None:
            self._faces = _face_enhancer(
                self._backend, self._face_backend, detector, max_face, color
            )
        face_info = None if self._face_backend is None else self._face_backend.info
        self._info = UpscalerInfo(
            self.scale, color, self._generator.tile, self._backend.info, face_info
        )

    @property
    def scale(self) -> int:
        """Upscaling factor."""
        return self._backend.info.spec.scale

    @property
    def info(self) -> UpscalerInfo:
        """What this object does and runs on."""
        return self._info

    @overload
    def __call__(self, image: NDArray[Any], out: Pixels | None = None) -> Pixels: ...
    @overload
    def __call__(self, image: Any, out: Any = None) -> Any: ...
    def __call__(self, image: Any, out: Any = None) -> Any:
        """Upscale one image.

        Args:
            image: uint8 `(H, W, 3)` in `color`, `(H, W, 4)` with alpha last (enlarged bicubically),
                or gray `(H, W)` / `(H, W, 1)`; any size from 1x1, any strides; never modified.
                Or, where the backend runs on a GPU, an array in its memory (DLPack or
                `__cuda_array_interface__`: torch, CuPy, ...) of shape `(H, W, 3)` or
                `(N, H, W, 3)`.
            out: Array to write into, of the result's shape; may be strided (a region of a larger
                frame), must not share memory with `image`. In device memory where `image` is; this
                then waits for the result.

        Returns:
            `out`, or a new array: uint8, `scale` times as high and wide, channels as given. For an
            image in device memory a `srsdk.cuda.DeviceArray`, which others take without a copy and
            whose work may still be going on; nothing passes through the host.

        Raises:
            InputError: `image` or `out` is not as described.
            CudaError: It failed on the GPU, for instance for want of memory.
        """
        if is_device_array(image):
            return self._on_device(image, out)
        prepared = PreparedImage(image, out, self.scale)
        self._generator.run(prepared.lr, prepared.sr)
        self._enhance_faces(prepared.lr, prepared.sr)
        return prepared.finish()

    def batch(self, frames: Sequence[Any]) -> list[Pixels]:
        """Upscale several images; colour images of one size go through the generator together.

        Args:
            frames: Images as for a call, or one `(N, H, W, 3)` array.

        Returns:
            The results, in order.

        Raises:
            InputError: An image is not as described.
        """
        originals = [split(frame) for frame in frames]
        sizes = {original.color.shape[:2] for original in originals}
        plain = all(original.is_plain for original in originals)
        if len(sizes) != 1 or not plain or not self._generator.takes_whole(*sizes.pop()):
            return [self(frame) for frame in frames]
        stacked = np.stack([original.color for original in originals])
        results = list(self._backend.run(stacked))
        for original, result in zip(originals, results, strict=True):
            self._enhance_faces(original.color, result)
        return results

    def stream(self, *, detect_every: int = 5, timer: StageTimer | None = None) -> UpscalerStream:
        """Open a stream for the frames of one video, in which faces are tracked.

        The stream is called with one frame after another, or goes through all of them:

            with upscaler.stream() as stream:
                large = stream(frame)
                for large in stream.map(frames):  # on a GPU, copies some while it computes others
                    ...

        Args:
            detect_every: Frames from one face detection to the next.
            timer: Collects the seconds of the stages "frame", "detect", "faces" and "blend".

        Raises:
            InputError: `detect_every` is below 1.
        """
        if detect_every < 1:
            raise InputError(f"detect_every is {detect_every}, expected at least 1")
        faces = None if self._faces is None else self._faces.stream(every=detect_every)
        return UpscalerStream(self._generator, faces=faces, timer=timer)

    def close(self) -> None:
        """Free the generators; the object cannot be used afterwards."""
        self._backend.close()
        if self._face_backend is not None:
            self._face_backend.close()

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _on_device(self, image: Any, out: Any) -> Any:
        if not isinstance(self._backend, DeviceBackend):
            name = self._info.frames.name
            raise InputError(
                f"the image is in device memory and backend {name!r} takes host memory: copy it "
                'to the host, or make an Upscaler with backend="tensorrt" or "onnxruntime-cuda"'
            )
        if self._faces is not None:
            raise InputError(
                "faces are found on the CPU: copy the image to the host, or make an Upscaler "
                "without faces"
            )
        return self._backend.run_on_device(image, out)

    def _enhance_faces(self, color: Pixels, out: Pixels) -> None:
        if self._faces is not None:
            self._faces.enhance(color, out)


def _face_enhancer(
    frames: Backend,
    faces: Backend,
    detector: FaceDetector | None,
    max_face: int | None,
    color: Color,
) -> FaceEnhancer:
    from srsdk.faces import FaceEnhancer

    spec = faces.info.spec
    if spec.scale != frames.info.spec.scale:
        raise InputError(
            f"{spec.name} upscales x{spec.scale} and {frames.info.spec.name} "
            f"x{frames.info.spec.scale}; faces and model must have the same scale"
        )
    return FaceEnhancer(
        faces.run,
        scale=spec.scale,
        face_size=spec.face_size or _FACE_SIZE,
        detector=detector,
        color=color,
        max_side=max_face,
    )
