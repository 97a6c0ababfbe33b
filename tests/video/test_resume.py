"""A video job that is cut off goes on where it was, and the result is the same, byte for byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from srsdk.errors import VideoError
from srsdk.video import EncodeOptions, VideoReader, enhance_video
from srsdk.video.job import JobFolder, folder_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


class Counting:
    """Doubles frames and writes on each how many came before: a processor with a memory."""

    scale = 2

    def __init__(self, fail_at: int | None = None, pause: float = 0.0) -> None:
        self.seen, self.called = 0, 0
        self.fail_at, self.pause = fail_at, pause

    def __call__(self, frame: Any, out: Any = None) -> Any:
        if self.fail_at is not None and self.seen >= self.fail_at:
            raise RuntimeError("the power failed")
        time.sleep(self.pause)
        height, width = frame.shape[:2]
        sr = cv2.resize(frame, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
        sr[:8, :8] = self.seen % 250
        self.seen += 1
        self.called += 1
        return sr

    def state(self) -> bytes:
        return json.dumps(self.seen).encode()

    def restore(self, state: bytes) -> None:
        self.seen = json.loads(state)


def long_clip(make: Any, name: str = "in.mp4", **settings: Any) -> Path:
    """620 frames, so three chunks; unequal distances, sound."""
    gaps = [40, 40, 33, 50, 40, 1, 75, 40]
    stamps = np.cumsum([0, *(gaps[n % len(gaps)] for n in range(619))]).tolist()
    options = {"g": "50", **settings.pop("options", {})}
    settings = {"audio": ("eng",), **settings}
    return Path(make(name, pts=stamps, time_base=Fraction(1, 1000), options=options, **settings))


@pytest.mark.parametrize(
    ("target", "codec"), [("out.mp4", None), ("out.mkv", "libx265"), ("out.webm", None)]
)
def test_a_job_goes_on_and_the_bytes_are_the_same(
    make: Any, tmp_path: Path, target: str, codec: str | None
) -> None:
    source = long_clip(make, audio=() if target == "out.webm" else ("eng",))
    (tmp_path / "whole").mkdir()
    encode = None if codec is None else EncodeOptions(codec=codec)
    settings: dict[str, Any] = {"encode": encode, "identity": {"model": "counting"}}
    whole = enhance_video(source, tmp_path / "whole" / target, Counting(), **settings)
    assert (whole.frames, whole.resumed_frames) == (620, 0)
    first = Counting(fail_at=300)
    with pytest.raises(RuntimeError, match="power"):
        enhance_video(source, tmp_path / target, first, **settings)
    assert folder_of(tmp_path / target).is_dir()
    assert not (tmp_path / target).exists()
    second = Counting(fail_at=550)
    with pytest.raises(RuntimeError, match="power"):
        enhance_video(source, tmp_path / target, second, **settings)
    last = Counting()
    report = enhance_video(source, tmp_path / target, last, **settings)
    assert report.resumed_frames >= 480
    assert last.called == 620 - report.resumed_frames
    assert (report.frames, report.restarted) == (620, "")
    assert (tmp_path / target).read_bytes() == (tmp_path / "whole" / target).read_bytes()
    assert not folder_of(tmp_path / target).exists()


def test_transparency_is_gone_on_with_too(make: Any, tmp_path: Path) -> None:
    opacity = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    clear = np.dstack([np.full((48, 64, 3), 90, np.uint8), opacity])
    frames = [av.VideoFrame.from_ndarray(clear, format="bgra") for _ in range(620)]
    source = long_clip(
        make, "in.mkv", codec="ffv1", pixel_format="bgra", video_frames=frames, audio=()
    )
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / "out.webm"
    enhance_video(source, whole, Counting(), identity={})
    with pytest.raises(RuntimeError):
        enhance_video(source, tmp_path / "out.webm", Counting(fail_at=550), identity={})
    report = enhance_video(source, tmp_path / "out.webm", Counting(), identity={})
    assert report.resumed_frames >= 480
    assert (tmp_path / "out.webm").read_bytes() == whole.read_bytes()


def test_comparisons_are_gone_on_with_too(make: Any, tmp_path: Path) -> None:
    source = long_clip(make)
    (tmp_path / "whole").mkdir()
    for folder, fails in ((tmp_path / "whole", (None,)), (tmp_path, (400, None))):
        for fail in fails:
            arguments = (source, folder / "out.mp4", Counting(fail_at=fail))
            settings: dict[str, Any] = {"compare": folder / "pair.mp4", "identity": {}}
            if fail is None:
                enhance_video(*arguments, **settings)
            else:
                with pytest.raises(RuntimeError):
                    enhance_video(*arguments, **settings)
    for name in ("out.mp4", "pair.mp4"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("change", ["input", "model", "encoding"])
def test_another_job_begins_anew_and_says_why(make: Any, tmp_path: Path, change: str) -> None:
    source = long_clip(make)
    target = tmp_path / "out.mp4"
    with pytest.raises(RuntimeError):
        enhance_video(source, target, Counting(fail_at=400), identity={"model": "a"})
    if change == "input":
        os.utime(source, (1, 1))
    report = enhance_video(
        source,
        target,
        Counting(),
        encode=EncodeOptions(crf=30) if change == "encoding" else None,
        identity={"model": "b" if change == "model" else "a"},
    )
    assert report.resumed_frames == 0
    assert report.restarted == f"{change} changed"


def test_without_an_identity_nothing_is_kept(make: Any, tmp_path: Path) -> None:
    source = long_clip(make)
    with pytest.raises(RuntimeError):
        enhance_video(source, tmp_path / "out.mp4", Counting(fail_at=400))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]


@pytest.mark.parametrize("damage", ["journal", "packets", "state", "shorter"])
def test_damaged_left_overs_are_not_used(make: Any, tmp_path: Path, damage: str) -> None:
    source, target = long_clip(make), tmp_path / "out.mp4"
    (tmp_path / "whole").mkdir()
    enhance_video(source, tmp_path / "whole" / "out.mp4", Counting(), identity={})
    with pytest.raises(RuntimeError):
        enhance_video(source, target, Counting(fail_at=590), identity={})
    folder = folder_of(target)
    names = {"journal": "journal", "packets": "00001.0.packets", "state": "00000.state"}
    path = folder / names.get(damage, "00000.0.packets")
    raw = bytearray(path.read_bytes())
    if damage == "journal":
        path.write_bytes(raw[:-5])  # the last line was cut off
    elif damage == "state":
        path.unlink()
    elif damage == "shorter":
        path.write_bytes(raw[: len(raw) // 2])
    else:
        raw[len(raw) // 2] ^= 0xFF
        path.write_bytes(raw)
    report = enhance_video(source, target, Counting(), identity={})
    expected = {"journal": 1, "packets": 1, "state": 0, "shorter": 0}[damage]
    assert (report.resumed_frames > 0) == (expected > 0)
    assert target.read_bytes() == (tmp_path / "whole" / "out.mp4").read_bytes()


def test_a_folder_that_was_being_taken_away_is_taken_away(make: Any, tmp_path: Path) -> None:
    source, target = make("in.mp4", frames=5), tmp_path / "out.mp4"
    enhance_video(source, target, Counting())
    folder_of(target).mkdir()
    (folder_of(target) / "lock").touch()
    with pytest.raises(VideoError, match="exists already"):
        enhance_video(source, target, Counting())
    assert not folder_of(target).exists()


def test_two_jobs_on_one_output(make: Any, tmp_path: Path) -> None:
    source, target = make("in.mp4", frames=5), tmp_path / "out.mp4"
    folder = JobFolder(target, 1)
    with pytest.raises(VideoError, match="another srsdk"):
        enhance_video(source, target, Counting())
    folder.close(keep=False)
    enhance_video(source, target, Counting())


_PROGRAM = """
import sys
sys.path[:0] = {path!r}
from tests.video.test_resume import Counting
from srsdk.video import enhance_video
enhance_video({source!r}, {target!r}, Counting(pause=0.001), identity={{}})
"""


def _killed_job(source: Path, target: Path, moments: random.Random, limit: int) -> int:
    """Run the job in a process that is killed at random moments, until it is done; the kills."""
    root = str(Path(__file__).parents[2])
    code = _PROGRAM.format(path=[root], source=str(source), target=str(target))
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
        try:
            wait = moments.uniform(0.2, 4.0) if kills < limit else 300
            _, err = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            if target.exists():  # killed after all was done
                with pytest.raises(VideoError, match="exists already"):
                    enhance_video(source, target, Counting(), identity={})
                return kills
            continue
        assert process.returncode == 0, err
        return kills


@posix
@pytest.mark.parametrize(
    "kills", [10, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])]
)
def test_killed_at_random_moments(make: Any, tmp_path: Path, kills: int) -> None:
    source = long_clip(make)
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / "out.mp4"
    enhance_video(source, whole, Counting(), identity={})
    moments, done, jobs = random.Random(kills), 0, 0
    while done < kills:
        target = tmp_path / "out.mp4"
        target.unlink(missing_ok=True)
        done += _killed_job(source, target, moments, kills - done)
        jobs += 1
        assert target.read_bytes() == whole.read_bytes()
        assert not folder_of(target).exists()
        assert jobs < 10 * kills


_LIMITED = """
import resource, signal, sys
sys.path[:0] = {path!r}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from tests.video.test_resume import Counting
from srsdk.errors import VideoError
from srsdk.video import enhance_video
try:
    enhance_video({source!r}, {target!r}, Counting(), identity={{}})
