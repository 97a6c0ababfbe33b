"""Steps and weights for the native backend's int8, found on images and proven on others.

A layer's input has a step for each channel, its weights one for each output. Where to clip is tried
on pixels, layer by layer: what counts is the picture, and that it does not flicker. A step that is
too wide flickers, since a change of the frame that is smaller than the step moves some values by a
whole one; a step that is too narrow clips.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from srexport.images import probe_frames
from srexport.observed import Observed, observe
from srexport.onnx import annotate, load, save
from srexport.rounding import LEVELS, rounded
from srexport.verify import certificate_path
from srsdk import _kernels, onnxfile
from srsdk.backends.convchain import Chain, read_chain
from srsdk.errors import ModelFormatError
from srsdk.files import write_whole
from srsdk.int8 import (
    MAX_FLICKER,
    MAX_LOSS,
    METADATA_KEY,
    MIN_PSNR,
    Int8Certificate,
    Int8Record,
    LayerSteps,
)
from srsdk.spec import ModelSpec
from srsdk.types import Pixels

_UNIT = float(np.float32(1 / 255))
_SHARES = (0.7, 0.8, 0.9, 1.1, 1.25)
"""Factors by which the share of a range that is kept is tried to be changed."""

_FLOORS = (0.15, 0.3, 0.5, 1.0)
_ROUNDS = 3
_FINE_SHARE = 1 / 7
_FINE_SHARE_OF_FACES = 2 / 5
_FINE_SHARE_OF_LARGE = 1 / 5
"""Of all multiplications, those that may be done again for second bytes of layers' inputs. Faces
are where an eye sees flicker first, and few pixels of a frame; but of large networks they are slow
enough."""

_LARGE = 300_000
"""Weights from which on a network is large: its clipping is not searched, which takes an hour for
SRResNet's million."""

_EXACT_SIZE = 5
"""Smallest kernel that reads the frame and has second bytes: of 9x9 weights the rounding would be
the largest part of the error, and they are a hundredth of SRResNet's multiplications."""

_DRAWN_PSNR = 28.0
"""PSNR against float32 that is wanted where black meets white, as in text, and no face was."""


@dataclass(frozen=True)
class ImageSet:
    """High-resolution images of one size, and what they become at low resolution.

    Attributes:
        name: What to call them.
        lr: `(N, H, W, 3)` u8 RGB.
        hr: `(N, scale*H, scale*W, 3)` u8 RGB.
        clip: Whether they are pairs of frames of a video: 2n + 1 follows 2n.
    """

    name: str
    lr: Pixels
    hr: Pixels
    clip: bool = False


def quantize_file(
    model: Path, calibration: Sequence[ImageSet], judged: Sequence[ImageSet], output: Path
) -> Int8Record:
    """Write the model with steps for int8 beside its float32 weights.

    Args:
        model: ONNX file that `srsdk-export onnx` wrote.
        calibration: Images that the steps are chosen on.
        judged: Others, that the certificate is made on.
        output: File to write; may be `model`.

    Returns:
        What was written; its certificate may say that int8 does not suffice.

    Raises:
        ModelNotFoundError: There is no such model.
        ModelFormatError: It is no model for the native backend's int8.
    """
    proto = load(model)
    file = onnxfile.read(model)
    spec = ModelSpec.from_metadata(file.metadata, source=str(model))
    network = _Network(read_chain(file, spec), spec, str(model))
    record = network.certify(network.search(proto, calibration), judged)
    annotate(proto, METADATA_KEY, record.to_metadata()[METADATA_KEY])
    save(proto, output)
    _note(certificate_path(output), record.certificate)
    return record


def _note(parity: Path, proof: Int8Certificate) -> None:
    """Put the proof beside that of float32, where there is one."""
    if parity.is_file():
        facts = json.loads(parity.read_text("utf-8"))
        facts["int8"] = {**dataclasses.asdict(proof), "passed": proof.passed}
        write_whole(parity, (json.dumps(facts, indent=2) + "\n").encode("utf-8"))


