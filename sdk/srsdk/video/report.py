"""What a video job did, for people and for `--report`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srsdk.video.damage import Damage
    from srsdk.video.pipeline import Pipeline
    from srsdk.video.samples import Samples
    from srsdk.video.source import FrameOutput, FrameSource
    from srsdk.video.tracks import TrackPlan


@dataclass(frozen=True)
class VideoReport:
    """What was done to one finished video.

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


def make_report(
    pipeline: Pipeline,
    reader: FrameSource,
    plan: TrackPlan | None,
    target: Path,
    codec: str,
    size: tuple[int, int],
    output: FrameOutput,
    wall: float,
) -> VideoReport:
    """The account of a pipeline that has run.

    Args:
        pipeline: It.
        reader: Its input.
        plan: What became of the tracks beside the picture; None where there are none.
        target: The output.
        codec: Encoder.
        size: Width and height of the output.
        output: What took the frames.
        wall: Seconds that all of it took.
    """
    info, timer = reader.info, pipeline.timer
    stages = ["decode", "process", "encode", "mux", *(["compare"] if pipeline.compares else [])]
    return VideoReport(
        source=reader.path,
        target=target,
        compare=None,
        frames=pipeline.frames,
        resumed_frames=pipeline.resumed,
        restarted="",
        input_size=(info.width, info.height),
        output_size=size,
        duration=float((pipeline.end - (pipeline.start or 0)) * info.time_base),
        seconds={stage: timer.total(stage) for stage in stages},
        waits={stage: timer.total(f"{stage}.wait") for stage in ("decode", "process", "encode")},
        wall=wall,
        fps=pipeline.frames / wall,
        codec=codec,
        audio_tracks=plan.audio if plan else 0,
        subtitle_tracks=plan.subtitles if plan else 0,
        data_tracks=plan.data if plan else 0,
        converted_tracks=tuple(plan.converted) if plan else (),
        dropped_tracks=tuple(plan.dropped) if plan else (),
        repaired_timestamps=reader.repaired_timestamps,
        damage=tuple(reader.damage),
        warnings=(
            *reader.warnings,
            *output.warnings,
            *_shallower(info.samples, output.samples),
        ),
    )


def _shallower(held: Samples, stored: Samples) -> list[str]:
    if stored.bits >= held.bits:
        return []
    return [f"its {held.bits} bits per component are stored as {stored.bits}"]
