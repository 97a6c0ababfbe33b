"""What a cheap camera and a video call do to a face, in random order and strength.

The `clean` degradation is the protocol's; the SDK meets cameras. As in Wang et al., "Real-ESRGAN"
(2021) and Zhang et al., "Designing a Practical Degradation Model" (2021), each picture goes through
a random sequence of simple damages on its way to the low resolution; here they are those of a
webcam: its lens, its shutter, its sensor, its scaler, and the codecs behind it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srtrain.degrade import Pixels, Random


def camera(hr: Pixels, scale: int, random: Random) -> Pixels:
    """Degrade a face to the low resolution.

    Lens and shutter act on the scene, so they come first; then the sensor's noise, a chain of
    resizes and the codecs follow in random order. Each damage is applied
    with its own probability and a random strength. The picture is never shifted.

    Args:
        hr: `(H, W, 3)` u8 RGB.
        scale: Factor to reduce by.
        random: Where all chances come from: the same state gives the same picture.

    Returns:
        `(H/scale, W/scale, 3)` u8 RGB.
    """
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    image = hr
    if random.random() < 0.6:
        image = optics_blur(image, random.uniform(0.2, 0.6) * scale)
    if random.random() < 0.25:
        image = motion_blur(image, random.uniform(1.0, 2.5) * scale, random.uniform(0, np.pi))
    # Sensor and codecs work near the low resolution: the face is small in the camera's frame.
    between = random.uniform(1.0, 1.5)
    image = resize_randomly(image, round(width * between), round(height * between), random)
    damages: list[tuple[float, Callable[[Pixels], Pixels]]] = [
        (0.7, lambda x: noise(x, random.uniform(1, 10), random)),
        (0.5, lambda x: resize_chain(x, random.uniform(0.6, 1.5), random)),
        (0.5, lambda x: jpeg(x, int(random.integers(35, 96)))),
        (0.5, lambda x: h264(x, int(random.integers(18, 36)))),
    ]
    for number in random.permutation(len(damages)):
        chance, damage = damages[number]
        if random.random() < chance:
            image = damage(image)
    return resize_randomly(image, width, height, random)


def optics_blur(image: Pixels, sigma: float) -> Pixels:
    """Gaussian blur of standard deviation `sigma` in pixels, edges mirrored."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def motion_blur(image: Pixels, length: float, angle: float) -> Pixels:
    """Mean along a centred line of `length` pixels at `angle` radians."""
    reach = int(np.ceil(length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for t in np.linspace(-length / 2, length / 2, 8 * reach + 1):
        kernel[round(reach + t * np.sin(angle)), round(reach + t * np.cos(angle))] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def noise(image: Pixels, sigma: float, random: Random) -> Pixels:
    """Sensor noise: shot noise that grows with the square root of the light, plus read noise.

    Args:
        image: `(H, W, 3)` u8.
        sigma: Standard deviation in grey levels at white; a third of it is left at black.
        random: Source of the noise.
    """
    light = image.astype(np.float32)
    deviation = sigma * np.sqrt(1 / 9 + 8 / 9 * light / 255)
    noisy = light + deviation * random.standard_normal(image.shape, dtype=np.float32)
    return _to_u8(noisy)


def resize_chain(image: Pixels, factor: float, random: Random) -> Pixels:
    """Resize by `factor` and back, each time with a kernel drawn at random."""
    height, width = image.shape[:2]
    small = resize_randomly(
        image, max(round(width * factor), 4), max(round(height * factor), 4), random
    )
    return resize_randomly(small, width, height, random)


def jpeg(image: Pixels, quality: int) -> Pixels:
    """Through JPEG, as motion-JPEG webcams do."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def h264(image: Pixels, crf: int) -> Pixels:
    """Through one H.264 key frame at constant rate factor `crf`, 4:2:0, as video calls do.

    Odd sizes, which 4:2:0 cannot hold, are padded by repeating the edge.
    """
    import av

    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % 2), (0, -width % 2), (0, 0)), mode="edge")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = padded.shape[1], padded.shape[0], "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
    packets = [*encoder.encode(frame.reformat(format="yuv420p")), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [out for packet in packets for out in decoder.decode(packet)]
    frames += decoder.decode(None)
    decoded = np.asarray(frames[0].to_ndarray(format="rgb24"), np.uint8)
    return decoded[:height, :width]


_KERNELS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)


def resize_randomly(image: Pixels, width: int, height: int, random: Random) -> Pixels:
    """Resize with a kernel drawn at random."""
    kernel = _KERNELS[random.integers(len(_KERNELS))]
    return np.asarray(Image.fromarray(image).resize((width, height), kernel))


def _to_u8(values: NDArray[np.floating[Any]]) -> Pixels:
    rounded: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded
