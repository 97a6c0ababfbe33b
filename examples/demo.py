"""What `make demo` runs: the example clip x4, its face enhanced, and a picture beside bicubic."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from srsdk import Upscaler
from srsdk.faces import BlazeFaceDetector
from srsdk.timing import StageTimer
from srsdk.video import VideoReader, enhance_video

CLIP = Path(__file__).with_name("portrait.mp4")
SHOWN_SIDE = 128  # pixels of the input in the picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder to write into")
    parser.add_argument("--shown", type=int, default=110, help="frame in the picture")
    parser.add_argument("--model", default="edge-x4")
    parser.add_argument("--faces", default="portrait-x4")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    video, picture = folder / "portrait-x4.mp4", folder / "side-by-side.png"
    timer = StageTimer()

    with Upscaler(arguments.model, faces=arguments.faces) as upscaler:
        stream = upscaler.stream(timer=timer)
        report = enhance_video(arguments.clip, video, stream, overwrite=True)
    cv2.imwrite(str(picture), side_by_side(arguments.clip, video, arguments.shown))

    (width, height), (large_width, large_height) = report.input_size, report.output_size
    print(f"{width}x{height} -> {large_width}x{large_height}, {report.frames} frames, ", end="")
    print(f"{stream.faces_total} faces enhanced, {report.audio_tracks} audio track")
    print(f"video    {video.resolve()}")
    print(f"picture  {picture.resolve()}  (left: bicubic, right: srsdk)")
    per_frame = {stage: 1000 * timer.total(stage) / report.frames for stage in timer.stages}
    print("ms a frame: " + ", ".join(f"{stage} {ms:.1f}" for stage, ms in per_frame.items()))
    print(f"{report.fps:.1f} frames a second, decoding and encoding included")


def side_by_side(source: Path, result: Path, number: int) -> np.ndarray:
    """Frame `number` of both videos around its first face; the source is enlarged bicubically."""
    small, large = read_frame(source, number), read_frame(result, number)
    height, width = small.shape[:2]
    scale = large.shape[0] // height
    bicubic = cv2.resize(small, large.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    x, y = width / 2, height / 2
    if found := BlazeFaceDetector().detect(small):
        left, top, face_width, face_height = found[0].box
        x, y = left + face_width / 2, top + face_height / 2
    side = min(SHOWN_SIDE, height, width)
    left = round(min(max(x - side / 2, 0), width - side)) * scale
    top = round(min(max(y - side / 2, 0), height - side)) * scale
    side *= scale
    pair = [image[top : top + side, left : left + side] for image in (bicubic, large)]
    return np.concatenate(pair, axis=1)


def read_frame(path: Path, number: int) -> np.ndarray:
    with VideoReader(path) as reader:
        for n, frame in enumerate(reader):
            if n == number:
                return frame.pixels
    raise SystemExit(f"{path} has fewer than {number + 1} frames")


if __name__ == "__main__":
    main()