except VideoError as error:
    print(error)
"""


@posix
def test_a_full_disk(make: Any, tmp_path: Path) -> None:
    source, target = long_clip(make), tmp_path / "out.mp4"
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / "out.mp4"
    enhance_video(source, whole, Counting(), identity={})
    size = whole.stat().st_size
    root = str(Path(__file__).parents[2])
    sizes = random.Random(5)
    for share in (0.1, 0.5, *(sizes.uniform(0, 1) for _ in range(3))):
        code = _LIMITED.format(
            path=[root], limit=int(share * size), source=str(source), target=str(target)
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "cannot be" in done.stdout, (share, done.stdout, done.stderr)
        assert not target.exists()
    enhance_video(source, target, Counting(), identity={})
    assert target.read_bytes() == whole.read_bytes()


def test_tracked_faces_go_on(tmp_path: Path) -> None:
    """The stream's own memory: tracks, their smoothing, their fading."""
    from srsdk import Upscaler
    from srsdk.video.reader import VideoReader

    source = Path(__file__).parents[2] / "examples" / "portrait.mp4"
    with VideoReader(source) as reader:
        frames = [frame.pixels.copy() for _, frame in zip(range(24), reader, strict=False)]
    with Upscaler("bicubic-x4", faces="portrait-x4", max_face=40) as upscaler:
        with upscaler.stream() as whole:
            expected = [whole(frame) for frame in frames]
        with upscaler.stream() as first:
            for frame in frames[:13]:
                first(frame)
            state = first.state()
        with upscaler.stream() as second:
            second.restore(state)
            results = [second(frame) for frame in frames[13:]]
            assert second.faces == whole.faces
            assert second.faces_total == whole.faces_total > 0
    for result, right in zip(results, expected[13:], strict=True):
        np.testing.assert_array_equal(result, right)


