from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from srsdk.errors import InputError, VideoError
from srsdk.video import EncodeOptions, ReadOptions, VideoReader, enhance_video


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_video_goes_through(make: Any, tmp_path: Path, tools: Any) -> None:
    stamps = [round(index * 40 + 12 * np.sin(index)) for index in range(40)]
    source = make("in.mp4", pts=stamps, time_base=Fraction(1, 1000), audio=("eng", "fra"))
    target = tmp_path / "out.mp4"
    seen: list[tuple[int, int | None]] = []
    report = enhance_video(
        source, target, tools.doubler(), on_progress=lambda *state: seen.append(state)
    )
    assert tools.frame_times(target) == tools.frame_times(source)
    before, after = tools.read_back(source), tools.read_back(target)
    assert [track.kind for track in after] == ["video", "audio", "audio"]
    for old, new in zip(before[1:], after[1:], strict=True):
        assert (old.payload, old.language) == (new.payload, new.language)
        assert np.allclose(old.times, new.times, atol=1e-4)
    with VideoReader(source) as small, VideoReader(target) as large:
        for old, new in zip(small, large, strict=True):
            expected = tools.doubler()(old.pixels)
            assert np.abs(expected.astype(int) - new.pixels).mean() < 3
    assert seen == [(index + 1, 40) for index in range(40)]
    assert (report.frames, report.audio_tracks) == (40, 2)
    assert (report.input_size, report.output_size) == ((64, 48), (128, 96))
    assert set(report.seconds) == {"decode", "process", "encode", "mux"}
    assert report.wall > 0
    assert report.fps == pytest.approx(40 / report.wall)
    assert json.loads(json.dumps(report.to_json()))["target"] == str(target)
    assert names(tmp_path) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize(("start", "end"), [("avi", "mp4"), ("mkv", "mov"), ("mp4", "mkv")])
def test_from_one_container_to_another(
    make: Any, tmp_path: Path, tools: Any, start: str, end: str
) -> None:
    codec = "mpeg4" if start == "avi" else "libx264"
    source = make(f"in.{start}", codec=codec, frames=25, audio=("eng",), options={"bf": "2"})
    target = tmp_path / f"out.{end}"
    assert enhance_video(source, target, tools.doubler()).frames == 25
    times = [float(time) for time in tools.frame_times(target)]
    assert np.allclose(np.diff(times), 0.04, atol=0.0011)
    sound = [track for track in tools.read_back(target) if track.kind == "audio"]
    assert sound[0].payload == tools.read_back(source)[1].payload


def test_sound_stays_where_it_was(make: Any, tmp_path: Path, tools: Any) -> None:
    """Picture that starts late, sound whose first packet lies before zero (AAC priming)."""
    source = make("in.mp4", pts=list(range(10, 40)), audio=("eng",))
    for name in ("out.mp4", "out.mkv"):
        enhance_video(source, tmp_path / name, tools.doubler())
        before, after = tools.read_back(source), tools.read_back(tmp_path / name)
        gap = before[0].start - before[1].start
        assert after[0].start - after[1].start == pytest.approx(gap, abs=0.0015)


def test_a_single_frame(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=1, size=(2, 2))
    assert enhance_video(source, tmp_path / "out.mp4", tools.doubler(), depth=1).frames == 1
    assert len(tools.frame_times(tmp_path / "out.mp4")) == 1


def test_side_by_side(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=15, audio=("eng",))
    report = enhance_video(
        source, tmp_path / "out.mp4", tools.doubler(), compare=tmp_path / "pair.mkv"
    )
    assert report.compare == tmp_path / "pair.mkv"
    assert report.seconds["compare"] > 0
    assert len(tools.frame_times(tmp_path / "out.mp4")) == 15
    original = tools.read_back(source)[1].payload
    for name in ("out.mp4", "pair.mkv"):
        assert tools.read_back(tmp_path / name)[1].payload == original
    with (
        VideoReader(source) as small,
        VideoReader(tmp_path / "out.mp4") as large,
        VideoReader(tmp_path / "pair.mkv") as pair,
    ):
        for old, new, both in zip(small, large, pair, strict=True):
            assert both.pixels.shape == (96, 256, 3)
            bicubic = cv2.resize(old.pixels, (128, 96), interpolation=cv2.INTER_CUBIC)
            assert np.abs(both.pixels[:, :128].astype(int) - bicubic).mean() < 3
            assert np.abs(both.pixels[:, 128:].astype(int) - new.pixels).mean() < 3


