"""Make `portrait.mp4`, the example clip: a hand-held camera over a wall with three pictures.

    pip install scikit-image av opencv-python
    python examples/make_clip.py [OUTPUT.mp4]

The pictures are the public-domain NASA and SpaceX photographs that scikit-image ships; the wall,
the camera and the sound are computed here, the same on every run. See README.md for the terms.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

WIDTH, HEIGHT, RATE = 320, 180, 25
SUPERSAMPLE = 8  # each pixel is the mean of 8x8 samples, so nothing aliases
SHOTS = (3.4, 2.6)  # seconds: the wall, then closer
SOUND_RATE = 48_000

WALL = (1180, 2200)  # rows, columns, in pixels of the portrait
FACE = (1095.0, 470.0)  # x, y of the face on the wall

Image = NDArray[np.uint8]
Signal = NDArray[np.float64]


def hang(wall: NDArray[np.float32], picture: Image, left: int, top: int, mat: int) -> None:
    """Hang a picture: soft shadow, dark wooden frame, white mat with a bevelled edge."""
    height, width = picture.shape[:2]
    border = mat + 16
    y0, x0, y1, x1 = top - border, left - border, top + height + border, left + width + border

    shadow = np.zeros(wall.shape[:2], np.float32)
    shadow[y0 + 14 : y1 + 20, x0 + 8 : x1 + 14] = 1
    wall *= 1 - 0.45 * cv2.GaussianBlur(shadow, (0, 0), 12)[..., None]

    grain = np.linspace(0, 9 * np.pi, x1 - x0, dtype=np.float32)
    wall[y0:y1, x0:x1] = np.array((58, 40, 30), np.float32) + 5 * np.sin(grain)[None, :, None]
    wall[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3] += 14
    wall[y0 + 16 : y1 - 16, x0 + 16 : x1 - 16] = (236, 232, 224)
    wall[top - 5 : top + height + 5, left - 5 : left + width + 5] = (190, 184, 172)
    wall[top : top + height, left : left + width] = picture


def gallery() -> Image:
    """The wall, `WALL` + (3,) uint8 RGB."""
    rows, columns = WALL
    rng = np.random.default_rng(7)
    plaster = sum(
        amount * cv2.GaussianBlur(rng.standard_normal(WALL).astype(np.float32), (0, 0), sigma)
        for sigma, amount in ((2, 5.0), (40, 160.0))
    )
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    lamp = np.exp(-(((x - 1100) / 900) ** 2) - ((y - 250) / 800) ** 2)
    wall = np.array((150, 158, 160), np.float32) * (0.62 + 0.38 * lamp[..., None])
    wall = wall + np.asarray(plaster, np.float32)[..., None]
    wall[rows - 150 :] *= 0.62  # panelling
    wall[rows - 154 : rows - 146] = (205, 202, 196)

    hubble = cv2.resize(
        data.hubble_deep_field()[:, 64:936], (430, 430), interpolation=cv2.INTER_AREA
    )
    hang(wall, hubble, 215, 345, 34)
    hang(wall, data.astronaut(), 870, 345, 52)
    hang(wall, cv2.resize(data.rocket(), (480, 320), interpolation=cv2.INTER_AREA), 1600, 400, 34)
    return np.clip(np.rint(wall), 0, 255).astype(np.uint8)


def sway(time: Signal, seed: int) -> Signal:
    """Hand-held unrest, about -1..1: a few slow sines that never line up."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    tones = zip((0.37, 0.83, 1.61, 2.9), (0.55, 0.3, 0.12, 0.05), phases, strict=True)
    return np.sum([a * np.sin(2 * np.pi * f * time + p) for f, a, p in tones], axis=0)


def ease(start: float, end: float, count: int) -> Signal:
    """From start to end with no jerk at either."""
    t = np.linspace(0, 1, count)
    return start + (end - start) * t * t * (3 - 2 * t)


def camera_path() -> NDArray[np.float64]:
    """One row a frame: x and y on the wall, output pixels per wall pixel, roll in degrees."""
    paths = []
    for shot, seconds in enumerate(SHOTS):
        count = round(seconds * RATE)
        time = np.arange(count) / RATE
        unrest = [sway(time, 10 * shot + k) for k in range(3)]
        if shot == 0:  # along the wall and towards the portrait
            x, y = ease(925, 1150, count), ease(590, 545, count)
            zoom, roll = ease(0.185, 0.262, count), ease(-1.6, 0.9, count)
            amount = 9.0
        else:  # close, drifting down to the helmet's side
            x, y = ease(FACE[0] + 35, FACE[0] - 10, count), ease(FACE[1] + 95, FACE[1] + 60, count)
            zoom, roll = ease(0.305, 0.332, count), ease(2.2, -1.2, count)
            amount = 6.0
        rolled = roll + 0.5 * unrest[2]
        paths.append(np.stack([x + amount * unrest[0], y + amount * unrest[1], zoom, rolled], 1))
    return np.concatenate(paths)


