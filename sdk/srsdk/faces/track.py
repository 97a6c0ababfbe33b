"""Faces through a video: detected every few frames, carried by their motion in between."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from srsdk.errors import InputError
from srsdk.faces.detect import Box, Face, FaceDetector
from srsdk.faces.frames import Vector, check_frame
from srsdk.faces.later import DetectionLater
from srsdk.faces.motion import Move, View, measure
from srsdk.types import Pixels

_CUT = 18.0  # grey levels between thumbnails: sway and pans stay below 10, cuts lie above 25
_MIN_GAIN = 0.1  # share of a detection's noise that reaches a track known for long
_DEAD_BAND = 0.015  # of the box's side: smaller movements are not passed on
_LOST_GAIN = 0.6  # share of a detection taken over where the motion in between is not known


@dataclass(frozen=True)
class Track:
    """One face as it is followed.

    Attributes:
        id: Number of this face, never used twice by one tracker.
        box: x, y, width, height in pixels of the frame, smoothed; else as `Face.box`.
        score: Confidence of its latest detection.
        misses: Detection runs since then that did not find it.
        opening: It was there when its scene began (the first frame, or the first after a cut).
        roll: How far the head was tilted at its latest detection; as `Face.roll`.
    """

    id: int
    box: Box
    score: float
    misses: int
    opening: bool
    roll: float = 0.0


class FaceTracker:
    """Follows faces through the frames of one video, in order. Not for several threads at once.

    Every frame, the boxes are moved by the optical flow inside them (0.4 ms a frame for one face).
    Every n-th frame, at a scene cut, or when the flow inside a box tears (then at most every other
    frame), detection runs, and each box found pulls the track that it overlaps: strongly when it
    lies far off, weakly when the difference looks like the detector's noise. So a moving face is
    followed without lag, and a still one does not tremble: movements below 1.5% of the box are held
    back altogether.

    With an executor, detection runs there after a frame (`detect_later`) rather than within it, and
    what it finds is carried by its motion to the frame in which it is ready. Only the first frame
    of a scene is still searched at once.

    Args:
        detector: Finds the faces.
        every: Frames from one detection to the next; 1 detects always.
        executor: Runs detection beside the frames; None: within them.
        max_misses: Detection runs in a row that may miss a face before it is forgotten.
        birth_score: Confidence that a new face needs; a known one is kept at any that the detector
            reports.

    Attributes:
        every: Frames from one detection to the next; may be changed between frames.
        detected: Whether the latest frame was searched, or used what was found in one before it.
        later_seconds: What the detection beside the frames took whose faces were used last.

    Raises:
        InputError: `every` or `max_misses` is below its least value.
    """

    def __init__(
        self,
        detector: FaceDetector,
        *,
        every: int = 5,
        executor: Executor | None = None,
        max_misses: int = 2,
        birth_score: float = 0.55,
    ) -> None:
        if every < 1 or max_misses < 0:
            raise InputError(f"every={every}, max_misses={max_misses}: at least 1 and 0 are needed")
        self._detector = detector
        self.every = every
        self._max_misses = max_misses
        self._birth_score = birth_score
        self._later = None if executor is None else DetectionLater(detector, executor)
        self.later_seconds = 0.0
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """Forget all faces, as before the first frame; ids go on counting."""
        self._followed: list[_Followed] = []
        self._view: View | None = None
        self._frames_since = 0
        self._due = self.detected = False
        if self._later is not None:
            self._later.forget()

    def update(self, frame: Pixels) -> list[Track]:
        """Take the next frame.

        Args:
            frame: `(H, W, 3)` uint8 BGR, any strides; a change of size counts as a scene cut.

        Returns:
            The faces of this frame, longest known first.
        """
        shape = check_frame(frame)
        before, view = self._view, View(frame)
        opening = before is None or before.shape != shape or view.difference(before) > _CUT
        torn = False
        if before is None or opening:
            self._followed = []
        else:
            boxes = np.array([f.predicted_box() for f in self._followed])
            moves = measure(before, view, boxes)
            for followed, move in zip(self._followed, moves, strict=True):
                followed.move(move)
                torn |= followed.lost
        self._view = view
        self._frames_since += 1
        overdue = self._frames_since >= self.every
        self._due |= opening or (torn and self._frames_since >= 2) or overdue
        self.detected = False
        if self._later is None or opening:
            if self._due:
                self._detect(frame, opening)
        elif (found := self._later.take(view)) is not None:
            self._correct(found.faces, certain=found.certain)
            self.later_seconds, self.detected = found.seconds, True
        self._followed = [f for f in self._followed if f.is_inside(shape)]
        return [f.publish() for f in self._followed]

    def detect_later(self, frame: Pixels) -> None:
        """Start the detection that is due, if there is an executor; for when a frame is done.

        Args:
            frame: The latest one; copied.
        """
        if self._later is None or self._view is None or not self._due:
            return
        if self._later.start(frame, self._view):
            self._due, self._frames_since = False, 0

    def _detect(self, frame: Pixels, opening: bool) -> None:
        """Search the frame itself."""
        if self._later is not None:
            self._later.forget()
        faces = self._detector.detect(frame)
        self._correct(faces, certain=[True] * len(faces), opening=opening)
        self._due, self.detected = False, True
        self._frames_since, self.later_seconds = 0, 0.0

    def _correct(
        self, faces: Sequence[Face], *, certain: Sequence[bool], opening: bool = False
    ) -> None:
        """Pull tracks towards the faces found, forget those missed for long, add new ones.

        Args:
            faces: Where they are in this frame.
            certain: Whether that is known, and not only where each was some frames ago.
            opening: The frame begins a scene.
        """
        pairs = match([f.predicted_box() for f in self._followed], [f.box for f in faces])
        for index, followed in enumerate(self._followed):
            if index in pairs:
                followed.correct(faces[pairs[index]])
                followed.lost = not certain[pairs[index]]
            else:
                followed.misses += 1
        # A box whose motion is unknown and that no detection confirms would be a guess.
        self._followed = [
            f
            for index, f in enumerate(self._followed)
            if index in pairs or f.misses <= (0 if f.lost else self._max_misses)
        ]
        for index, face in enumerate(faces):
            new = index not in pairs.values() and certain[index]
            if new and face.score >= self._birth_score:
                self._followed.append(_Followed(self._next_id, face, opening))
                self._next_id += 1


def match(known: list[Box], found: list[Box], min_overlap: float = 0.25) -> dict[int, int]:
    """Pair boxes by overlap, the best pair first.

    Args:
        known: Boxes (x, y, width, height).
        found: Others.
        min_overlap: Least intersection over union of a pair.

    Returns:
        From index in `known` to index in `found`; each occurs at most once.
    """
    if not known or not found:
        return {}
    a, b = np.array(known)[:, None], np.array(found)[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    overlap = shared / (a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - shared)
    pairs: dict[int, int] = {}
    for flat in np.argsort(-overlap, axis=None, kind="stable").tolist():
        i, j = divmod(flat, len(found))
        if overlap[i, j] < min_overlap:
            break
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


@dataclass
class _Followed:
    """State of one track: centre and size as estimated, and as last published."""

    id: int
    face: Face
    opening: bool
    misses: int = 0
    hits: int = 1
    lost: bool = False  # its motion since the last detection is not known
    centre: Vector = field(init=False)
    size: Vector = field(init=False)
    shown: Vector = field(init=False)

    def __post_init__(self) -> None:
        self.centre, self.size = _centre_and_size(self.face.box)
        self.shown = np.concatenate([self.centre, self.size])

    def predicted_box(self) -> Box:
        x, y = (self.centre - self.size / 2).tolist()
        width, height = self.size.tolist()
        return x, y, width, height

    def move(self, move: Move | None) -> None:
        if move is None:
            self.lost = True
            return
        self.centre = self.centre + np.array([move.dx, move.dy])
        self.size = self.size * move.zoom

    def correct(self, face: Face) -> None:
        centre, size = _centre_and_size(face.box)
        side = float(np.sqrt(self.size.prod()))
        self.hits += 1
        off_centre = float(np.hypot(*(centre - self.centre))) / side
        off_size = float(np.abs(np.log(size / self.size)).max())
        self.centre = self.centre + self._gain(off_centre) * (centre - self.centre)
        self.size = self.size + self._gain(off_size / 2) * (size - self.size)
        self.face, self.misses, self.lost = face, 0, False

    def _gain(self, off: float) -> float:
        """How much of a correction to take: a running mean at first, then by its size."""
        tolerated = 0.1  # of the side: where a difference counts as movement by half
        by_size = off * off / (off * off + tolerated * tolerated)
        return max(1 / self.hits, _MIN_GAIN, by_size, _LOST_GAIN if self.lost else 0.0)

    def is_inside(self, shape: tuple[int, int]) -> bool:
        x, y = self.centre.tolist()
        return 0 <= x <= shape[1] and 0 <= y <= shape[0] and float(self.size.min()) >= 2

    def publish(self) -> Track:
        state = np.concatenate([self.centre, self.size])
        band = _DEAD_BAND * float(np.sqrt(self.size.prod()))
        self.shown = np.clip(self.shown, state - band, state + band)
        x, y, width, height = self.shown.tolist()
        box = (x - width / 2, y - height / 2, width, height)
        return Track(self.id, box, self.face.score, self.misses, self.opening, self.face.roll)


def _centre_and_size(box: Box) -> tuple[Vector, Vector]:
    x, y, width, height = box
    return np.array([x + width / 2, y + height / 2]), np.array([width, height], np.float64)