def test_a_rotated_clip_comes_out_upright(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=3)
    with VideoReader(source) as reader:
        upright = [np.rot90(frame.pixels, -1) for frame in reader]
    raw = bytearray(source.read_bytes())
    at = raw.index(b"tkhd") + 44
    for place, value in zip(range(9), (0, 1, 0, -1, 0, 0, 0, 0, 0), strict=True):
        raw[at + 4 * place : at + 4 * place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    raw[at + 32 : at + 36] = (1 << 30).to_bytes(4, "big")
    source.write_bytes(bytes(raw))
    report = enhance_video(source, tmp_path / "out.mp4", tools.doubler())
    assert report.input_size == (48, 64)
    assert report.output_size == (96, 128)
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert reader.info.orientation.turns == 0
        for before, after in zip(upright, reader, strict=True):
            assert np.abs(tools.doubler()(before).astype(int) - after.pixels).mean() < 3


class Own:
    """Ignores `out`."""

    scale = 2

    def __init__(self, result: Any = None) -> None:
        self.result = result

    def __call__(self, frame: Any, out: Any = None) -> Any:
        if self.result is not None:
            return self.result
        return np.repeat(np.repeat(frame, 2, 0), 2, 1)[::-1][::-1]


def test_a_processor_may_ignore_out(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=5)
    enhance_video(source, tmp_path / "a.mp4", Own())
    enhance_video(source, tmp_path / "b.mp4", tools.doubler())
    with VideoReader(tmp_path / "a.mp4") as a, VideoReader(tmp_path / "b.mp4") as b:
        for one, other in zip(a, b, strict=True):
            assert np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("result", [np.zeros((1, 2, 3), np.uint8), np.zeros((96, 128, 3)), "x"])
def test_a_wrong_result_is_an_error(make: Any, tmp_path: Path, result: Any) -> None:
    with pytest.raises(InputError, match="expected uint8"):
        enhance_video(make("in.mp4"), tmp_path / "out.mp4", Own(result))
    assert names(tmp_path) == ["in.mp4"]


class Failing:
    """Fails at one frame."""

    scale = 2

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, frame: Any, out: Any = None) -> Any:
        self.calls += 1
        if self.calls > self.at:
            raise RuntimeError(f"frame {self.at} is cursed")
        return np.repeat(np.repeat(frame, 2, 0), 2, 1)


@pytest.mark.parametrize("at", [0, 1, 30])
def test_the_first_error_ends_the_job_and_is_the_one_seen(
    make: Any, tmp_path: Path, at: int
) -> None:
    source = make("in.mp4", frames=60, audio=("eng",))
    threads = threading.active_count()
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=f"frame {at} is cursed"):
        enhance_video(source, tmp_path / "out.mp4", Failing(at), compare=tmp_path / "pair.mp4")
    assert time.monotonic() - start < 10
    assert threading.active_count() == threads
    assert names(tmp_path) == ["in.mp4"]


def test_a_damaged_input_ends_the_job(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=60, size=(160, 120))
    with av.open(str(source)) as container:
        position, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][30]
    assert position is not None
    raw = bytearray(source.read_bytes())
    raw[position + 5 : position + size] = b"\xa5" * (size - 5)
    source.write_bytes(bytes(raw))
    with pytest.raises(VideoError, match=r"in\.mp4.*damaged"):
        enhance_video(
            source, tmp_path / "out.mp4", tools.doubler(), read=ReadOptions(on_damage="stop")
        )
    assert names(tmp_path) == ["in.mp4"]


def test_an_error_in_progress_ends_the_job(make: Any, tmp_path: Path, tools: Any) -> None:
    def stop(done: int, total: int | None) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        enhance_video(make("in.mp4"), tmp_path / "out.mp4", tools.doubler(), on_progress=stop)
    assert names(tmp_path) == ["in.mp4"]


def test_names_that_clash(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=3)
    whole = source.read_bytes()
    with pytest.raises(VideoError, match="input itself"):
        enhance_video(source, source, tools.doubler(), overwrite=True)
    with pytest.raises(VideoError, match="input itself"):
        enhance_video(source, tmp_path / "o.mp4", tools.doubler(), compare=source, overwrite=True)
    with pytest.raises(VideoError, match="twice"):
        enhance_video(source, tmp_path / "o.mp4", tools.doubler(), compare=tmp_path / "o.mp4")
    (tmp_path / "pair.mp4").write_text("precious")
    with pytest.raises(VideoError, match="exists already"):
        enhance_video(source, tmp_path / "o.mp4", tools.doubler(), compare=tmp_path / "pair.mp4")
    assert source.read_bytes() == whole
    assert (tmp_path / "pair.mp4").read_text() == "precious"
    assert names(tmp_path) == ["in.mp4", "pair.mp4"]


def test_from_another_thread(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=20)
    reports: list[Any] = []

    def work(index: int) -> None:
        reports.append(enhance_video(source, tmp_path / f"{index}.mp4", tools.doubler()))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.frames for report in reports] == [20, 20, 20]


