"""What the face path does to video: talking heads reduced and brought back, faces on against off.

    python -m tests.benchmarks.faces [CLIP...] [--models portrait-x4] [--json FILE] ...

Clips are reduced to 160 pixels of width (320 for x2), enlarged again by a stream, and compared with
themselves in the box of the largest face: PSNR; flicker, the mean error of the change from frame to
frame; SSIMULACRA2 (where the package is installed); identity, the distance of dlib's face
descriptors, lower is nearer; and the distance of radial power spectra in dB. Without CLIP: those of
the folder videos/ in SRSDK_DATA, else `examples/make_clip.py`'s portrait from near (it needs
scikit-image), whose face has 33 and 66 low-resolution pixels. Nothing here is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from srsdk import Upscaler
from srsdk.faces import BlazeFaceDetector, Face
from srsdk.faces.crop import face_squares
from srsdk.faces.identity import FaceDescriptor, cut_chip
from srsdk.types import Pixels
from srsdk.video import VideoReader
from srtrain.judge import open_ssimulacra2
from srtrain.metrics import psnr
from srtrain.spectra import spectrum_distance

CLOSE_UP = "close-up, drawn"
MAKE_CLIP = Path(__file__).parents[2] / "examples" / "make_clip.py"
FRAMES = 40
LOOKED_AT = slice(FRAMES // 2, FRAMES // 2 + 3)  # frames for what costs seconds or needs a few only
WIDTH = {2: 320, 4: 160}


@dataclass(frozen=True)
class Quality:
    """Means over the frames of a clip, in the face's box."""

    psnr: float
    flicker: float
    ssimulacra2: float | None
    identity: float
    spectrum: float


@dataclass(frozen=True)
class Pair:
    """A clip as it is wanted, reduced, and its largest face."""

    hr: list[Pixels]
    lr: list[Pixels]
    face: Face

    def cut(self, frame: Pixels) -> Pixels:
        x, y, width, height = (max(0, round(value)) for value in self.face.box)
        return np.ascontiguousarray(frame[y : y + height, x : x + width])


def read(clip: Path) -> list[Pixels]:
    """The first frames of a clip."""
    with VideoReader(clip) as reader:
        return [np.array(frame.pixels) for frame in islice(reader, FRAMES)]


def close_up() -> list[Pixels]:
    """The example's portrait from near, drawn anew: no codec has touched it."""
    drawn: list[Pixels] = runpy.run_path(str(MAKE_CLIP))["close_up"](FRAMES)
    return [_rgb(frame) for frame in drawn]


