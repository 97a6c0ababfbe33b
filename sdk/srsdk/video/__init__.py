"""Video in, video out. Importing this loads PyAV; `import srsdk` does not import this."""

from srsdk.video.encoding import EncodeOptions
from srsdk.video.info import Frame, VideoInfo
from srsdk.video.pipeline import FrameProcessor, enhance_video
from srsdk.video.reader import VideoReader
from srsdk.video.report import VideoReport
from srsdk.video.writer import VideoWriter

__all__ = [
    "EncodeOptions",
    "Frame",
    "FrameProcessor",
    "VideoInfo",
    "VideoReader",
    "VideoReport",
    "VideoWriter",
    "enhance_video",
]
