"""What a webcam and a video call do to the frames of a clip, at the resolution the SDK meets.

`srtrain.camera` degrades single faces, with codecs at a size near the low resolution; in a video
the codec's blocks lie in the low-resolution frame itself, on both sides of a frame border, and
change from frame to frame. Both kinds of blocks are here: of an earlier codec, resampled since
(a stream of another size), and of the last one, at the low resolution.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction

import cv2
import numpy as np
from PIL import Image

from srtrain.camera import jpeg, motion_blur, noise, optics_blur, resize_chain, resize_randomly
from srtrain.degrade import Pixels, Random

_MARGIN = (
    8  # mirrored pixels around each tile of a montage, so that blocks rarely reach a neighbour
)


def reduce_plainly(frames: Pixels, scale: int, random: Random) -> Pixels:
    """`(T, H, W, 3)` reduced by `scale` with one kernel of those that tools use."""
    kernel = random.choice(
        [Image.Resampling.BICUBIC, Image.Resampling.BOX, Image.Resampling.LANCZOS],
        p=[0.6, 0.25, 0.15],
    )
    size = (frames.shape[2] // scale, frames.shape[1] // scale)
    return np.stack([np.asarray(Image.fromarray(f).resize(size, kernel)) for f in frames])


def through_camera(frames: Pixels, scale: int, random: Random) -> Pixels:
    """All that happens before the last codec: lens, shutter, sensor, scalers, an earlier codec.

    Lens and scalers treat the frames of a clip alike; noise and codecs do not.

    Args:
        frames: `(T, H, W, 3)` u8 RGB.
        scale: Factor to reduce by.
        random: Where all chances come from.

    Returns:
        `(T, H/scale, W/scale, 3)` u8 RGB.
    """
    height, width = frames.shape[1] // scale, frames.shape[2] // scale
    if random.random() < 0.55:
        sigma = random.uniform(0.15, 0.55) * scale
        frames = np.stack([optics_blur(f, sigma) for f in frames])
    if random.random() < 0.15:
        length, angle = random.uniform(1.0, 2.5) * scale, random.uniform(0, np.pi)
        frames = np.stack([motion_blur(f, length, angle) for f in frames])
    between = random.uniform(1.0, 1.5) if random.random() < 0.5 else 1.0
    size = (round(width * between), round(height * between))
    frames = _alike(frames, lambda f, r: resize_randomly(f, *size, r), random)
    if random.random() < 0.6:
        sigma = random.uniform(1, 8)
        frames = np.stack([noise(f, sigma, random) for f in frames])
    if random.random() < 0.2:
        factor = random.uniform(0.6, 1.5)
        frames = _alike(frames, lambda f, r: resize_chain(f, factor, r), random)
    if random.random() < 0.2:
        quality = int(random.integers(40, 96))
        frames = np.stack([jpeg(f, quality) for f in frames])
    if frames.shape[1:3] != (height, width):
        frames = _alike(frames, lambda f, r: resize_randomly(f, width, height, r), random)
    if random.random() < 0.2:
        amount = random.uniform(0.2, 0.8)
        frames = np.stack([_sharpen(f, amount) for f in frames])
    return frames


def through_codecs(clips: Sequence[Pixels], random: Random) -> list[Pixels]:
    """The last codec, at the low resolution: H.264 for half of the clips, JPEG for a quarter.

    The clips that go through H.264 share one stream, as tiles of its frames.

    Args:
        clips: Each `(2, H, W, 3)` u8 RGB, all of one size.
        random: Where all chances come from.
    """
    result = list(clips)
    chosen = random.choice(3, size=len(clips), p=[0.5, 0.27, 0.23])
    streamed = np.flatnonzero(chosen == 0)
    if len(streamed):
        crf = int(random.integers(18, 37))
        first_is_key = bool(random.random() < 0.3)
        made = h264_clips([clips[n] for n in streamed.tolist()], crf, first_is_key=first_is_key)
        for n, clip in zip(streamed.tolist(), made, strict=True):
            result[n] = clip
    for n in np.flatnonzero(chosen == 1).tolist():
        quality = int(random.integers(30, 96))
        result[n] = np.stack([_jpeg420(f, quality) for f in clips[n]])
    return result


def h264_clips(clips: Sequence[Pixels], crf: int, *, first_is_key: bool) -> list[Pixels]:
    """Clips of two frames through one H.264 stream of 4:2:0, side by side.

    Args:
        clips: Each `(2, H, W, 3)` u8 RGB, all of one size.
        crf: Constant rate factor of x264.
        first_is_key: The first frame is a key frame and the second is predicted from it; else both
            are predicted (a key frame, which is not returned, comes before them).

    Returns:
        The decoded clips, in order.
    """
    import av

    height, width = clips[0].shape[1:3]
    tile = (-(-(height + 2 * _MARGIN) // 16) * 16, -(-(width + 2 * _MARGIN) // 16) * 16)
    columns = int(np.ceil(np.sqrt(len(clips))))
    rows = -(-len(clips) // columns)
    sheets = np.zeros((2, rows * tile[0], columns * tile[1], 3), np.uint8)
    for n, clip in enumerate(clips):
        top, left = n // columns * tile[0], n % columns * tile[1]
        pad = ((0, 0), (_MARGIN, tile[0] - height - _MARGIN), (_MARGIN, tile[1] - width - _MARGIN))
        padded = np.pad(clip, (*pad, (0, 0)), mode="symmetric")
        sheets[:, top : top + tile[0], left : left + tile[1]] = padded
    order = (0, 1) if first_is_key else (1, 0, 1)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = sheets.shape[2], sheets.shape[1], "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency"}
    packets = []
    for number, index in enumerate(order):
        frame = av.VideoFrame.from_ndarray(sheets[index], format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoded = [out for packet in packets for out in decoder.decode(packet)]
    decoded += decoder.decode(None)
    pair = np.stack([f.to_ndarray(format="rgb24") for f in decoded[-2:]])
    made = []
    for n in range(len(clips)):
        top, left = n // columns * tile[0] + _MARGIN, n % columns * tile[1] + _MARGIN
        made.append(np.ascontiguousarray(pair[:, top : top + height, left : left + width]))
    return made


def _jpeg420(image: Pixels, quality: int) -> Pixels:
    """Through JPEG of 4:2:0, as webcams send it."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _sharpen(image: Pixels, amount: float) -> Pixels:
    """Unsharp masking, as cameras apply it."""
    blurred = cv2.GaussianBlur(image, (0, 0), 0.8)
    return np.asarray(cv2.addWeighted(image, 1 + amount, blurred, -amount, 0), np.uint8)


def _alike(frames: Pixels, change: Callable[[Pixels, Random], Pixels], random: Random) -> Pixels:
    """Apply a random change to all frames with the same chances."""
    seed = int(random.integers(2**63))
    return np.stack([change(f, np.random.default_rng(seed)) for f in frames])