class _Network:
    """A chain of convolutions, in float32 and, with steps, in int8."""

    def __init__(self, chain: Chain, spec: ModelSpec, source: str) -> None:
        self._chain, self._spec, self._source = chain, spec, source
        self._exact = self._kernel(None)

    def search(self, proto: onnx.ModelProto, sets: Sequence[ImageSet]) -> tuple[LayerSteps, ...]:
        """The best steps found for these images."""
        drawn = probe_frames()[1:]
        exact = self._run(self._exact, drawn)
        frames = [*drawn, *(frame for images in sets for frame in images.lr)]
        seen = observe(proto, self._chain, frames, swap_rb=self._spec.channel_order != "rgb")
        judges = [_Judge(images, self._run(self._exact, images.lr)) for images in sets]
        sources = sorted({layer.source for layer in self._chain.layers} - {0})
        clips = dict.fromkeys(sources, _Clip())
        steps = [self._layer_steps(n, seen[n], _Clip()) for n in range(len(seen))]

        def cost(trial: Sequence[LayerSteps]) -> float:
            kernel = self._kernel(trial)
            clipped = 10 ** ((_DRAWN_PSNR - psnr(exact, self._run(kernel, drawn))) / 10)
            return clipped + sum(judge.cost(self._run(kernel, judge.images.lr)) for judge in judges)

        best = cost(steps)
        for _ in range(0 if self._is_large() else _ROUNDS):
            before = best
            for source in sources:
                for clip in clips[source].others():
                    trial = [
                        self._layer_steps(n, seen[n], clip) if layer.source == source else steps[n]
                        for n, layer in enumerate(self._chain.layers)
                    ]
                    result = cost(trial)
                    if result < best:
                        best, steps, clips[source] = result, trial, clip
            if best > 0.97 * before:
                break
        return self._with_second_bytes(steps, judges)

    def certify(self, steps: tuple[LayerSteps, ...], sets: Sequence[ImageSet]) -> Int8Record:
        """Compare int8 with float32, and both with the high-resolution images."""
        kernel = self._kernel(steps)
        judges = [_Judge(images, self._run(self._exact, images.lr)) for images in sets]
        results = [self._run(kernel, judge.images.lr) for judge in judges]
        pairs = list(zip(judges, results, strict=True))
        flicker = [judge.flicker(pixels) for judge, pixels in pairs if judge.images.clip]
        certificate = Int8Certificate(
            # Equal pixels have no PSNR that JSON can hold.
            psnr=round(min(99.0, *(judge.psnr(pixels) for judge, pixels in pairs)), 2),
            loss=round(max(judge.loss(pixels) for judge, pixels in pairs), 4),
            images=", ".join(
                f"{images.name}: {len(images.lr)} of {images.lr.shape[2]}x{images.lr.shape[1]}"
                for images in sets
            ),
            flicker=round(max(flicker), 4) if flicker else None,
        )
        return Int8Record(steps, certificate)

    def _kernel(
        self, steps: Sequence[LayerSteps] | None
    ) -> _kernels.Network | _kernels.Int8Network:
        each = [None] * len(self._chain.layers) if steps is None else steps
        layers = [layer.kernel(one) for layer, one in zip(self._chain.layers, each, strict=True)]
        kind = _kernels.Network if steps is None else _kernels.Int8Network
        spec = self._spec
        try:
            return kind(
                layers,
                scale=spec.scale,
                shuffle=self._chain.shuffle,
                base=spec.base,
                swap_rb=spec.channel_order != "rgb",
            )
        except ValueError as error:
            raise ModelFormatError(f"{self._source} cannot run in int8: {error}") from error

    def _run(self, kernel: _kernels.Network | _kernels.Int8Network, lr: Pixels) -> Pixels:
        count, height, width, _ = lr.shape
        scale = self._spec.scale
        out = np.empty((count, height * scale, width * scale, 3), np.uint8)
        kernel.run_into(out, lr)
        return out

    def _layer_steps(self, number: int, seen: Observed, clip: _Clip) -> LayerSteps:
        layer = self._chain.layers[number]
        outputs, inputs, size, _ = layer.weight.shape
        if layer.source == 0:
            step, zero = np.full(inputs, _UNIT), np.zeros(inputs, int)
        else:
            step, zero = clip.steps(seen)
        exact = layer.source == 0 and size >= _EXACT_SIZE
        each = np.repeat(step, size * size)
        weight = layer.weight.reshape(outputs, -1).astype(np.float64) * each
        weight_step = _short(np.maximum(np.abs(weight).max(axis=1) / LEVELS, 1e-12))
        levels = None
        if not exact:
            moments = seen.moments / np.outer(each, each)
            levels = rounded(weight, weight_step, moments).tobytes()
        return LayerSteps(
            tuple(step.tolist()),
            tuple(zero.tolist()),
            tuple(weight_step.tolist()),
            levels,
            fine=exact,
        )

    def _is_large(self) -> bool:
        return sum(layer.weight.size for layer in self._chain.layers) >= _LARGE

    def _work(self) -> list[int]:
        """Multiplications of each convolution for a pixel of the frame."""
        scales, work = [1], []
        for layer in self._chain.layers:
            scale = scales[layer.source]
            scales.append(scale * layer.shuffle)
            work.append(layer.weight.size * scale**2)
        return work

    def _with_second_bytes(
        self, steps: Sequence[LayerSteps], judges: Sequence[_Judge]
    ) -> tuple[LayerSteps, ...]:
        """Give a second byte to the inputs of the layers where it mends most for its time."""
        fine = {n for n, one in enumerate(steps) if one.fine}

        def error(more: set[int]) -> float:
            trial = [dataclasses.replace(one, fine=n in fine | more) for n, one in enumerate(steps)]
            kernel = self._kernel(trial)
            return sum(judge.error(self._run(kernel, judge.images.lr)) for judge in judges)

        sizes = self._work()
        share = _FINE_SHARE_OF_FACES if self._spec.face_size else _FINE_SHARE
        left = (_FINE_SHARE_OF_LARGE if self._is_large() else share) * sum(sizes)
        # Values that are added, and sums, are kept in floats for that, and have one byte.
        sums = {n for n, layer in enumerate(self._chain.layers, 1) if layer.add >= 0}
        single = {0, *(layer.add for layer in self._chain.layers), *sums}
        candidates = [n for n, layer in enumerate(self._chain.layers) if layer.source not in single]
        before = error(set())
        gains = {n: (before - error({n})) / sizes[n] for n in candidates}
        for number in sorted(candidates, key=lambda n: gains[n], reverse=True):
            if gains[number] > 0 and sizes[number] <= left:
                fine.add(number)
                left -= sizes[number]
        return tuple(dataclasses.replace(one, fine=n in fine) for n, one in enumerate(steps))


