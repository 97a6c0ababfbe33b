"""Measures an `Upscaler` frame by frame, for `srsdk bench`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import srsdk
from srsdk import zoo
from srsdk.cli.checks import processor
from srsdk.cli.report import versions
from srsdk.errors import InputError, VideoError
from srsdk.timing import StageSummary, StageTimer

if TYPE_CHECKING:
    from srsdk.backends import Pixels
    from srsdk.upscaler import Upscaler, UpscalerInfo


@dataclass(frozen=True)
class Measurement:
    """What was measured.

    Attributes:
        info: What ran.
        source: The video, or None for made-up frames.
        size: Width and height of the frames.
        frames: Frames measured.
        warmup: Frames before that.
        faces: Faces enhanced in the measured frames, counted once a frame.
        stages: Seconds by stage. "total" is the whole frame, u8 in to u8 out; "frame", "detect",
            "faces" and "blend" are its parts; "unpack", "graph" and "pack" those of "frame",
            measured in a run of their own; "decode" comes before and is in none of them.
    """

    info: UpscalerInfo
    source: Path | None
    size: tuple[int, int]
    frames: int
    warmup: int
    faces: int
    stages: dict[str, StageSummary]

    @property
    def fps(self) -> float:
        """Whole frames per second, one after another, without decoding and encoding."""
        return self.stages["total"].calls / self.stages["total"].total

    def to_json(self) -> dict[str, Any]:
        """The same as plain types."""
        generator, scale = self.info.frames, self.info.scale
        return {
            "srsdk": srsdk.__version__,
            "versions": versions(),
            "processor": processor(),
            "model": generator.spec.name,
            "backend": generator.name,
            "device": generator.device,
            "threads": generator.threads,
            "face_model": self.info.faces.spec.name if self.info.faces else None,
            "source": None if self.source is None else str(self.source),
            "size": list(self.size),
            "output_size": [self.size[0] * scale, self.size[1] * scale],
            "frames": self.frames,
            "warmup": self.warmup,
            "faces": self.faces,
            "fps": self.fps,
            "stages": {name: asdict(stage) for name, stage in self.stages.items()},
        }


def measure(
    upscaler: Upscaler,
    model: str,
    *,
    source: Path | None,
    size: tuple[int, int],
    frames: int,
    warmup: int,
    detect_every: int,
) -> Measurement:
    """Run frames through a stream of `upscaler`, one after another.

    Args:
        upscaler: What is measured.
        model: Name or path of its generator of frames.
        source: Video to take frames from, again from its beginning where it is too short; None:
            made-up frames.
        size: Width and height of made-up frames.
        frames: Frames to measure.
        warmup: Frames before that, not counted.
        detect_every: Frames from one face detection to the next.

    Raises:
        InputError: The video cannot be read.
    """
    timer, decoding = StageTimer(), StageTimer()
    stream = upscaler.stream(detect_every=detect_every, timer=timer)
    pictures = _made_up(size) if source is None else _decoded(source, decoding)
    out: Pixels | None = None
    faces_before = 0
    for index in range(warmup + frames):
        if index == warmup:
            timer.reset()
            decoding.reset()
            faces_before = stream.faces
        lr = next(pictures)
        if out is None:
            size = (lr.shape[1], lr.shape[0])
            out = np.empty((size[1] * stream.scale, size[0] * stream.scale, 3), np.uint8)
        began = time.perf_counter()
        stream(lr, out=out)
        timer.add("total", time.perf_counter() - began)
    stages = {name: decoding.summary(name) for name in decoding.stages}
    stages |= {name: timer.summary(name) for name in timer.stages}
    if upscaler.info.frames.name == "onnxruntime" and max(size) <= upscaler.info.tile:
        parts = _parts(upscaler, zoo.find(model), size, frames=frames, warmup=warmup)
        stages |= {name: parts.summary(name) for name in parts.stages}
    faces = stream.faces - faces_before
    return Measurement(upscaler.info, source, size, frames, warmup, faces, stages)


def _made_up(size: tuple[int, int]) -> Iterator[Pixels]:
    """Noise over a gradient that moves, eight different frames in turn."""
    generator = np.random.default_rng(0)
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    kept: list[Pixels] = []
    for shift in range(8):
        ramp = np.stack([x + 4 * shift, y + 4 * shift, x + y], axis=-1) % 224
        kept.append((ramp + generator.integers(0, 32, ramp.shape)).astype(np.uint8))
    while True:
        yield from kept


def _decoded(source: Path, timer: StageTimer) -> Iterator[Pixels]:
    """Frames of a video, over and over; waiting for them is the stage "decode"."""
    from srsdk.video import VideoReader

    while True:
        try:
            with VideoReader(source) as reader:
                entries = iter(reader)
                while True:
                    began = time.perf_counter()
                    frame = next(entries, None)
                    if frame is None:
                        break
                    timer.add("decode", time.perf_counter() - began)
                    yield frame.pixels
        except VideoError as error:
            raise InputError(str(error)) from error


def _parts(
    upscaler: Upscaler, model: Path | str, size: tuple[int, int], *, frames: int, warmup: int
) -> StageTimer:
    """The three parts of a frame, as the ONNX Runtime backend has them: kernel, graph, kernel."""
    import onnxruntime as ort

    from srsdk import _kernels

    info = upscaler.info.frames
    spec, threads = info.spec, info.threads
    setting = ort.SessionOptions()
    setting.intra_op_num_threads, setting.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(str(model), setting, providers=["CPUExecutionProvider"])
    width, height = size
    node, result = session.get_inputs()[0], session.get_outputs()[0]
    dtype = np.float16 if "float16" in node.type else np.float32
    values = np.empty((1, 3, height, width), dtype)
    factor = spec.graph_scale
    output = np.empty((1, spec.out_channels, factor * height, factor * width), dtype)
    binding = session.io_binding()
    binding.bind_input(node.name, "cpu", 0, dtype, values.shape, values.ctypes.data)
    binding.bind_output(result.name, "cpu", 0, dtype, output.shape, output.ctypes.data)
    frame = np.empty((height * spec.scale, width * spec.scale, 3), np.uint8)
    swap = upscaler.info.color != spec.channel_order
    timer, pictures = StageTimer(), _made_up(size)
    for index in range(warmup + frames):
        if index == warmup:
            timer.reset()
        lr = next(pictures)
        with timer("unpack"):
            _kernels.unpack_into(values, lr[None], swap=swap, threads=threads)
        with timer("graph"):
            session.run_with_iobinding(binding)
        with timer("pack"):
            _kernels.pack_into(
                frame,
                output[0],
                spec.shuffle,
                lr=None if spec.base == "none" else lr,
                base=spec.base,
                scale=spec.scale,
                swap=swap,
                threads=threads,
            )
    return timer
