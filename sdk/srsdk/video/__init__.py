"""Video in, video out. Importing this loads PyAV; `import srsdk` does not import this."""

from srsdk.video.conversion import TrackOptions
from srsdk.video.damage import Damage
from srsdk.video.encoding import EncodeOptions
from srsdk.video.enhance import enhance_frames, enhance_video
from srsdk.video.info import Frame, VideoInfo
from srsdk.video.processor import FrameProcessor
from srsdk.video.reader import ReadOptions, VideoReader
from srsdk.video.report import VideoReport
from srsdk.video.size import OutputSize
from srsdk.video.writer import VideoWriter

__all__ = [
    "Damage",
    "EncodeOptions",
    "Frame",
    "FrameProcessor",
    "OutputSize",
    "ReadOptions",
    "TrackOptions",
    "VideoInfo",
    "VideoReader",
    "VideoReport",
    "VideoWriter",
    "enhance_frames",
    "enhance_video",
]
