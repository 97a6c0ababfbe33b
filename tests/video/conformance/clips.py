"""Clips of every kind that people have, made by FFmpeg's command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PICTURE = "gradients=s=64x48:r={rate}:d={seconds}:seed=7:speed=0.05,format=yuv420p"
X264 = "-c:v libx264 -preset veryfast"


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name: Its file name; the ending chooses the container.
        video: Options of FFmpeg for the picture.
        sounds: Options for each sound track.
        rate: Frames a second.
        seconds: Length.
        filters: Added to the picture's filters.
        inputs: Further inputs, as options; `{folder}` is a folder for them.
        more: Options before the output's name.
        target: Ending of the result.
        refused: A word of the refusal; empty for clips that are enhanced.
        after: What is done to the file then.
        exact: Whether frames and times must be those that FFprobe sees in the clip.
        colour: Whether the result's samples can be compared with the clip's.
        bits: Bits of a component that the result must have.
        alpha: Whether the result must have the clip's transparency.
    """

    name: str
    video: str = X264
    sounds: tuple[str, ...] = ()
    rate: str = "25"
    seconds: float = 0.6
    filters: str = ""
    inputs: str = ""
    more: str = ""
    target: str = ".mp4"
    refused: str = ""
    after: Callable[[Path], None] | None = field(default=None, compare=False)
    exact: bool = True
    colour: bool = True
    bits: int = 8
    alpha: bool = False

    def make(self, folder: Path) -> Path:
        """Write it and return its path."""
        path = folder / self.name
        picture = PICTURE.format(rate=self.rate, seconds=self.seconds)
        if self.filters:
            picture += f",{self.filters}"
        command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture]
        maps = ["-map", "0:v"]
        for number in range(len(self.sounds)):
            tone = f"sine=frequency={440 * (number + 1)}:r=48000:d={self.seconds}"
            command += ["-f", "lavfi", "-i", tone]
            maps += ["-map", f"{number + 1}:a"]
        if self.inputs:
            _side_files(folder)
            extra = self.inputs.format(folder=folder).split()
            command += extra
            for number in range(extra.count("-i")):
                maps += ["-map", f"{len(self.sounds) + 1 + number}"]
        command += maps if "-map" not in self.more else []
        command += self.video.split()
        for number, options in enumerate(self.sounds):
            codec, *rest = options.split()
            command += [f"-c:a:{number}", codec, *rest]
        command += [*self.more.format(folder=folder).split(), str(path)]
        subprocess.run(command, check=True, capture_output=True)
        if self.after is not None:
            self.after(path)
        return path


def _side_files(folder: Path) -> None:
    (folder / "side.srt").write_text(
        "1\n00:00:00,100 --> 00:00:00,300\nHello\n\n2\n00:00:00,350 --> 00:00:00,500\nyou\n"
    )
    (folder / "side.txt").write_bytes(b"an attachment")
    (folder / "side.meta").write_text(
        ";FFMETADATA1\ntitle=A name\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\ntitle=one\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=300\nEND=600\ntitle=two\n"
    )


def _rewrite(*options: str) -> Callable[[Path], None]:
    """Copies the packets into another file of that name."""

    def change(path: Path) -> None:
        before = path.with_name(f"before-{path.name}")
        path.rename(before)
        command = ["ffmpeg", "-v", "error", "-y", *options, str(path)]
        command = [str(before) if part == "IN" else part for part in command]
        subprocess.run(command, check=True, capture_output=True)
        before.unlink()

    return change


