"""Find faces, upscale them by their own generator, blend them into the upscaled frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike

from srsdk.errors import InputError
from srsdk.faces.blazeface import BlazeFaceDetector
from srsdk.faces.blend import blend_faces, match_tone
from srsdk.faces.crop import LARGEST, SMALLEST, CropPlan, extract, face_squares, plan_crops
from srsdk.faces.detect import Box, Face, FaceDetector
from srsdk.faces.frames import Vector, check_frame
from srsdk.faces.identity import IdentityGuard, cut_chip, share_to_show
from srsdk.faces.limits import SizeLimits
from srsdk.types import Pixels

_STILL_SIDE = 960  # an image has more time than a frame of a video

Judge = Callable[[CropPlan, Pixels, Pixels], Vector]
"""From a plan, its generated crops and the upscaled frame: how much of each face to blend in."""


@dataclass(frozen=True)
class FrameFace:
    """A face in one frame of a video.

    Attributes:
        id: Number of its track: the same from frame to frame, never used twice in one stream.
        box: x, y, width, height in pixels of the input frame, smoothed; else as `Face.box`.
        strength: How much of the face path's result is shown, 0 to 1.
        distance: How far that result is from the frame generator's in the eyes of a face
            recogniser, when the identity guard last compared them; None: it has not.
    """

    id: int
    box: Box
    strength: float = 0.0
    distance: float | None = None


@dataclass(frozen=True)
class FaceResult:
    """What one frame's faces took.

    Attributes:
        count: Faces blended in.
        detect: Seconds for detection or tracking, and planning.
        generate: Seconds for cutting the crops and running the generator.
        blend: Seconds for blending.
        guard: Seconds for the identity guard.
        faces: The faces that are followed through a video, blended in or not, longest known first;
            none where nothing is followed.
    """

    count: int
    detect: float
    generate: float
    blend: float
    guard: float = 0.0
    faces: tuple[FrameFace, ...] = ()


class FaceEnhancer:
    """Faces of independent images. Safe to call from several threads if `run` is.

    For the frames of a video take `FaceStream`: it tracks, so it is faster and steadier.

    Args:
        run: Upscales a batch: `(N, S, S, 3)` uint8 to `(N, scale*S, scale*S, 3)` uint8, S a
            multiple of 8, in the frame's colour order; a `Backend.run` will do.
        scale: The factor of `run`.
        face_size: `ModelSpec.face_size` of the generator behind it.
        detector: Finds the faces; None: `BlazeFaceDetector()`, on a larger copy for images than for
            the frames of a video.
        color: Colour order of the frames.
        min_side: Least side of a face's square (whole head), in pixels of the input; None: half of
            `face_size`. Faces beyond these limits are left as the frame's generator drew them; near
            a limit they are blended in less and less.
        max_side: Largest side; None: ten times `face_size`. The generators are convolutional, so
            they work on larger faces than they were trained on; the cost grows with the area.
        feather: Width of the fading margin, as a share of the face's square.
        blend: Share of the generator's result in a face at full strength; `ModelSpec.face_blend`.
        guard: Holds back faces that come out as another person's; None: nothing does.
        clock: Seconds, for the times in the results.

    Raises:
        InputError: `face_size`, `scale`, `color` or the limits cannot be used.
        DetectorError: The bundled detector is damaged.
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
        blend: float = 1.0,
        guard: IdentityGuard | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        if face_size < 1 or scale < 1:
            raise InputError(
                f"scale {scale}, face_size {face_size}: faces need a generator trained on faces"
            )
        if color not in ("bgr", "rgb"):
            raise InputError(f"color is {color!r}, expected 'bgr' or 'rgb'")
        self.scale = scale
        self.face_size = face_size
        self.limits = SizeLimits(
            face_size * SMALLEST if min_side is None else min_side,
            face_size * LARGEST if max_side is None else max_side,
        )
        self.detector: FaceDetector = detector or BlazeFaceDetector(work_side=_STILL_SIDE)
        self.video_detector: FaceDetector = detector or BlazeFaceDetector()
        self.guard = guard
        self.clock = clock
        self._run = run
        self._color = color
        self._feather = feather
        self._blend = blend

    def enhance(self, lr: Pixels, sr: Pixels, *, strength: float = 1.0) -> FaceResult:
        """Detect the faces of one image and blend them into its upscaled version.

        Args:
            lr: `(H, W, 3)` uint8, any strides; not modified.
            sr: `(scale*H, scale*W, 3)` uint8, modified in place.
            strength: How much of the face generator's result to blend in, 0 to 1.

        Returns:
            How many faces, and the seconds of each stage.

        Raises:
            InputError: A frame has a wrong type or shape.
            DetectorError: The detector failed.
        """
        check_frame(lr)
        started = self.clock()
        faces = self.detector.detect(self.bgr(lr)) if strength > 0 else []
        squares = face_squares([face.box for face in faces])
        amounts = strength * self.limits.weights(squares[:, 2])
        plans = self.plan(lr, [face.box for face in faces], amounts)
        judge = None if self.guard is None else self._guarded(self.guard, faces, squares)
        return self.apply(lr, sr, plans, judge=judge, detect=self.clock() - started)

    def plan(self, lr: Pixels, boxes: ArrayLike, strengths: ArrayLike) -> tuple[CropPlan, ...]:
        """Plan the crops of a frame's faces.

        Args:
            lr: The frame.
            boxes: `(N, 4)`; see `plan_crops`.
            strengths: `(N,)` how much of each face to blend in; faces at 0 are left out.

        Returns:
            A plan, so one batch, for all faces up to twice `face_size`, and one for each doubling
            of the size beyond: a near face must not make the crops of far ones large. Empty plans
            are left out; smaller faces come first.
        """
        amounts = np.asarray(strengths, np.float64)
        sides = np.rint(face_squares(boxes)[:, 2])
        plans = []
        low, high = 0.0, 2.0 * self.face_size
        while (amounts[sides >= low] > 0).any():
            if ((sides >= low) & (sides <= high)).any():  # else a plan is slow to find it empty
                plan = plan_crops(
                    boxes, lr.shape, self.face_size, min_side=low, max_side=high, strengths=amounts
                )
                if len(plan):
                    plans.append(plan)
            low, high = high + 1, 2 * high
        return tuple(plans)

    def apply(
        self,
        lr: Pixels,
        sr: Pixels,
        plans: Sequence[CropPlan],
        *,
        judge: Judge | None = None,
        detect: float = 0.0,
    ) -> FaceResult:
        """Generate the planned faces and blend them into `sr`.

        Args:
            lr: As for `enhance`.
            sr: As for `enhance`.
            plans: From `plan`.
            judge: Called before a plan's faces are blended; what it returns takes the place of the
                plan's strengths.
            detect: Seconds that the plans took, passed on in the result.
        """
        count, seconds = 0, [0.0, 0.0, 0.0]
        for plan in plans:
            times = [self.clock()]
            faces = self._generate(lr, plan)
            times.append(self.clock())
            if judge is not None:
                plan = replace(plan, strengths=judge(plan, faces, sr))
            times.append(self.clock())
            mixed = replace(plan, strengths=self._blend * plan.strengths)
            blend_faces(sr, faces, mixed, self.scale, feather=self._feather)
            times.append(self.clock())
            count += int((plan.strengths > 0).sum())
            seconds = [sum(pair) for pair in zip(seconds, np.diff(times).tolist(), strict=True)]
        generate, guard, blend = seconds
        return FaceResult(count, detect, generate, blend, guard)

    def chips(
        self, square: ArrayLike, roll: float, crop: Pixels, origin: Sequence[int], sr: Pixels
    ) -> tuple[Pixels, Pixels]:
        """What the guard compares: a face at full strength, and as the frame generator drew it.

        Args:
            square: x and y of the centre and side of the head's square, in pixels of the input.
            roll: See `Face.roll`.
            crop: Of the face generator.
            origin: Top and left of the crop in the input.
            sr: The upscaled frame before any blending there.
        """
        x, y, side = (np.asarray(square, np.float64) * self.scale).tolist()
        top, left = (self.scale * v for v in origin)
        generated = cut_chip(crop, (x - left, y - top, side, roll), self._color)
        plain = cut_chip(sr, (x, y, side, roll), self._color)
        shown = cv2.addWeighted(generated, self._blend, plain, 1 - self._blend, 0)
        return np.asarray(shown, np.uint8), plain

    def bgr(self, frame: Pixels) -> Pixels:
        """The frame as detectors want it, without a copy."""
        return frame if self._color == "bgr" else frame[..., ::-1]

    def _generate(self, lr: Pixels, plan: CropPlan) -> Pixels:
        crops = extract(lr, plan)
        faces = self._run(crops)
        expected = (len(plan), self.scale * plan.side, self.scale * plan.side, 3)
        if faces.shape != expected:
            raise InputError(f"the face generator gave {faces.shape}, expected {expected}")
        return np.stack([match_tone(f, c) for f, c in zip(faces, crops, strict=True)])

    def _guarded(self, guard: IdentityGuard, faces: Sequence[Face], squares: Vector) -> Judge:
        """Each face of an image is compared once."""

        def judge(plan: CropPlan, crops: Pixels, sr: Pixels) -> Vector:
            strengths: Vector = plan.strengths.copy()
            for row, (face, origin) in enumerate(
                zip(plan.faces.tolist(), plan.origins.tolist(), strict=True)
            ):
                chips = self.chips(squares[face], faces[face].roll, crops[row], origin, sr)
                strengths[row] *= share_to_show(guard.distance(*chips))
            return strengths

        return judge