def pair_of(frames: Sequence[Pixels], scale: int) -> Pair | None:
    """Frames and their reduction; None where no face is found in the middle one."""
    height, width = frames[0].shape[:2]
    wide = min(WIDTH[scale], width // scale)
    size = (wide, max(1, height * wide // width))
    hr = [_resize(frame, (size[0] * scale, size[1] * scale)) for frame in frames]
    found = BlazeFaceDetector().detect(hr[len(hr) // 2])
    if not found:
        return None
    face = max(found, key=lambda each: each.box[2] * each.box[3])
    return Pair(hr, [_resize(frame, size) for frame in hr], face)


def judge(pair: Pair, results: Sequence[Pixels], descriptor: FaceDescriptor) -> Quality:
    """Compare a stream's results with what they should be."""
    made, wanted = ([pair.cut(frame) for frame in frames] for frames in (results, pair.hr))
    changes = [
        np.abs((b.astype(int) - a) - (d.astype(int) - c)).mean()
        for (a, b), (c, d) in zip(pairwise(made), pairwise(wanted), strict=True)
    ]
    similarity = open_ssimulacra2()
    few = list(zip(made[LOOKED_AT], wanted[LOOKED_AT], strict=True))
    chips = [
        [cut_chip(frame, _square(pair.face), "bgr") for frame in frames[LOOKED_AT]]
        for frames in (results, pair.hr)
    ]
    return Quality(
        psnr=float(np.mean([psnr(a, b) for a, b in zip(made, wanted, strict=True)])),
        flicker=float(np.mean(changes)),
        ssimulacra2=similarity and float(np.mean([similarity(_rgb(b), _rgb(a)) for a, b in few])),
        identity=float(np.mean([descriptor.distance(*two) for two in zip(*chips, strict=True)])),
        spectrum=float(np.mean([spectrum_distance(*map(_middle, two)) for two in few])),
    )


def measure(
    clips: Mapping[str, Callable[[], list[Pixels]]], models: Sequence[str], precision: str
) -> list[dict[str, Any]]:
    """A row for each clip and face model, with what is there without it.

    Args:
        clips: By name, what gives their frames.
        models: Face models.
        precision: Of these and of the frame's models.
    """
    descriptor = FaceDescriptor()
    rows = []
    for clip, frames in clips.items():
        given = frames()
        for model in models:
            scale = int(Path(model).stem.rsplit("-x", 1)[-1][:1])
            pair = pair_of(given, scale)
            if pair is None:
                print(f"{clip}: no face")
                continue
            quality = {}
            for faces in (None, model):
                with (
                    Upscaler(f"edge-x{scale}", faces=faces, precision=precision) as upscaler,
                    upscaler.stream() as stream,
                ):
                    results = [np.array(stream(frame)) for frame in pair.lr]
                quality["off" if faces is None else "on"] = judge(pair, results, descriptor)
            row = {"clip": clip, "model": Path(model).stem, "face": pair.face.box[3] / scale}
            rows.append({**row, **{name: asdict(each) for name, each in quality.items()}})
            print(_line(rows[-1]), flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown, with the mean of each model's last."""
    lines = [
        "# Faces in video: the face path on against off",
        "",
        "| clip | model | face, LR px | PSNR, dB | flicker | SSIMULACRA2 | identity | spectrum |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *map(_line, sorted(rows, key=lambda row: row["model"], reverse=True)),
    ]
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        change = np.mean([row["on"]["psnr"] - row["off"]["psnr"] for row in own])
        ratios = [
            np.mean([row["on"][key] / row["off"][key] for row in own])
            for key in ("flicker", "identity", "spectrum")
        ]
        lines.append(
            f"| mean | {model} | | {change:+.2f} | {ratios[0]:.3f}x | | {ratios[1]:.2f}x | "
            f"{ratios[2]:.2f}x |"
        )
    return "\n".join([*lines, ""])


def _line(row: dict[str, Any]) -> str:
    off, on = row["off"], row["on"]
    seen = ""
    if on["ssimulacra2"] is not None:
        seen = f"{off['ssimulacra2']:.1f} to {on['ssimulacra2']:.1f}"
    return (
        f"| {row['clip']} | {row['model']} | {row['face']:.0f} | {on['psnr'] - off['psnr']:+.2f} | "
        f"{on['flicker'] / off['flicker']:.3f}x | {seen} | {off['identity']:.3f} to "
        f"{on['identity']:.3f} | {off['spectrum']:.1f} to {on['spectrum']:.1f} |"
    )


def _resize(frame: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _rgb(frame: Pixels) -> Pixels:
    return np.ascontiguousarray(frame[..., ::-1])


def _middle(image: Pixels) -> Pixels:
    """The square in the middle, as one image of a set."""
    side = min(image.shape[:2]) // 2 * 2
    top, left = ((size - side) // 2 for size in image.shape[:2])
    return _rgb(image[top : top + side, left : left + side])[None]


def _square(face: Face) -> tuple[float, float, float, float]:
    x, y, side = face_squares([face.box])[0]
    return (x, y, side, face.roll)


def _clips(given: Sequence[Path]) -> dict[str, Callable[[], list[Pixels]]]:
    data = os.environ.get("SRSDK_DATA")
    paths = given or (sorted(Path(data, "videos").glob("*.mp4")) if data else ())
    return {path.name: partial(read, path) for path in paths} or {CLOSE_UP: close_up}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", nargs="*", type=Path, help="videos with a face")
    parser.add_argument("--models", nargs="+", default=["portrait-x4", "portrait-x2"])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    rows = measure(_clips(options.clips), options.models, options.precision)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    if options.markdown:
        options.markdown.write_text(table(rows), "utf-8")


if __name__ == "__main__":
    main()
