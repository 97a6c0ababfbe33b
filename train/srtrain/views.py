"""What a camera may show of a face: heads of many sizes and angles, in two consecutive frames.

A face picture is 256 pixels; a head in a video call is 16 to 256 pixels of the low resolution. A
view is a square window of the picture, enlarged or reduced so that the head gets the wanted size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from srtrain.degrade import Pixels, Random, to_hr

_LARGEST = 2.0  # heads up to this many times the picture's own pixels: large heads are soft
_MOTION = 3.0  # high-resolution pixels between the two frames, at most
_TURN = 35.0  # degrees
_DEFOCUS = (3.0, 8.0)  # high-resolution pixels, standard deviation


@dataclass(frozen=True)
class View:
    """Two consecutive frames of one face.

    Attributes:
        frames: `(2, S, S, 3)` u8 RGB.
        whole: The frames show the whole aligned face and little else.
    """

    frames: Pixels
    whole: bool


def draw_view(
    picture: Image.Image,
    side: int,
    whole_share: float,
    random: Random,
    *,
    defocus_share: float = 0.0,
) -> View:
    """Draw a view of an aligned face picture.

    Args:
        picture: A square RGB face picture.
        side: S, side of the frames in pixels.
        whole_share: Chance of a view that shows the whole face at the size of the frame. Of the
            others one in eight shows four small faces, the rest a part of a larger one.
        random: Where all chances come from.
        defocus_share: Share of the parts of larger faces that lie out of focus, in the frames that
            are to be restored as well: what the lens has not drawn shall not be invented.
    """
    picture = _relight(picture, random)
    if random.random() < whole_share:
        cut = min(picture.size) / random.uniform(1.0, 1.08)
        return View(_two_frames(picture, cut, side, random), whole=True)
    if random.random() < 0.125:
        half = side // 2
        cut = min(picture.size) / random.uniform(1.0, 1.15)
        quarters = [_two_frames(picture, cut, half, random) for _ in range(4)]
        rows = [np.concatenate(quarters[n : n + 2], axis=2) for n in (0, 2)]
        return View(np.concatenate(rows, axis=1), whole=False)
    if random.random() < 0.25:
        picture = _turn(picture, random.uniform(-_TURN, _TURN))
    width = min(picture.size)
    head = np.exp(random.uniform(np.log(side), np.log(_LARGEST * width)))
    frames = _two_frames(picture, width * side / head, side, random)
    if defocus_share and random.random() < defocus_share:
        sigma = np.exp(random.uniform(*np.log(_DEFOCUS)))
        frames = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])
    return View(frames, whole=False)


def _two_frames(picture: Image.Image, cut: float, side: int, random: Random) -> Pixels:
    """A square of `cut` pixels at `side`, and once more as after a thirtieth of a second."""
    width, height = picture.size
    left, top = random.uniform(0, width - cut), random.uniform(0, height - cut)
    first = to_hr(picture, side, (left, top, left + cut, top + cut))
    if random.random() < 0.15:  # nobody moves: what differs is the camera's alone
        return np.stack([first, first])
    pixel = cut / side
    grown = cut * random.uniform(0.99, 1.0)
    moved = random.uniform(-_MOTION, _MOTION, 2) * pixel
    left = float(np.clip(left + moved[0], 0, width - grown))
    top = float(np.clip(top + moved[1], 0, height - grown))
    return np.stack([first, to_hr(picture, side, (left, top, left + grown, top + grown))])


def _turn(picture: Image.Image, degrees: float) -> Image.Image:
    """Turned about the centre; what comes in from outside is mirrored."""
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turned = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return Image.fromarray(turned)


def _relight(picture: Image.Image, random: Random) -> Image.Image:
    """Another exposure and white balance for four pictures of ten."""
    if random.random() >= 0.4:
        return picture
    gamma, gains = random.uniform(0.7, 1.5), random.uniform(0.88, 1.06, 3)
    ramp = np.linspace(0, 1, 256)[:, None] ** gamma * gains
    table = np.clip(np.rint(ramp * 255), 0, 255).astype(np.uint8)
    pixels = np.asarray(picture)
    return Image.fromarray(np.stack([table[:, c][pixels[..., c]] for c in range(3)], axis=2))