JOB = """
import sys, time, numpy as np
from srsdk.video import enhance_video

class Slow:
    scale = 2
    def __call__(self, frame, out=None):
        time.sleep(0.02)
        return np.repeat(np.repeat(frame, 2, 0), 2, 1)

def progress(done, total):
    if done == 5:
        print("running", flush=True)

try:
    enhance_video(sys.argv[1], sys.argv[2], Slow(), on_progress=progress)
except KeyboardInterrupt:
    print("stopped", flush=True)
    sys.exit(9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_nothing_behind(make: Any, tmp_path: Path) -> None:
    source = make("in.mp4", frames=1500, size=(32, 32), audio=("eng",))
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, str(source), str(tmp_path / "out.mp4")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert job.stdout is not None
    assert job.stdout.readline().strip() == "running"
    assert len(names(tmp_path)) == 2
    start = time.monotonic()
    job.send_signal(signal.SIGINT)
    out, err = job.communicate(timeout=30)
    assert time.monotonic() - start < 10
    assert (job.returncode, out.strip()) == (9, "stopped"), err
    assert names(tmp_path) == ["in.mp4"]


MEMORY = """
import sys, numpy as np
from srsdk.video import enhance_video

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

class Four:
    scale = 4
    def __call__(self, frame, out=None):
        out[:] = np.repeat(np.repeat(frame, 4, 0), 4, 1)
        return out

marks = {}
def progress(done, total):
    if done in (150, 600):
        marks[done] = resident()

enhance_video(sys.argv[1], sys.argv[2], Four(), on_progress=progress)
print(marks[600] - marks[150])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_stays_flat(make: Any, tmp_path: Path) -> None:
    """450 frames of 320x256 take 110 MB; none of it may stay."""
    source = make("in.mp4", frames=600, size=(80, 64), audio=("eng", "deu"))
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(source), str(tmp_path / "out.mp4")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
    )
    assert float(run.stdout) < 15


def test_a_slow_stage_holds_back_the_others(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the processor stalls, the decoder runs ahead by the depth of the queue, no further."""
    source = make("in.mp4", frames=40)
    decoded: list[int] = []
    original = VideoReader._frame

    class Stalling:
        scale = 1
        ahead = 0

        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, frame: Any, out: Any = None) -> Any:
            time.sleep(0.03)
            self.calls += 1
            self.ahead = max(self.ahead, len(decoded) - self.calls)
            return frame

    def counting(self: VideoReader, frame: Any, *, wanted: bool) -> Any:
        decoded.append(1)
        return original(self, frame, wanted=wanted)

    stalling = Stalling()
    monkeypatch.setattr(VideoReader, "_frame", counting)
    enhance_video(source, tmp_path / "out.mp4", stalling, depth=2)
    assert len(decoded) == 40
    assert stalling.ahead <= 4


@pytest.mark.skipif(not os.environ.get("SRSDK_DATA"), reason="SRSDK_DATA names no data folder")
@pytest.mark.parametrize("name", ["talk-512x480", "talk-700sq", "talk-720p"])
def test_real_clips(tmp_path: Path, tools: Any, name: str) -> None:
    path = Path(os.environ["SRSDK_DATA"]) / "videos" / f"{name}.mp4"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    source = tmp_path / "small.mp4"
    _shrink(path, source, frames=40)
    report = enhance_video(source, tmp_path / "out.mp4", tools.doubler())
    assert report.frames == 40
    assert tools.frame_times(tmp_path / "out.mp4") == tools.frame_times(source)
    before, after = tools.read_back(source)[1], tools.read_back(tmp_path / "out.mp4")[1]
    assert before.payload == after.payload
    assert np.allclose(before.times, after.times, atol=1e-4)


def _shrink(path: Path, target: Path, frames: int) -> None:
    """The first frames at 320 wide, with the sound up to there."""
    from srsdk.video import Frame, VideoWriter

    with VideoReader(path) as reader:
        info = reader.info
        height = round(info.height * 320 / info.width / 2) * 2
        with VideoWriter(
            target, 320, height, info.time_base, colour=info.colour, template=reader
        ) as writer:
            for item in reader.read():
                if not isinstance(item, Frame):
                    writer.copy(item)
                    continue
                small = cv2.resize(item.pixels, (320, height), interpolation=cv2.INTER_AREA)
                writer.write(small, item.pts, item.duration)
                if writer.frames == frames:
                    break


def test_options_reach_the_encoder(make: Any, tmp_path: Path, tools: Any) -> None:
    source = make("in.mp4", frames=30, size=(128, 96))
    sizes = []
    for crf in (10, 40):
        target = tmp_path / f"{crf}.mp4"
        enhance_video(source, target, tools.doubler(), encode=EncodeOptions(crf=crf))
        sizes.append(target.stat().st_size)
    assert sizes[0] > 2 * sizes[1]
