"""Pictures of the web page, encoded and decoded again by FFmpeg."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("aiortc")

from srsdk.live.web.encoder import Codec, Encoder

DECODERS = {"H264": "h264", "VP8": "vp8"}


def picture(index: int, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin((x + 4 * index) / (20 + k) + y / 30 + k) for k in range(3)]
    return np.stack(planes, axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_pictures_survive(codec: Codec) -> None:
    encode = Encoder(codec)
    decoder: Any = av.CodecContext.create(DECODERS[codec], "r")
    decoder.thread_count = 1  # threads over frames would hold some back
    for index in range(20):
        given = picture(index, 240, 320)
        packets = encode(given, index / 30)
        (frame,) = [frame for packet in packets for frame in decoder.decode(packet)]
        made = frame.to_ndarray(format="bgr24").astype(int)
        assert made.shape == given.shape
        assert np.abs(made - given).mean() < 6


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_sizes_may_change_and_be_odd(codec: Codec) -> None:
    encode = Encoder(codec)
    stamps = []
    for index, (height, width) in enumerate([(240, 320), (240, 320), (121, 161), (240, 320)]):
        packets = encode(picture(index, height, width), 0.5)  # the same time again and again
        assert packets[0].is_keyframe == (index != 1)
        stamps += [packet.pts for packet in packets]
    assert stamps == sorted(set(stamps))