def _cut_start(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[188 * (len(data) // 188 // 5) :])


def _lose_packets(path: Path) -> None:
    data = path.read_bytes()
    middle = len(data) // 188 // 2
    path.write_bytes(data[: 188 * middle] + data[188 * (middle + 3) :])


def _join(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data + data)


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat")
    middle = start + (len(data) - start) // 2
    for index in range(middle, middle + 40):
        data[index] ^= 0x55
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])


def _tag(matrix: str, primaries: str, transfer: str, *, full: bool = False) -> str:
    span = "pc" if full else "tv"
    return (
        f"{X264} -colorspace {matrix} -color_primaries {primaries} -color_trc {transfer} "
        f"-color_range {span}"
    )


AAC = "aac -b:a 96k"
X265 = "-c:v libx265 -x265-params log-level=error"
FINE = "format=yuv420p10le,geq=lum='lum(X,Y)+mod(X+2*Y,4)':cb='cb(X,Y)':cr='cr(X,Y)'"
CLEAR = "format=yuva420p,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='255*X/W'"
VFR = "setpts='N/25/TB+mod(N\\,3)*0.013/TB+gt(N\\,8)*0.4/TB'"

CONTAINERS = [
    Clip("h264.mp4", sounds=(AAC,)),
    Clip("h264.mov", sounds=(AAC,), target=".mov"),
    Clip("h264.mkv", sounds=(AAC,), target=".mkv"),
    Clip("h264.m4v", target=".m4v"),
    Clip("h264.flv", sounds=(AAC,), target=".mkv"),
    Clip("h264.ts", sounds=("mp2",), target=".mkv"),
    Clip("h264.nut", target=".mkv"),
    Clip("mpeg2.ts", "-c:v mpeg2video -q:v 3", ("mp2",), target=".mkv"),
    Clip("mpeg1.mpg", "-c:v mpeg1video -q:v 3", ("mp2",), target=".mkv"),
    Clip("mpeg2.vob", "-c:v mpeg2video -q:v 3", ("mp2",), target=".mkv"),
    Clip("mpeg2.mxf", "-c:v mpeg2video -q:v 3", target=".mkv"),
    Clip("mpeg4.avi", "-c:v mpeg4 -q:v 3", ("libmp3lame",), target=".mkv"),
    Clip("mpeg4.mp4", "-c:v mpeg4 -q:v 3", (AAC,)),
    Clip("mjpeg.avi", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p", target=".mkv", colour=False),
    Clip("mjpeg.mov", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p", target=".mov", colour=False),
    Clip("raw.avi", "-c:v rawvideo", target=".mkv"),
    Clip("huffyuv.mkv", "-c:v ffvhuff", target=".mkv"),
    Clip("ffv1.mkv", "-c:v ffv1", ("flac",), target=".mkv"),
    Clip("theora.ogv", "-c:v libtheora -q:v 7", target=".mkv"),
    Clip("vp8.webm", "-c:v libvpx -b:v 1M", ("libvorbis",), target=".webm", colour=False),
    Clip("vp9.webm", "-c:v libvpx-vp9 -b:v 1M", ("libopus",), target=".webm", colour=False),
    Clip("vp9.mkv", "-c:v libvpx-vp9 -b:v 1M", target=".mkv"),
    Clip("hevc.mp4", "-c:v libx265 -x265-params log-level=error", (AAC,)),
    Clip("hevc.mkv", "-c:v libx265 -x265-params log-level=error", target=".mkv"),
    Clip("av1.mp4", "-c:v libaom-av1 -cpu-used 8 -b:v 1M"),
    Clip("av1.mkv", "-c:v libaom-av1 -cpu-used 8 -b:v 1M", target=".mkv"),
    Clip("wmv2.wmv", "-c:v wmv2 -b:v 1M", target=".mkv"),
    Clip("h263.3gp", "-c:v h263 -s 176x144", colour=False, rate="30000/1001"),
    Clip("raw.y4m", "", target=".mkv"),
    Clip("fragmented.mp4", more="-movflags frag_keyframe+empty_moov", sounds=(AAC,)),
    Clip("still.gif", "-c:v gif", filters="format=rgb24", colour=False),
]

TIMES = [
    Clip("film.mp4", rate="24000/1001"),
    Clip("ntsc.mkv", rate="30000/1001", target=".mkv"),
    Clip("fast.mp4", rate="60"),
    Clip("slow.mp4", rate="1", seconds=4),
    Clip("single.mp4", more="-frames:v 1"),
    Clip("vfr.mp4", filters=VFR, more="-vsync vfr -enc_time_base 1/1000", seconds=1),
    Clip("vfr.mkv", filters=VFR, more="-vsync vfr", seconds=1, target=".mkv"),
    Clip("vfr-b.mp4", f"{X264} -bf 3", filters=VFR, more="-vsync vfr", seconds=1),
    Clip("b-frames.mp4", f"{X264} -bf 4 -b_strategy 0", seconds=1),
    Clip("open-gop.mp4", f"{X264} -x264-params open-gop=1:keyint=8:bframes=2", seconds=1),
    Clip("no-b-frames.mp4", f"{X264} -bf 0"),
    Clip("refresh.mp4", f"{X264} -x264-params intra-refresh=1:keyint=10", seconds=1),
    Clip("late.mp4", filters="setpts=PTS+0.4/TB", sounds=(AAC,)),
    Clip("offset.mkv", more="-output_ts_offset 10", target=".mkv"),
    Clip("offset.mp4", more="-output_ts_offset 2"),
    Clip("hour.ts", more="-output_ts_offset 3600", sounds=("mp2",), target=".mkv"),
    Clip(
        "trimmed.mp4",
        f"{X264} -g 100",
        seconds=2,
        after=_rewrite("-ss", "0.7", "-i", "IN", "-c", "copy"),
    ),
]

TRACKS = [
    Clip("languages.mp4", sounds=(f"{AAC} -metadata:s:a:0 language=eng", f"{AAC}")),
    Clip("ac3.mkv", sounds=("ac3",), target=".mkv"),
    Clip("opus.mkv", sounds=("libopus",), target=".mkv"),
    Clip("pcm.mov", sounds=("pcm_s16le",), target=".mov"),
    Clip("mp3.mp4", sounds=("libmp3lame",)),
    Clip("alac.mov", sounds=("alac",), target=".mov"),
    Clip("srt.mkv", inputs="-i {folder}/side.srt", more="-c:s srt", target=".mkv"),
    Clip("text.mp4", inputs="-i {folder}/side.srt", more="-c:s mov_text"),
    Clip("ass.mkv", inputs="-i {folder}/side.srt", more="-c:s ass", target=".mkv"),
    Clip("attachment.mkv", inputs="-i {folder}/side.srt", target=".mkv", sounds=(AAC,),
         more="-attach {folder}/side.txt -metadata:s:t mimetype=text/plain"),
    Clip("chapters.mp4", inputs="-i {folder}/side.meta", more="-map 0:v -map_metadata 1"),
    Clip("timecode.mov", more="-timecode 01:00:00:00", target=".mov"),
    Clip("truehd.mkv", sounds=("truehd -strict -2",), target=".mkv"),
    Clip("dts.mkv", sounds=("dca -strict -2",), target=".mkv"),
    Clip("adpcm.avi", "-c:v mpeg4", ("adpcm_ms",), target=".mkv"),
    Clip("ima.avi", "-c:v mpeg4", ("adpcm_ima_wav", "libmp3lame"), target=".mkv"),
    Clip("wma1.wmv", "-c:v wmv2 -b:v 1M", ("wmav1",), target=".mkv"),
    Clip("wma2.mkv", sounds=("wmav2", AAC), inputs="-i {folder}/side.srt", more="-c:s srt",
         target=".mkv"),
    Clip("no-place.avi", "-c:v mpeg4", ("adpcm_ms",), refused='named .mkv.*audio="aac"'),
    Clip("truehd-mp4.mkv", sounds=("truehd -strict -2",), refused='named .mkv.*audio="aac"'),
]  # fmt: skip

PICTURES = [
    Clip("sar.mp4", filters="setsar=4/3"),
    Clip("odd.mkv", "-c:v ffv1", filters="scale=63:47,format=yuv444p", colour=False,
         target=".mkv", refused="even"),
    Clip("bt601.mp4", _tag("smpte170m", "smpte170m", "smpte170m")),
    Clip("bt470.mp4", _tag("bt470bg", "bt470bg", "smpte170m")),
    Clip("bt709.mp4", _tag("bt709", "bt709", "bt709")),
    Clip("bt2020.mp4", _tag("bt2020nc", "bt2020", "bt709")),
    Clip("full.mp4", _tag("bt709", "bt709", "bt709", full=True), filters="scale=out_range=pc"),
    Clip("422.mkv", f"{X264} -pix_fmt yuv422p", target=".mkv", colour=False),
    Clip("444.mkv", f"{X264} -pix_fmt yuv444p", target=".mkv", colour=False),
    Clip("gray.mkv", "-c:v ffv1 -pix_fmt gray", target=".mkv", colour=False),
    Clip("rgb.mkv", "-c:v libx264rgb -preset veryfast", filters="format=rgb24", target=".mkv",
         colour=False),
    Clip("rotated.mp4", colour=False,
         after=_rewrite("-i", "IN", "-c", "copy", "-metadata:s:v:0", "rotate=90")),
    Clip("ten-bit.mkv", f"{X264} -pix_fmt yuv420p10le", filters=FINE, target=".mkv", bits=10),
    Clip("ten-bit.mp4", f"{X265} -pix_fmt yuv420p10le", (AAC,), filters=FINE, bits=10),
    Clip("full-10.mkv", f"{_tag('bt709', 'bt709', 'bt709', full=True)} -pix_fmt yuv420p10le",
         filters=f"{FINE},scale=out_range=pc", target=".mkv", bits=10),
    Clip("bt2020-10.mp4", f"{_tag('bt2020nc', 'bt2020', 'bt2020-10')} -pix_fmt yuv420p10le",
         filters=FINE, bits=10),
    Clip("prores.mov", "-c:v prores_ks -profile:v 3", filters=FINE, target=".mov", bits=10),
    Clip("deep.mkv", "-c:v ffv1 -pix_fmt yuv444p10le", filters=FINE, target=".mkv", bits=10),
    Clip("rgb-10.mkv", "-c:v ffv1 -pix_fmt gbrp10le", filters=FINE, target=".mkv", bits=10,
         colour=False),
    Clip("ten-bit.webm", "-c:v libaom-av1 -cpu-used 8 -b:v 1M -pix_fmt yuv420p10le",
         filters=FINE, target=".webm", refused="libsvtav1"),
    Clip("pq.mp4", _tag("bt2020nc", "bt2020", "smpte2084"), refused="HDR"),
    Clip("hlg.mp4", _tag("bt2020nc", "bt2020", "arib-std-b67"), refused="HDR"),
    Clip("alpha.webm", "-c:v libvpx-vp9 -crf 4 -b:v 0 -pix_fmt yuva420p", ("libopus",),
         target=".webm", filters=CLEAR, colour=False, alpha=True),
    Clip("alpha-8.webm", "-c:v libvpx -crf 4 -b:v 4M -auto-alt-ref 0 -pix_fmt yuva420p",
         target=".webm", filters=CLEAR, colour=False, alpha=True),
    Clip("alpha.mov", "-c:v qtrle -pix_fmt argb", filters=f"{CLEAR},format=argb",
         target=".webm", colour=False, alpha=True),
    Clip("alpha.mkv", "-c:v libvpx-vp9 -b:v 1M -pix_fmt yuva420p", target=".mp4",
         filters=CLEAR, refused="transparency"),
    Clip("alpha-qtrle.mov", "-c:v qtrle -pix_fmt argb", filters=f"{CLEAR},format=argb",
         target=".mov", refused="transparency"),
    Clip("interlaced.mp4", f"{X264} -flags +ildct -x264-params tff=1", refused="interlaced"),
]  # fmt: skip

DAMAGE = [
    Clip("mid-gop.ts", f"{X264} -g 12", seconds=2, after=_cut_start, target=".mkv", exact=False),
    Clip("lost.ts", f"{X264} -g 12", seconds=2, after=_lose_packets, target=".mkv", exact=False),
    Clip("joined.ts", f"{X264} -g 12", seconds=1, after=_join, target=".mkv", exact=False),
    Clip("damaged.mp4", f"{X264} -g 12", seconds=2, after=_damage, exact=False),
    Clip("cut-short.mkv", seconds=2, after=_truncate, target=".mkv", refused="cut short"),
]

CLIPS = [*CONTAINERS, *TIMES, *TRACKS, *PICTURES, *DAMAGE]