def test_memory_that_is_not_srsdk_s_own_is_refused() -> None:
    import pickle

    from srsdk import snapshot
    from srsdk.errors import InputError

    assert snapshot.load(snapshot.dump({"a": np.arange(3)}))["a"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="not allowed"):
        snapshot.load(pickle.dumps(os.system))
    with pytest.raises(InputError):
        snapshot.load(b"nonsense")


_STREAMS: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": {"g": "40", "bf": "2"}},
    "h264.ts": {"options": {"g": "40", "bf": "2"}, "audio": ()},
    "open.mkv": {"options": {"x264-params": "open-gop=1:keyint=40:bframes=3"}},
    "refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=60"}},
    "one.mp4": {"options": {"x264-params": "keyint=infinite:min-keyint=infinite"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=40:log-level=error"}},
    "mpeg2.mkv": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}, "time_base": None},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "30"}, "audio": (), "time_base": None},
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "options": {"g": "40", "deadline": "realtime", "cpu-used": "8"},
        "audio": (),
    },
    "ffv1.mkv": {"codec": "ffv1", "options": {"g": "5"}},
    "mjpeg.mov": {"codec": "mjpeg", "pixel_format": "yuvj420p", "time_base": None},
    "deep.mkv": {"pixel_format": "yuv420p10le", "options": {"g": "40"}},
}
_DECODED_AGAIN = {"refresh.mp4", "one.mp4"}
"""Where no key frame begins a picture that does not depend on what came before."""


@pytest.mark.parametrize("name", _STREAMS)
def test_finished_chunks_are_not_decoded_again(make: Any, tmp_path: Path, name: str) -> None:
    settings = {"audio": ("eng",), "frames": 620, **_STREAMS[name]}
    if "time_base" not in settings:
        source = long_clip(make, name, **settings)
    else:
        source = make(name, **settings)
    target, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    plain: dict[str, Any] = {"identity": {}, "encode": EncodeOptions(preset="ultrafast")}
    enhance_video(source, whole, Counting(), **plain)
    for fail_at in (300, 590):
        with pytest.raises(RuntimeError):
            enhance_video(source, target, Counting(fail_at=fail_at), **plain)
    reader = VideoReader(source)
    report = enhance_video(reader, target, Counting(), **plain)
    assert report.resumed_frames >= 480
    assert (reader.decoded_packets < 400) == (name not in _DECODED_AGAIN)
    assert target.read_bytes() == whole.read_bytes()


def test_a_decoder_that_goes_astray_is_found_out(make: Any, tmp_path: Path) -> None:
    """Notes that do not fit what is decoded are not believed: everything is decoded again."""
    source, target = long_clip(make), tmp_path / "out.mp4"
    whole = tmp_path / "whole.mp4"
    enhance_video(source, whole, Counting(), identity={})
    with pytest.raises(RuntimeError):
        enhance_video(source, target, Counting(fail_at=590), identity={})
    path = sorted(folder_of(target).glob("*.notes"))[-1]
    notes = json.loads(zlib.decompress(path.read_bytes()))
    notes["packets"][-20][1][0][-1] ^= 1  # the checksum of a frame
    path.write_bytes(zlib.compress(json.dumps(notes).encode()))
    reader = VideoReader(source)
    enhance_video(reader, target, Counting(), identity={})
    assert reader.decoded_packets > 620
    assert target.read_bytes() == whole.read_bytes()
