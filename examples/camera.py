"""A camera app: the newest frame upscaled as fast as it goes, older ones dropped.

python examples/camera.py [CAMERA NUMBER or FILE] [--frames N] [--no-window]
"""

from __future__ import annotations

import argparse
import threading
import time

import cv2
import numpy as np

from srsdk import Upscaler


class NewestFrame:
    """Reads a camera in its own thread and keeps only the newest frame: latency stays low."""

    def __init__(self, source: int | str) -> None:
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise SystemExit(f"cannot open camera or file {source}")
        self._frame: np.ndarray | None = None
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        more = True
        while more:
            more, frame = self._capture.read()
            with self._changed:
                self._ended = not more
                self._frame = frame if more else self._frame
                self._changed.notify()

    def take(self) -> np.ndarray | None:
        """The newest frame that was not taken yet; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._ended)
            frame, self._frame = self._frame, None
            return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", default="0")
    parser.add_argument("--frames", type=int, default=0, help="stop after so many; 0: never")
    parser.add_argument("--no-window", action="store_true")
    arguments = parser.parse_args()
    source = int(arguments.source) if arguments.source.isdigit() else arguments.source
    camera, shown, started = NewestFrame(source), 0, time.perf_counter()

    with Upscaler("edge-x4") as upscaler:
        out = None
        while (frame := camera.take()) is not None:
            out = upscaler(frame, out=out)
            shown += 1
            if not arguments.no_window:
                cv2.imshow("srsdk", out)
                if cv2.waitKey(1) == 27:
                    break
            if shown == arguments.frames:
                break
    print(f"{shown} frames, {shown / (time.perf_counter() - started):.1f} a second")


if __name__ == "__main__":
    main()
