"""What a video job did, for people and for `--report`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srsdk.video.damage import Damage


@dataclass(frozen=True)
class VideoReport:
    """Account of one finished video.

    Attributes:
        source: The input.
        target: The output.
        compare: The side-by-side video; None where none was asked for.
        frames: Frames in the output.
        resumed_frames: Frames among them that an earlier run had made.
        restarted: Why the work of an earlier run was of no use; empty where none was thrown away.
        input_size: Width and height of the input, upright.
        output_size: Width and height of the output.
        duration: Seconds of video, from the first frame to the end of the last.
        seconds: Working time per stage: decode, process, encode, mux (of the tracks beside the
            picture, and of packets that an earlier run made), and compare. The stages run at the
            same time, so these add up to more than `wall`.
        waits: Time that each stage spent waiting for another; the stage that waits least is the
            bottleneck.
        wall: Seconds from opening the input to the finished output.
        fps: Frames per second of wall time.
        codec: Encoder.
        audio_tracks: Sound tracks in the output.
        subtitle_tracks: Subtitle tracks in the output.
        data_tracks: Data tracks, time codes, attachments and covers in the output.
        converted_tracks: Tracks among them that were not copied but converted, a description each.
        dropped_tracks: Tracks that are not in the output and why, a description each.
        repaired_timestamps: Frames whose timestamp was missing or did not increase.
        damage: The damaged spots of the input.
        warnings: What a viewer should know about the input, one line each, damage included.
    """

    source: Path
    target: Path
    compare: Path | None
    frames: int
    resumed_frames: int
    restarted: str
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
    converted_tracks: tuple[str, ...]
    dropped_tracks: tuple[str, ...]
    repaired_timestamps: int
    damage: tuple[Damage, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as plain types, ready for `json.dump`."""
        record = dataclasses.asdict(self)
        return {
            key: str(value) if isinstance(value, Path) else value for key, value in record.items()
        }
