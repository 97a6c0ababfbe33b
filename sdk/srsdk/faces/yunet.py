"""YuNet through OpenCV, for those who have its file."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

from srsdk.errors import DetectorError, ModelNotFoundError
from srsdk.faces.detect import SMALLEST, Face, best_first, copy_to_search
from srsdk.faces.frames import check_frame
from srsdk.types import Pixels


class YuNetDetector:
    """YuNet through `cv2.FaceDetectorYN` (OpenCV 4.8 and later, 5 included), with landmarks.

    Args:
        path: The ONNX file, for instance `face_detection_yunet_2023mar.onnx` of OpenCV Zoo.
        work_side: Longer side of the copy of the frame that is searched, at most; heads are found
            from about 30 pixels of it. Turned heads are missed: half of those of 64 pixels at 45°.
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

    def detect(self, frame: Pixels) -> list[Face]:  # noqa: D102, the protocol documents it
        check_frame(frame)
        small, sx, sy = copy_to_search(frame, self._work_side)
        height, width = small.shape[:2]
        if min(height, width) < SMALLEST:
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
        return best_first(faces, self._min_score)
