"""Find faces, upscale them by their own generator, blend them into the upscaled frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from srsdk.errors import InputError
from srsdk.faces.blazeface import BlazeFaceDetector
from srsdk.faces.blend import blend_faces, match_tone
from srsdk.faces.crop import (
    LARGEST,
    SMALLEST,
    CropPlan,
    extract,
    face_squares,
    plan_crops,
)
from srsdk.faces.detect import Box, FaceDetector
from srsdk.faces.frames import Pixels, check_frame
from srsdk.faces.track import FaceTracker

_FADE_FRAMES = 6


@dataclass(frozen=True)
class FrameFace:
    """A face in one frame of a video.

    Attributes:
        id: Number of its track: the same from frame to frame, never used twice in one stream.
        box: x, y, width, height in pixels of the input frame, smoothed; else as `Face.box`.
    """

    id: int
    box: Box


@dataclass(frozen=True)
class FaceResult:
    """What one frame's faces took.

    Attributes:
        count: Faces blended in.
        detect: Seconds for detection or tracking, and planning.
        generate: Seconds for cutting the crops and running the generator.
        blend: Seconds for blending.
        faces: The faces that are followed through a video, blended in or not, longest known first;
            none where nothing is followed.
    """

    count: int
    detect: float
    generate: float
    blend: float
    faces: tuple[FrameFace, ...] = ()


class FaceEnhancer:
    """Faces of independent images. Safe to call from several threads if `run` is.

    For the frames of a video take `stream()`: it tracks, so it is faster and steadier.

    Args:
        run: Upscales a batch: `(N, S, S, 3)` uint8 to `(N, scale*S, scale*S, 3)` uint8, S a
            multiple of 8, in the frame's colour order; a `Backend.run` will do.
        scale: The factor of `run`.
        face_size: `ModelSpec.face_size` of the generator behind it.
        detector: Finds the faces; None: `BlazeFaceDetector()`.
        color: Colour order of the frames.
        min_side: Least side of a face's square (whole head), in pixels of the input; None: half of
            `face_size`. Faces beyond these limits are left as the frame's generator drew them.
        max_side: Largest side; None: ten times `face_size`. The generators are convolutional, so
            they work on larger faces than they were trained on; the cost grows with the area.
        feather: Width of the fading margin, as a share of the face's square.

    Raises:
        InputError: `face_size`, `scale`, `color` or the limits cannot be used.
        DetectorError: The default detector's package is not installed.
    """

    def __init__(
        self,
        run: Callable[[Pixels], Pixels],
        *,
        scale: int,
        face_size: int,
        detector: FaceDetector | None = None,
        color: Literal["bgr", "rgb"] = "bgr",
        min_side: float | None = None,
        max_side: float | None = None,
        feather: float = 0.22,
    ) -> None:
        if face_size < 1 or scale < 1:
            raise InputError(
                f"scale {scale}, face_size {face_size}: faces need a generator trained on faces"
            )
        if color not in ("bgr", "rgb"):
            raise InputError(f"color is {color!r}, expected 'bgr' or 'rgb'")
        self.scale = scale
        self.face_size = face_size
        self.min_side = face_size * SMALLEST if min_side is None else min_side
        self.max_side = face_size * LARGEST if max_side is None else max_side
        if not 0 <= self.min_side <= self.max_side:
            raise InputError(
                f"faces from {self.min_side:g} to {self.max_side:g} pixels: "
                "the limits must be positive and in order"
            )
        self.detector: FaceDetector = BlazeFaceDetector() if detector is None else detector
        self._run = run
        self._color = color
        self._feather = feather

    def enhance(self, lr: Pixels, sr: Pixels) -> FaceResult:
        """Detect the faces of one image and blend them into its upscaled version.

        Args:
            lr: `(H, W, 3)` uint8, any strides; not modified.
            sr: `(scale*H, scale*W, 3)` uint8, modified in place.

        Returns:
            How many faces, and the seconds of each stage.

        Raises:
            InputError: A frame has a wrong type or shape.
            DetectorError: The detector failed.
        """
        started = perf_counter()
        plans = self.plan(lr)
        return self.apply(lr, sr, plans, perf_counter() - started)

    def stream(self, *, every: int = 5) -> FaceStream:
        """A new stream, for the frames of one video.

        Args:
            every: Frames from one detection to the next.
        """
        return FaceStream(self, every=every)

    def plan(self, lr: Pixels) -> tuple[CropPlan, ...]:
        """The first half of `enhance`: detect, and plan the crops; see `plan_boxes`."""
        check_frame(lr)
        found = self.detector.detect(self.bgr(lr))
        return self.plan_boxes(lr, [face.box for face in found])

    def plan_boxes(
        self, lr: Pixels, boxes: ArrayLike, strengths: Sequence[float] | None = None
    ) -> tuple[CropPlan, ...]:
        """Plan the crops of boxes found otherwise; see `plan_crops`.

        Returns:
            A plan, so one batch, for all faces up to twice `face_size`, and one for each doubling
            of the size beyond: a near face must not make the crops of far ones large. Empty plans
            are left out; smaller faces come first.
        """
        # A face that is fading out may already lie a little beyond the limits.
        low = self.min_side if strengths is None else 0.0
        high = self.max_side if strengths is None else self.max_side * 1.25
        plans = []
        limit = 2.0 * self.face_size
        sides = np.rint(face_squares(boxes)[:, 2]).tolist()
        while low <= high:
            top = min(limit, high)
            if any(low <= side <= top for side in sides):  # else a plan is slow to find it empty
                plan = plan_crops(
                    boxes,
                    lr.shape,
                    self.face_size,
                    min_side=low,
                    max_side=top,
                    strengths=strengths,
                )
                if len(plan):
                    plans.append(plan)
            low, limit = max(low, limit + 1), 2 * limit
        return tuple(plans)

    def apply(
        self, lr: Pixels, sr: Pixels, plans: Sequence[CropPlan], detect: float = 0.0
    ) -> FaceResult:
        """The second half of `enhance`: generate, and blend into `sr`.

        Args:
            lr: As for `enhance`.
            sr: As for `enhance`.
            plans: From `plan`, of this object or of a stream of it.
            detect: Seconds that the plans took, passed on in the result.
        """
        generate = blend = 0.0
        for plan in plans:
            started = perf_counter()
            crops = extract(lr, plan)
            faces = self._run(crops)
            generated = perf_counter()
            expected = (len(plan), self.scale * plan.side, self.scale * plan.side, 3)
            if faces.shape != expected:
                raise InputError(f"the face generator gave {faces.shape}, expected {expected}")
            faces = np.stack([match_tone(f, c) for f, c in zip(faces, crops, strict=True)])
            blend_faces(sr, faces, plan, self.scale, feather=self._feather)
            generate += generated - started
            blend += perf_counter() - generated
        return FaceResult(sum(map(len, plans)), detect, generate, blend)

    def bgr(self, frame: Pixels) -> Pixels:
        """The frame as detectors want it, without a copy."""
        return frame if self._color == "bgr" else frame[..., ::-1]


class FaceStream:
    """Faces of one video's frames, tracked. Give it the frames in order, from one thread at a time.

    A face that comes up within a scene, leaves, or outgrows the generator's range fades in or out
    over a few frames, so nothing pops.

    Args:
        enhancer: Does everything that has no memory; several streams may share it.
        every: Frames from one detection to the next.
    """

    def __init__(self, enhancer: FaceEnhancer, *, every: int = 5) -> None:
        self._enhancer = enhancer
        self._tracker = FaceTracker(enhancer.detector, every=every)
        self._strengths: dict[int, float] = {}

    @property
    def detect_every(self) -> int:
        """Frames from one detection to the next, from now on."""
        return self._tracker.every

    @detect_every.setter
    def detect_every(self, frames: int) -> None:
        self._tracker.every = frames

    def enhance(self, lr: Pixels, sr: Pixels) -> FaceResult:
        """The next frame; otherwise as `FaceEnhancer.enhance`."""
        started = perf_counter()
        plans, faces = self._plan(lr)
        result = self._enhancer.apply(lr, sr, plans, perf_counter() - started)
        return replace(result, faces=faces)

    def plan(self, lr: Pixels) -> tuple[CropPlan, ...]:
        """The first half of `enhance`; `FaceEnhancer.apply`, on any thread, is the second."""
        return self._plan(lr)[0]

    def _plan(self, lr: Pixels) -> tuple[tuple[CropPlan, ...], tuple[FrameFace, ...]]:
        check_frame(lr)
        tracks = self._tracker.update(self._enhancer.bgr(lr))
        sides = face_squares([track.box for track in tracks])[:, 2].tolist()
        strengths: dict[int, float] = {}
        for track, side in zip(tracks, sides, strict=True):
            fits = self._enhancer.min_side <= round(side) <= self._enhancer.max_side
            wanted = 1.0 if fits and track.misses < 2 else 0.0
            last = self._strengths.get(track.id, wanted if track.opening else 0.0)
            step = 1 / _FADE_FRAMES
            strengths[track.id] = min(max(wanted, last - step), last + step)
        self._strengths = strengths
        boxes = [track.box for track in tracks]
        plans = self._enhancer.plan_boxes(lr, boxes, list(strengths.values()))
        return plans, tuple(FrameFace(track.id, track.box) for track in tracks)

    def reset(self) -> None:
        """Start over, as for a new video."""
        self._tracker.reset()
        self._strengths = {}
