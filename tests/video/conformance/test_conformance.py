"""Every kind of video that people have, judged by FFmpeg's own tools as independent readers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from srsdk.errors import SrsdkError
from srsdk.video import EncodeOptions, enhance_video
from tests.video.conformance.clips import CLIPS, Clip
from tests.video.conformance.judge import judge, look

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="needs ffmpeg and ffprobe"
)


class Doubler:
    """Bicubic, since the pixels do not matter."""

    scale = 2

    def __call__(self, frame: Any, out: Any = None) -> Any:
        height, width = frame.shape[:2]
        large = cv2.resize(frame, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
        if out is None:
            return large
        np.copyto(out, large)
        return out


def _made(clip: Clip, folder: Path) -> Path:
    try:
        return clip.make(folder)
    except subprocess.CalledProcessError as error:
        text = error.stderr.decode(errors="replace")
        if "Unknown encoder" in text or "No such filter" in text:
            pytest.skip(f"this ffmpeg cannot make it: {text.splitlines()[0]}")
        raise AssertionError(text) from error


def _encoding(clip: Clip) -> EncodeOptions | None:
    if clip.target == ".webm":
        return None
    return EncodeOptions(crf=4, preset="ultrafast")


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_clip(tmp_path: Path, clip: Clip) -> None:
    source = _made(clip, tmp_path)
    result = tmp_path / f"result{clip.target}"
    if clip.refused:
        process: Any = Doubler()
        if clip.refused == "even":
            process.scale = 1
        with pytest.raises(SrsdkError, match=clip.refused):
            enhance_video(source, result, process, encode=_encoding(clip))
        assert not result.exists()
        return
    report = enhance_video(source, result, Doubler(), encode=_encoding(clip))
    if clip.exact:
        marks = judge(source, result, scale=2, colour=clip.colour, bits=clip.bits, alpha=clip.alpha)
        assert all(marks.values()), (marks, look(source), look(result))
        assert report.warnings == ()
    else:
        times = look(result).times
        assert len(times) == report.frames > 20
        assert times == sorted(times)
        assert report.warnings


def test_there_are_enough_clips() -> None:
    assert len(CLIPS) >= 60
    assert len({clip.name for clip in CLIPS}) == len(CLIPS)
