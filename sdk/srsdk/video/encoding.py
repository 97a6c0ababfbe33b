"""How the output of a video job is encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import av

from srsdk.errors import InputError, VideoError
from srsdk.video.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Output format by the name's ending.
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}

#: Encoders in hardware: what each needs.
HARDWARE = {
    "h264_nvenc": "an NVIDIA GPU and its driver",
    "hevc_nvenc": "an NVIDIA GPU and its driver",
    "h264_videotoolbox": "a Mac",
    "hevc_videotoolbox": "a Mac",
    "h264_v4l2m2m": "a device with a V4L2 encoder, as the Raspberry Pi 4 has",
    "h264_qsv": "an Intel GPU and its driver",
    "hevc_qsv": "an Intel GPU and its driver",
    "h264_amf": "an AMD GPU and its driver",
    "hevc_amf": "an AMD GPU and its driver",
}

# Default speed setting of each encoder, fit for encoding while a generator has the processor.
_PRESETS = {"libx264": "superfast", "libx265": "ultrafast", "libsvtav1": "10", "libvpx-vp9": "8"}

#: Encoders of HEVC.
HEVC = ("libx265", "hevc_nvenc", "hevc_videotoolbox", "hevc_qsv", "hevc_amf")

#: Largest width and height that an encoder takes; measured by starting each.
LARGEST = {
    "libx264": (16384, 16384),
    "libx265": (65535, 65535),
    "libsvtav1": (16384, 8704),
    "libvpx-vp9": (65535, 65535),
}

# x264 prints a line of its own for a preset that it does not know, so the names are checked here.
_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
    *("slow", "slower", "veryslow", "placebo"),
)

#: Smallest and largest preset of the encoders that number theirs.
_NUMBERED = {"libsvtav1": (-2, 13), "libvpx-vp9": (-8, 8)}

# Metadata that MP4 has named places for; anything else needs the free-form table.
_MP4_KEYS = {
    *("title", "artist", "album", "album_artist", "composer", "comment", "copyright", "date"),
    *("description", "synopsis", "genre", "lyrics", "grouping", "show", "episode_id", "network"),
    *("creation_time", "language", "handler_name", "track", "disc"),
}


@dataclass(frozen=True)
class EncodeOptions:
    """How the picture is encoded.

    The defaults were measured on a talking head, 320×180 to 1280×720 at crf 18, as processor time
    per frame of the whole job with bicubic as the generator: ultrafast 11 ms (4.5 Mb/s), superfast
    16 ms (3.1 Mb/s), veryfast 23 ms (1.7 Mb/s), of which 4 to 5 ms are decoding, resizing and exact
    colour conversion. Two cores have 66 ms per frame at 30 fps and a generator takes about half.

    Attributes:
        codec: Encoder: libx264, libx265, libsvtav1 or libvpx-vp9, or one of `HARDWARE`.
        crf: Constant quality, lower is better; 18 is visually lossless with libx264.
        preset: Speed setting of the encoder (`cpu-used` for libvpx-vp9); None for a fast one.
        pixel_format: Stored pixel format, for instance yuv420p or yuv444p. None for yuv420p, or
            what holds the bits (10) and the transparency of the input.
        threads: Encoder threads; few, since the generator needs the processor too.
    """

    codec: str = "libx264"
    crf: float = 18
    preset: str | None = None
    pixel_format: str | None = None
    threads: int = 2

    def __post_init__(self) -> None:
        """Raise `InputError` for options that no encoder takes."""
        if self.codec not in (*_PRESETS, *HARDWARE):
            known = ", ".join((*_PRESETS, *HARDWARE))
            raise InputError(f"codec {self.codec!r} is unknown; choose one of {known}")
        if not 0 <= self.crf <= 63:
            raise InputError(f"crf {self.crf} is out of range; choose 0 to 51, for instance 18")
        if self.codec in ("libx264", "libx265") and self.preset not in (None, *_X26X_PRESETS):
            raise InputError(
                f"preset {self.preset!r} is unknown; choose one of {', '.join(_X26X_PRESETS)}"
            )
        if self.preset is not None and self.codec in _NUMBERED:
            first, last = _NUMBERED[self.codec]
            if self.preset not in map(str, range(first, last + 1)):
                raise InputError(
                    f"preset {self.preset!r} is unknown to {self.codec}; choose a number from "
                    f"{first} (best) to {last} (fastest)"
                )
        if self.threads < 1:
            raise InputError(f"threads is {self.threads}; choose 1 or more")

    @classmethod
    def for_format(cls, kind: str, **chosen: Any) -> EncodeOptions:
        """The defaults for a format, as FFmpeg calls it, and what was chosen.

        WebM holds no H.264.
        """
        if kind == "webm":
            chosen.setdefault("codec", "libvpx-vp9")
        if chosen.get("codec") == "libvpx-vp9":
            chosen.setdefault("crf", 24)  # VP9 counts to 63, where H.264 counts to 51
        return cls(**chosen)

    def fitted(self, samples: Samples, path: Path, source: str) -> EncodeOptions:
        """The same with a pixel format that holds an input.

        Args:
            samples: What a pixel of the input holds.
            path: The output.
            source: What to call the input in an error.

        Raises:
            VideoError: This encoder has none, or the output's format does not take it.
            InputError: There is no pixel format of this name, or this encoder does not take it.
        """
        known = _pixel_formats(self.codec)
        if self.pixel_format is not None:
            stored_samples(self.pixel_format)
            if known and self.pixel_format not in known:
                raise InputError(
                    f'pixel_format="{self.pixel_format}" is not one that {self.codec} here takes; '
                    f"choose one of {', '.join(known)}"
                )
        if samples.alpha:
            return self._with_alpha(samples, path, source)
        if self.pixel_format is not None:
            return self
        if not samples.is_deep:
            # Intel's encoders take the second only.
            fits = [name for name in ("yuv420p", "nv12") if name in known]
            return replace(self, pixel_format=fits[0] if fits else "yuv420p")
        for deep in ("yuv420p10le", "p010le"):
            if deep in known:
                return replace(self, pixel_format=deep)
        other = "libsvtav1" if path.suffix.lower() == ".webm" else "libx264"
        raise VideoError(
            f"{source} has {samples.bits} bits per component, and {self.codec} here was built for "
            f'8; choose codec="{other}", or pixel_format="yuv420p" for a result of 8 bits'
        )

    def _with_alpha(self, samples: Samples, path: Path, source: str) -> EncodeOptions:
        flatten = "flatten it first: ffmpeg -i IN -pix_fmt yuv420p -c:a copy OUT"
        can_hold = path.suffix.lower() in (".webm", ".mkv")
        if self.codec != "libvpx-vp9" or not can_hold:
            other = 'choose codec="libvpx-vp9"' if can_hold else "name the output .webm"
            raise VideoError(
                f"{source} has transparency, which {self.codec} in {path.suffix} cannot hold; "
                f"{other}, or {flatten}"
            )
        if samples.is_deep and self.pixel_format is None:
            raise VideoError(
                f"{source} has transparency and {samples.bits} bits per component, and with it "
                f'{self.codec} holds 8; choose pixel_format="yuva420p" for a result of 8 bits'
            )
        chosen = self.pixel_format or "yuva420p"
        if not stored_samples(chosen).alpha:
            raise VideoError(
                f"{source} has transparency, which {chosen} cannot hold; choose "
                f'pixel_format="yuva420p", or {flatten}'
            )
        return replace(self, pixel_format=chosen)

    def settings(self) -> dict[str, str]:
        """The encoder's own options."""
        if self.codec in HARDWARE:
            return self._hardware_settings()
        preset = self.preset or _PRESETS[self.codec]
        settings = {"crf": f"{self.crf:g}"}
        if self.codec == "libvpx-vp9":
            settings |= {"b": "0", "deadline": "realtime", "cpu-used": preset, "row-mt": "1"}
            # Frames that are never shown have no transparency.
            alpha = (self.pixel_format or "").startswith("yuva")
            return {**settings, "auto-alt-ref": "0"} if alpha else settings
        if self.codec == "libx265":
            settings["x265-params"] = "log-level=error"
        return {**settings, "preset": preset}

    def _hardware_settings(self) -> dict[str, str]:
        """Constant quality, as each maker calls it; those that have none get a bit rate."""
        maker = self.codec.partition("_")[2]
        preset = {"preset": self.preset} if self.preset else {}
        quality = f"{self.crf:g}"
        if maker == "nvenc":
            return {"rc": "vbr", "cq": quality, "b": "0", **preset}
        if maker == "qsv":
            return {"global_quality": str(round(self.crf)), **preset}
        if maker == "amf":
            level = str(round(self.crf))
            return {"rc": "cqp", "qp_i": level, "qp_p": level, "qp_b": level, **preset}
        if maker == "videotoolbox":
            # Its quality goes from 1 to 100, best last.
            return {"global_quality": str(round(118 * (100 - 1.6 * self.crf))), "flags": "+qscale"}
        return {"b": "8M"}


def stored_samples(pixel_format: str) -> Samples:
    """What a pixel format holds, at most what `Composer` can give.

    Raises:
        InputError: There is none of this name.
    """
    try:
        held = Samples.of(av.VideoFormat(pixel_format))
    except ValueError as error:
        raise InputError(
            f'pixel_format="{pixel_format}" is unknown; choose for instance yuv420p'
        ) from error
    return Samples(8, True) if held.alpha else held


def _pixel_formats(codec: str) -> list[str]:
    """The pixel formats that an encoder takes; empty where it is not there."""
    try:
        formats = av.Codec(codec, "w").video_formats
    except ValueError:
        return []
    return [known.name for known in formats or ()]


def container_options(kind: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Options of the muxer for FFmpeg's format `kind`, given the metadata it shall hold."""
    if kind not in ("mp4", "mov"):
        return {"fflags": "+bitexact"}  # Matroska otherwise numbers its tracks at random
    flags = "+faststart"
    if not metadata.keys() <= _MP4_KEYS:
        flags += "+use_metadata_tags"
    return {"movflags": flags}