@dataclass(frozen=True)
class _Clip:
    """How ranges of values become steps.

    Attributes:
        share: Of a channel's range, what bytes hold.
        floor: No channel's range counts as less than this share of the widest one's: weights of a
            channel with a fine step are small beside the others, and lose digits.
    """

    share: float = 0.9
    floor: float = 0.3

    def others(self) -> list[_Clip]:
        """Neighbours to try."""
        shares = [dataclasses.replace(self, share=self.share * factor) for factor in _SHARES]
        floors = [dataclasses.replace(self, floor=floor) for floor in _FLOORS]
        return [clip for clip in shares + floors if clip != self]

    def steps(self, seen: Observed) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
        """For each channel its step, and what 0 is."""
        width = seen.high - seen.low
        step = _short(np.maximum(width, self.floor * width.max()) * self.share / 255)
        return step, np.clip(np.rint(-seen.low * self.share / step), 0, 255).astype(int)


class _Judge:
    """Says how good pixels are, beside float32's of the same images."""

    def __init__(self, images: ImageSet, exact: Pixels) -> None:
        self.images = images
        self._exact = exact
        self._exact_psnr = [psnr(a, hr) for a, hr in zip(exact, images.hr, strict=True)]
        self._exact_flicker = flicker(exact, images.hr) if images.clip else 0.0

    def psnr(self, pixels: Pixels) -> float:
        """Against float32, in dB."""
        return psnr(self._exact, pixels)

    def loss(self, pixels: Pixels) -> float:
        """PSNR against the high-resolution images, float32's less that of these, mean in dB."""
        losses = [
            before - psnr(after, hr)
            for before, after, hr in zip(self._exact_psnr, pixels, self.images.hr, strict=True)
        ]
        return float(np.mean([one for one in losses if np.isfinite(one)] or [0.0]))

    def flicker(self, pixels: Pixels) -> float:
        """Error of the change from frame to frame, as a multiple of float32's."""
        changed = flicker(pixels, self.images.hr)
        return changed / self._exact_flicker if self._exact_flicker else 1.0 + changed

    def error(self, pixels: Pixels) -> float:
        """What int8 adds to flicker; of single images the squared error, the limit being 0.01."""
        if self.images.clip:
            return self.flicker(pixels) - 1
        return float(10 ** ((MIN_PSNR - self.psnr(pixels)) / 10)) / 100

    def cost(self, pixels: Pixels) -> float:
        """How near a certificate's limits they are, squared and summed: the less, the better."""
        nearness = 10 ** ((MIN_PSNR - self.psnr(pixels)) / 20)
        total = nearness**2 + max(0.0, self.loss(pixels) / MAX_LOSS) ** 2
        if self.images.clip:
            total += max(0.0, (self.flicker(pixels) - 1) / (MAX_FLICKER - 1)) ** 4
        return total


def psnr(a: Pixels, b: Pixels) -> float:
    """PSNR over all values, in dB; infinite where they are equal."""
    error = cv2.norm(a.reshape(len(a), -1), b.reshape(len(b), -1), cv2.NORM_L2SQR)
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 * a.size / error))


def flicker(frames: Pixels, hr: Pixels) -> float:
    """Mean absolute error of the change within pairs of frames, in grey levels.

    Args:
        frames: `(N, H, W, 3)` u8, N even: frames 2n and 2n + 1 follow each other in a video.
        hr: What they should be.
    """
    flat, flat_hr = frames.reshape(len(frames), -1), hr.reshape(len(hr), -1)
    error = cv2.subtract(flat, flat_hr, dtype=cv2.CV_16S)
    changed = cv2.norm(error[1::2].copy(), error[::2].copy(), cv2.NORM_L1)
    return float(changed * 2 / error.size)


def _short(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps that float32 holds, in few digits."""
    return np.array([float(np.float32(f"{step:.7g}")) for step in steps])