def close_up(frames: int) -> list[Image]:
    """The portrait from near, (360, 640, 3) uint8 RGB each; the face is 130 to 140 pixels wide.

    That is nearly the photograph's own size: there is no more to see of her in it.
    """
    time = np.arange(frames) / RATE
    x, y, turn = (sway(time, 20 + k) for k in range(3))
    zoom = ease(1.1, 1.18, frames)
    wall = gallery()
    return [
        shoot(wall, FACE[0] + 12 * a, FACE[1] + 8 * b, z, 1.5 * c, size=(640, 360), fine=2)
        for a, b, z, c in zip(x, y, zoom, turn, strict=True)
    ]


def shoot(
    wall: Image,
    x: float,
    y: float,
    zoom: float,
    roll: float,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    fine: int = SUPERSAMPLE,
) -> Image:
    """The camera's frame, (height, width, 3) uint8 RGB for a size of width and height."""
    large = (size[0] * fine, size[1] * fine)
    matrix = cv2.getRotationMatrix2D((x, y), roll, zoom * fine)
    matrix[:, 2] += np.array((large[0] / 2 - x, large[1] / 2 - y))
    drawn = cv2.warpAffine(
        wall, matrix, large, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return cv2.resize(drawn, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def music(seconds: float) -> NDArray[np.float32]:
    """A quiet melody over a slow chord, (2, samples) float32 within -1..1."""
    count = round(seconds * SOUND_RATE)
    time = np.arange(count) / SOUND_RATE
    left, right = np.zeros(count), np.zeros(count)

    def note(start: float, length: float, key: int, loudness: float, pan: float) -> None:
        t = time - start
        on = (t >= 0) & (t < length)
        t = t[on]
        envelope = (1 - np.exp(-t / 0.02)) * np.exp(-2.2 * t / length) * (1 - t / length)
        pitch = 440 * 2 ** ((key - 69) / 12)
        tone = sum(np.sin(2 * np.pi * pitch * k * t) / k**2.2 for k in range(1, 6))
        left[on] += loudness * (1 - pan) * envelope * tone
        right[on] += loudness * pan * envelope * tone

    for start, chord in ((0.0, (48, 55, 64, 67)), (1.7, (45, 57, 60, 64)), (3.4, (41, 57, 60, 65))):
        for index, key in enumerate(chord):
            note(start, 2.8, key, 0.10, 0.35 + 0.1 * index)
    for index, key in enumerate((76, 79, 84, 83, 81, 76, 77, 81, 84, 79, 76)):
        note(0.2 + 0.45 * index, 1.1, key, 0.09, 0.4 + 0.2 * (index % 2))
    fade = np.clip(np.minimum(time / 0.1, (seconds - time) / 0.6), 0, 1)
    return (np.stack([left, right]) * fade).astype(np.float32)


def write(path: Path, frames: list[Image], sound: NDArray[np.float32]) -> None:
    """Encode H.264 (yuv420p, BT.709, limited range) and AAC."""
    with av.open(
        str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}
    ) as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = Fraction(1, RATE)
        video.options = {"crf": "17", "preset": "slower", "threads": "1"}
        # BT.709 is 1 in all three of H.264's tables; limited range is 1 in libavutil's.
        context = video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        audio.bit_rate = 96_000

        for index, pixels in enumerate(frames):
            rgb = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = rgb.reformat(
                format="yuv420p",
                dst_colorspace="ITU709",
                src_color_range="JPEG",
                dst_color_range="MPEG",
            )
            frame.color_primaries = frame.color_trc = frame.colorspace = frame.color_range = 1
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())

        block = 1024
        for start in range(0, sound.shape[1], block):
            samples = np.ascontiguousarray(sound[:, start : start + block])
            piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            piece.sample_rate, piece.pts, piece.time_base = (
                SOUND_RATE,
                start,
                Fraction(1, SOUND_RATE),
            )
            container.mux(audio.encode(piece))
        container.mux(audio.encode())


def main() -> None:
    here = Path(__file__).parent
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "portrait.mp4"
    wall = gallery()
    path = camera_path()
    write(output, [shoot(wall, *row) for row in path.tolist()], music(len(path) / RATE))


if __name__ == "__main__":
    main()
