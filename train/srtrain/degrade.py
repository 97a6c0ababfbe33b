"""From pictures to pairs of high- and low-resolution faces.

`clean` is the protocol's degradation: nothing but an antialiased bicubic reduction. All arithmetic
on pixels is Pillow's, in u8, so that scores can be repeated elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Random = np.random.Generator


def to_hr(
    picture: Image.Image, side: int, box: tuple[float, float, float, float] | None = None
) -> Pixels:
    """Cut `box` (left, top, right, bottom in pixels; None: all) and bring it to `side` x `side`.

    Whole-number reductions are box averages and the rest is Lanczos (`reducing_gap=1`), which keeps
    a 256-pixel picture as sharp as 128 pixels can be without ringing.
    """
    rgb = picture.convert("RGB")
    hr = rgb.resize((side, side), Image.Resampling.LANCZOS, box=box, reducing_gap=1.0)
    return np.asarray(hr)


def clean(hr: Pixels, scale: int) -> Pixels:
    """Antialiased bicubic reduction of `(H, W, 3)` u8 RGB by `scale`."""
    height, width = hr.shape[:2]
    size = (width // scale, height // scale)
    return np.asarray(Image.fromarray(hr).resize(size, Image.Resampling.BICUBIC))


def bicubic(lr: Pixels, scale: int) -> Pixels:
    """Bicubic enlargement of `(H, W, 3)` u8 RGB: the baseline of every score."""
    height, width = lr.shape[:2]
    size = (width * scale, height * scale)
    return np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.BICUBIC))
