"""What a video job did, for people and for `--report`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class VideoReport:
    """Account of one finished video.

    Attributes:
        source: The input.
        target: The output.
        compare: The side-by-side video; None where none was asked for.
        frames: Frames read, processed and written.
        input_size: Width and height of the input, upright.
        output_size: Width and height of the output.
        duration: Seconds of video, from the first frame to the end of the last.
        seconds: Working time per stage: decode, process, encode (with muxing), and compare. The
            stages run at the same time, so these add up to more than `wall`.
        waits: Time that each stage spent waiting for another; the stage that waits least is the
            bottleneck.
        wall: Seconds from opening the input to the finished output.
        fps: Frames per second of wall time.
        codec: Encoder.
        audio_tracks: Sound tracks copied.
        subtitle_tracks: Subtitle tracks copied.
        data_tracks: Data tracks and attachments copied.
        dropped_tracks: What the output has no place for, one description each.
        repaired_timestamps: Frames whose timestamp was missing or did not increase.
    """

    source: Path
    target: Path
    compare: Path | None
    frames: int
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    duration: float
    seconds: dict[str, float]
    waits: dict[str, float]
    wall: float
    fps: float
    codec: str
    audio_tracks: int
    subtitle_tracks: int
    data_tracks: int
    dropped_tracks: tuple[str, ...]
    repaired_timestamps: int

    def to_json(self) -> dict[str, Any]:
        """The same as plain types, ready for `json.dump`."""
        record = dataclasses.asdict(self)
        return {
            key: str(value) if isinstance(value, Path) else value for key, value in record.items()
        }
