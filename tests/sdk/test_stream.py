"""`Upscaler.stream`: a context manager that is called, and says which faces are in the frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srsdk import Upscaler
from srsdk.backends import BACKENDS
from srsdk.errors import InputError
from srsdk.faces import Face
from srsdk.types import Pixels
from tests.sdk.cuda.device_on_host import expected, frames


class OneFace:
    """Finds a face in every frame that is not black."""

    box = (30.0, 20.0, 32.0, 40.0)

    def detect(self, frame: Pixels) -> list[Face]:
        return [Face(self.box, 0.9)] if frame.any() else []


def test_faces_of_this_frame_and_of_all(models: dict[str, Path]) -> None:
    shown = frames(0, 90, 110)
    with (
        Upscaler(models["edge-x4"], faces=models["residual-x4"], detector=OneFace()) as upscaler,
        upscaler.stream(detect_every=1) as stream,
    ):
        assert (stream.faces, stream.faces_total) == ((), 0)
        for number in (1, 2):
            stream(shown)
            assert [face.id for face in stream.faces] == [1]
            assert np.allclose(stream.faces[0].box, OneFace.box)
            assert stream.faces_total == number
        stream(np.zeros_like(shown))  # a cut
        assert (stream.faces, stream.faces_total) == ((), 2)
        stream(shown)
        assert [face.id for face in stream.faces] == [2]
    with Upscaler(models["edge-x4"]) as upscaler:
        stream = upscaler.stream()
        stream(shown)
        assert (stream.faces, stream.faces_total) == ((), 0)


def test_closing_waits_for_the_frames_on_their_way(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "host", "tests.sdk.cuda.device_on_host")
    shown = [frames(seed, 8, 8) for seed in range(3)]
    with Upscaler(models["edge-x4"], backend="host") as upscaler:
        with upscaler.stream() as stream:
            handed_in = [stream.submit(frame) for frame in shown]
        for frame, result in zip(shown, handed_in, strict=True):
            known = expected(models["edge-x4"], frame[None])[0]
            np.testing.assert_array_equal(result.result(), known)
        with pytest.raises(InputError, match="stream is closed"):
            stream(shown[0])
        upscaler(shown[0])  # closing a stream closes nothing else
