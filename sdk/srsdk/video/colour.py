"""Colour of a video: its tags, and exact conversion between its pixels and BGR.

FFmpeg's scaler takes everything it is not told about for BT.601; a BT.709 clip then comes back with
other reds and greens. Here matrix and range are always spelled out, both ways.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from srsdk.errors import VideoError
from srsdk.video.samples import WHITE

if TYPE_CHECKING:
    import av

UNSPECIFIED = 2
_PQ, _HLG = 16, 18
_FULL = 2

#: AVColorSpace to the scaler's name for it.
_MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "smpte170m",  # BT.470BG: the same coefficients
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
}
_BT709, _SMPTE170M = 1, 6

# Without these flags the scaler repeats chroma samples and rounds down: 1.2 grey levels off on
# average when decoding, 0.7 when encoding. Full chroma interpolation is costly at the output's size
# (and changes nothing there), so it is for decoding only.
_DECODE_FLAGS = "bilinear+accurate_rnd+full_chroma_int"
_ENCODE_FLAGS = "bilinear+accurate_rnd"
# Bilinear with full chroma is wrong in FFmpeg 8 where the target has 16 bits.
_RESIZE_FLAGS = "bicubic+accurate_rnd+full_chroma_int"


@dataclass(frozen=True)
class Colour:
    """How numbers in a video mean colours, in FFmpeg's (ITU-T H.273) code points.

    Attributes:
        matrix: Y'CbCr coefficients (AVColorSpace), never unspecified.
        primaries: AVColorPrimaries, 2 where the file does not say.
        transfer: AVColorTransferCharacteristic, 2 where the file does not say.
        full_range: Luma from 0 to 255 instead of 16 to 235.
    """

    matrix: int = _BT709
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool = False

    @property
    def range_name(self) -> str:
        """The scaler's name of the range."""
        return "pc" if self.full_range else "tv"

    def white(self, pixel_format: av.VideoFormat) -> int:
        """What white of a pixel format becomes in 16-bit BGR."""
        if pixel_format.is_rgb:
            return 0xFFFF
        if self.full_range or pixel_format.name.startswith("gray"):
            return 0x10000 - (0x10000 >> pixel_format.components[0].bits)
        return WHITE

    @classmethod
    def of(cls, frame: av.VideoFrame, context: Any, *, source: str) -> Colour:
        """Read the tags of a decoded frame, settling what the file leaves open.

        An untagged picture is BT.709 from 720 lines or 1280 columns up and BT.601 below, as players
        have it. The output says so explicitly: four times larger, it would otherwise be read the
        other way. RGB input becomes BT.709.

        Args:
            frame: The first decoded frame.
            context: Its stream's codec context.
            source: What to call the file in an error.

        Raises:
            VideoError: HDR, or a matrix that is not plain Y'CbCr.
        """
        transfer = int(context.color_trc)
        if transfer == UNSPECIFIED and _is_dolby_vision(frame):
            transfer = _PQ
        if transfer in (_PQ, _HLG):
            raise VideoError(
                f"{source} is HDR ({'PQ' if transfer == _PQ else 'HLG'}); convert it to SDR first: "
                "ffmpeg -i IN -vf zscale=t=linear:npl=100,tonemap=hable,"
                "zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p -c:a copy OUT"
            )
        primaries = int(context.color_primaries)
        if frame.format.is_rgb:
            return cls(_BT709, primaries, transfer)
        full = int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")
        matrix = int(frame.colorspace)
        if matrix in (0, UNSPECIFIED, 3):
            large = frame.width >= 1280 or frame.height >= 720
            matrix = _BT709 if large else _SMPTE170M
        if matrix not in _MATRICES:
            raise VideoError(
                f"{source} has colour matrix {matrix}, which srsdk cannot convert; re-encode it "
                "first: ffmpeg -i IN -vf scale=out_color_matrix=bt709,format=yuv420p OUT"
            )
        return cls(matrix, primaries, transfer, full)


