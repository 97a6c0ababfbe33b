"""`Upscaler`: the façade over backends, tiles and faces."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, overload

import numpy as np
from numpy.typing import NDArray

from srsdk import zoo
from srsdk.arguments import check_positive, check_whole
from srsdk.backends import open_backend
from srsdk.cuda import is_device_array
from srsdk.errors import ClosedError, InputError
from srsdk.image import PreparedImage, split
from srsdk.stream import UpscalerStream, check_strength
from srsdk.tiling import TiledBackend
from srsdk.timing import StageTimer
from srsdk.types import Backend, BackendInfo, Color, ComputePrecision, DeviceBackend, Pixels

if TYPE_CHECKING:
    from srsdk.faces import FaceDetector, FaceEnhancer

_FACE_SIZE = 32
"""Size of faces for a face generator whose spec has no `face_size`."""


@dataclass(frozen=True)
class UpscalerInfo:
    """The configuration of an `Upscaler`.

    Attributes:
        scale: Upscaling factor.
        color: Channel order of the frames.
        tile: Largest side of a frame or tile that is computed at once, halo not counted.
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
        faces: The same, for the generator of detected faces, whose results are blended into the
            frame; None: no face generator. Both generators must have the same scale.
        detector: Finds the faces; None: `srsdk.faces.BlazeFaceDetector()`.
        max_face: Largest side of a face's square (whole head), in pixels of the input, for which
            the face generator runs; its cost grows with the area. None: `FaceEnhancer`'s default.
        guard: Whether a face recogniser compares each enhanced face with the frame generator's
            version and holds back a face that looks like another person. It takes 14 ms a face; in
            a video it runs when a face appears and every 90 frames.
        face_budget_ms: Milliseconds that the faces of a video may take on average per frame. The
            number of enhanced faces and the interval of detection then follow from their cost on
            this machine. None: no limit, and results that do not depend on the machine's speed.
        backend: "auto", or a name from `srsdk.backends.BACKENDS`. "auto" takes the fastest backend
            on the CPU, and TensorRT for an engine. No other GPU backend is chosen automatically.
        threads: CPU threads of each generator; None for all cores that this process may use.
        color: Channel order of all images, "bgr" as OpenCV and cameras give it, or "rgb".
        precision: Arithmetic of the generators: "fp32"; "int8", two to three times as fast on CPUs
            with instructions for it (VNNI; Arm's dot products), for models that `srsdk-export
            quantize` prepared, as the bundled models of the edge family are; or "auto": int8 where
            the model file proves that it is as good (`srsdk info` shows the proof) and the CPU is
            faster at it.
        tile: Largest side of a frame that is computed at once. Larger frames are computed in tiles
            with a margin as wide as the receptive field, so the result is the same. None: the
            backend's default, on the CPU 512, in int8 2048.

    Raises:
        ModelNotFoundError: The model does not exist.
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
        guard: bool = False,
        face_budget_ms: float | None = None,
        backend: str = "auto",
        threads: int | None = None,
        color: Color = "bgr",
        precision: ComputePrecision = "auto",
        tile: int | None = None,
    ) -> None:
        if color not in get_args(Color):
            raise InputError(f"color is {color!r}, expected 'bgr' or 'rgb'")
        check_whole("tile", tile, 16, " pixels")
        check_whole("threads", threads, 1)
        check_whole("max_face", max_face, 1, " pixels")
        check_positive("face_budget_ms", face_budget_ms, "milliseconds")
        options = (detector, max_face, face_budget_ms)
        if faces is None and (guard or any(option is not None for option in options)):
            raise InputError(
                "detector, max_face, guard and face_budget_ms need a face generator: "
                "pass faces=MODEL too"
            )
        if detector is not None and not callable(getattr(detector, "detect", None)):
            raise InputError(
                f"detector is {detector!r}, expected one of srsdk.faces, for instance "
                "YuNetDetector(FILE), or an object with its method detect"
            )

        def open_model(name: str | Path) -> Backend:
            return open_backend(
                backend, zoo.find(name), threads=threads or 0, color=color, precision=precision
            )

        self._backend = open_model(model)
        self._generator = TiledBackend(self._backend, tile)
        self._face_backend = None if faces is None else open_model(faces)
        self._faces: FaceEnhancer | None = None
        if self._face_backend is not None:
            self._faces = _face_enhancer(
                self._backend, self._face_backend, detector, max_face, color, guard
            )
        self._face_budget_ms = face_budget_ms
        self._closed = False
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
        """The configuration of this object."""
        return self._info

    @overload
    def __call__(
        self, image: NDArray[Any], out: Pixels | None = None, *, strength: float = 1.0
    ) -> Pixels: ...
    @overload
    def __call__(self, image: Any, out: Any = None, *, strength: float = 1.0) -> Any: ...
    def __call__(self, image: Any, out: Any = None, *, strength: float = 1.0) -> Any:
        """Upscale one image.

        Args:
            image: uint8 `(H, W, 3)` in `color`, `(H, W, 4)` with alpha last (enlarged bicubically),
                or gray `(H, W)` / `(H, W, 1)`; any size from 1x1, any strides; never modified.
                With a backend on a GPU also an array in device memory (DLPack or
                `__cuda_array_interface__`: torch, CuPy, ...) of shape `(H, W, 3)` or
                `(N, H, W, 3)`.
            out: Array to write into, of the result's shape; may be strided (a region of a larger
                frame), must not share memory with `image`. It must be in device memory if `image`
                is; the call then blocks until the result is there.
            strength: How much of the face generator's result to blend in, 0 to 1, of what
                `ModelSpec.face_blend` makes of it.

        Returns:
            `out`, or a new array: uint8, `scale` times as high and wide, with the channels of
            `image`. For an image in device memory a `srsdk.cuda.DeviceArray`, which other libraries
            use without a copy. It may still be in flight; consumers wait for it on their stream.

        Raises:
            InputError: `image`, `out` or `strength` is not as described.
            CudaError: The GPU failed, for instance because it has too little memory.
        """
        if is_device_array(image):
            return self._on_device(image, out)
        prepared = PreparedImage(image, out, self.scale, self._generator.empty)
        self._generator.run(prepared.lr, prepared.sr)
        self._enhance_faces(prepared.lr, prepared.sr, strength)
        return prepared.finish()

    def batch(self, frames: Sequence[Any], *, strength: float = 1.0) -> list[Pixels]:
        """Upscale several images; colour images of one size go through the generator together.

        Args:
            frames: Images as for a call, or one `(N, H, W, 3)` array.
            strength: As for a call.

        Returns:
            The results, in order.

        Raises:
            InputError: An image is not as described.
        """
        originals = [split(frame) for frame in frames]
        sizes = {original.color.shape[:2] for original in originals}
        plain = all(original.is_plain for original in originals)
        if len(sizes) != 1 or not plain or not self._generator.takes_whole(*sizes.pop()):
            return [self(frame, strength=strength) for frame in frames]
        stacked = np.stack([original.color for original in originals])
        results = list(self._backend.run(stacked))
        for original, result in zip(originals, results, strict=True):
            self._enhance_faces(original.color, result, strength)
        return results

    def stream(
        self,
        *,
        detect_every: int = 5,
        strength: float = 1.0,
        detect_later: bool = False,
        timer: StageTimer | None = None,
    ) -> UpscalerStream:
        """Open a stream for the frames of one video, in which faces are tracked.

        The stream is called with one frame after another, or goes through all of them:

            with upscaler.stream() as stream:
                large = stream(frame)
                for large in stream.map(frames):  # on a GPU, copies some while it computes others
                    ...

        Args:
            detect_every: Frames from one face detection to the next; more where `face_budget_ms`
                demands it.
            strength: How much of the face generator's result to blend in, 0 to 1; the stream's
                attribute of this name changes it from frame to frame.
            detect_later: Look for faces, and compare them for `guard`, in a thread between two
                frames rather than within one. No frame then takes longer than others, as live video
                wants it; faces come up a frame or two later, and results depend on timing.
            timer: Collects the seconds of the stages "frame", "detect", "faces", "guard" and
                "blend".

        Raises:
            ClosedError: This was closed.
            InputError: `detect_every` is below 1, or `strength` not between 0 and 1.
        """
        if self._closed:
            raise ClosedError
        check_whole("detect_every", detect_every, 1)
        faces = None
        if self._faces is not None:
            from srsdk.faces import FaceStream

            later = ThreadPoolExecutor(1, "srsdk-faces") if detect_later else None
            faces = FaceStream(
                self._faces, every=detect_every, budget_ms=self._face_budget_ms, executor=later
            )
        stream = UpscalerStream(self._generator, faces=faces, timer=timer)
        stream.strength = strength
        return stream

    def close(self) -> None:
        """Free the generators; the object cannot be used afterwards."""
        self._closed = True
        self._backend.close()
        if self._face_backend is not None:
            self._face_backend.close()

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_device(self, image: Any, out: Any) -> Any:
        if not isinstance(self._backend, DeviceBackend):
            name = self._info.frames.name
            raise InputError(
                f"the image is in device memory and backend {name!r} takes host memory: copy it "
                'to the host, or make an Upscaler with backend="cuda-native", "tensorrt", '
                '"onnxruntime-cuda" or, where torch sees the GPU, "torch"'
            )
        if self._faces is not None:
            raise InputError(
                "faces are found on the CPU: copy the image to the host, or make an Upscaler "
                "without faces"
            )
        return self._backend.run_on_device(image, out)

    def _enhance_faces(self, color: Pixels, out: Pixels, strength: float) -> None:
        check_strength(strength)
        if self._faces is not None:
            self._faces.enhance(color, out, strength=strength)


def _face_enhancer(
    frames: Backend,
    faces: Backend,
    detector: FaceDetector | None,
    max_face: int | None,
    color: Color,
    guard: bool,
) -> FaceEnhancer:
    from srsdk.faces import FaceEnhancer, IdentityGuard

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
        min_side=spec.face_sizes[0] or None,
        max_side=(spec.face_sizes[1] or None) if max_face is None else max_face,
        blend=spec.face_blend,
        guard=IdentityGuard() if guard else None,
    )
