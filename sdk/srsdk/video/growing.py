"""Video files that can be played while they grow: a recording that breaks off loses nothing.

MP4 has one index, at its end, and without it no part of the file can be played. A growing MP4 is a
row of fragments, each with an index of its own. Editors and old players want one index all the
same, so the file is copied into that form once it is whole. Matroska and WebM need neither.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import av
import av.error

from srsdk.files import replacing
from srsdk.video.muxing import open_output
from srsdk.video.tracks import add_like
from srsdk.video.writer import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FRAGMENTS = "+empty_moov+delay_moov+default_base_moof+frag_keyframe"
# A second, in microseconds and milliseconds: what a power failure costs.
_FRAGMENT, _CLUSTER = "1000000", "1000"


class GrowingWriter(VideoWriter):
    """A `VideoWriter`, for pictures alone, of which `keep` saves what there is.

    Use it without `with`, which removes what an exception leaves: call `write`, then `complete`.
    """

    def complete(self) -> None:
        """Complete the file and give it its name.

        Raises:
            VideoError: Writing failed, or the encoder kept frames back; `keep` saves the rest.
        """
        self.finish()
        if self._is_mp4:
            self._join()
        self.publish()

    def keep(self) -> bool:
        """End the file where it broke off, and give it its name.

        Returns:
            Whether it holds a picture; without one nothing is left behind.

        Raises:
            VideoError: Renaming failed.
        """
        self._let_go()
        if not _holds_pictures(self._temporary):
            self.abort()
            return False
        self.publish()
        return True

    @property
    def _is_mp4(self) -> bool:
        return self._kind in ("mp4", "mov")

    def _settings(self, kind: str, metadata: Mapping[str, str]) -> dict[str, str]:
        # Whole fragments go to the disk at once, not when FFmpeg's buffer is full.
        settings = {**super()._settings(kind, metadata), "flush_packets": "1"}
        if not self._is_mp4:
            return {**settings, "cluster_time_limit": _CLUSTER}
        flags = settings["movflags"].replace("+faststart", "") + _FRAGMENTS
        return {**settings, "movflags": flags, "frag_duration": _FRAGMENT}

    def _join(self) -> None:
        """Copy the fragments into a file with one index.

        That takes as much space again for a moment; where there is none, the file stays as it is.
        """
        with (
            contextlib.suppress(av.error.FFmpegError, OSError, ValueError),
            replacing(self._temporary) as copy,
            av.open(str(self._temporary.absolute())) as grown,
            open_output(copy, self._kind, super()._settings(self._kind, {})) as whole,
        ):
            track = add_like(whole, grown.streams[0])
            for packet in grown.demux():
                if packet.size:
                    packet.stream = track
                    whole.mux_one(packet)


def _holds_pictures(path: Path) -> bool:
    """Whether a player finds a picture in a file."""
    try:
        container: Any = av.open(str(path.absolute()))
        with container:
            return next(container.decode(video=0), None) is not None
    except (av.error.FFmpegError, OSError, ValueError):
        return False