def refuse_unsupported(frame: av.VideoFrame, *, source: str, progressive: bool = False) -> None:
    """Raise `VideoError` for pictures that would come out wrong.

    Interlaced fields, and floating point samples: each error names the conversion to run first.

    Args:
        frame: A decoded frame.
        source: What to call the file in an error.
        progressive: Do not believe that a frame is interlaced.
    """
    name = frame.format.name
    if any(component.bits > 16 for component in frame.format.components):
        raise VideoError(
            f"{source} has samples of more than 16 bits ({name}); convert it first: "
            "ffmpeg -i IN -pix_fmt yuv420p10le -c:a copy OUT (HDR also needs a tone map)"
        )
    if frame.interlaced_frame and not progressive:
        raise VideoError(
            f"{source} is interlaced, and upscaling would enlarge its combing; "
            "deinterlace it first: ffmpeg -i IN -vf bwdif -c:a copy OUT; "
            "if it only says so and its frames are whole, give progressive=True"
        )


def _is_dolby_vision(frame: Any) -> bool:
    """Whether a frame is HDR of a kind that no tag tells."""
    try:
        kinds = [getattr(data.type, "name", "") for data in frame.side_data]
    except ValueError:  # PyAV cannot list data of kinds that it has no name for
        return False
    return any(str(kind).startswith("DOVI") for kind in kinds)


def is_opaque(frame: av.VideoFrame) -> bool:
    """Whether all pixels of a frame with alpha are opaque."""
    if frame.format.name not in ("bgra", "rgba", "argb", "abgr"):
        return False
    pixels = frame.to_ndarray()
    alpha = 0 if frame.format.name.startswith("a") else 3
    return bool((pixels[..., alpha] == 255).all())


class Converter:
    """Converts frames of one size between a pixel format and BGR, by FFmpeg's scaler.

    It goes through a filter graph, the one interface to the scaler that takes matrix, range and
    rounding alike in every PyAV since 12.
    """

    def __init__(self, width: int, height: int, source: str, target: str, settings: str) -> None:
        import av.filter

        graph = av.filter.Graph()
        pixel_format = av.VideoFormat(source)
        chain = (
            graph.add_buffer(
                width=width, height=height, format=pixel_format, time_base=Fraction(1, 1000)
            ),
            graph.add("scale", settings),
            graph.add("format", target),
            graph.add("buffersink"),
        )
        for first, second in itertools.pairwise(chain):
            first.link_to(second)
        graph.configure()
        self._graph = graph

    @classmethod
    def to_bgr(
        cls,
        frame: av.VideoFrame,
        colour: Colour,
        size: tuple[int, int] | None = None,
        layout: str = "bgr24",
    ) -> Converter:
        """From frames like `frame` to packed BGR, resized to `size` where it is given."""
        settings = f"flags={_DECODE_FLAGS if layout == 'bgr24' else _RESIZE_FLAGS}"
        if size is not None:
            settings = f"{size[0]}:{size[1]}:flags={_RESIZE_FLAGS}"
        if not frame.format.is_rgb:
            matrix = _MATRICES[colour.matrix]
            settings += f":in_color_matrix={matrix}:in_range={colour.range_name}:out_range=pc"
        return cls(frame.width, frame.height, frame.format.name, layout, settings)

    @classmethod
    def from_bgr(
        cls,
        width: int,
        height: int,
        target: str,
        colour: Colour,
        size: tuple[int, int] | None = None,
        layout: str = "bgr24",
    ) -> Converter:
        """From packed BGR to the pixel format `target`, resized to `size` where it is given."""
        settings = f"flags={_ENCODE_FLAGS}"
        if size is not None:
            settings = f"{size[0]}:{size[1]}:flags=lanczos+accurate_rnd+full_chroma_inp"
        settings += (
            ":in_range=pc"
            f":out_color_matrix={_MATRICES[colour.matrix]}:out_range={colour.range_name}"
        )
        return cls(width, height, layout, target, settings)

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Convert one frame; the result's tags are the scaler's business, not the video's."""
        # The graph knows what it was told; tags on the frame could only contradict that.
        frame.colorspace = UNSPECIFIED
        frame.color_range = 0
        self._graph.push(frame)
        result: av.VideoFrame = self._graph.pull()  # type: ignore[assignment]
        return result
