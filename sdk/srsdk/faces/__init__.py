"""Faces in frames: find them, follow them, upscale them by their own generator, blend them in.

enhancer = FaceEnhancer(backend.run, scale=4, face_size=32)
enhancer.enhance(lr, sr)  # one image: no memory, any thread

stream = FaceStream(enhancer)  # one video: tracked, frames in order
for lr, sr in frames:
    stream.enhance(lr, sr)
"""

from srsdk.faces.blazeface import BlazeFaceDetector
from srsdk.faces.blend import blend_faces, match_tone
from srsdk.faces.crop import CropPlan, extract, face_squares, plan_crops
from srsdk.faces.detect import Face, FaceDetector
from srsdk.faces.enhance import FaceEnhancer, FaceResult, FrameFace
from srsdk.faces.identity import FaceDescriptor, IdentityGuard
from srsdk.faces.stream import FaceStream, FaceSummary
from srsdk.faces.track import FaceTracker, Track
from srsdk.faces.yunet import YuNetDetector

__all__ = [
    "BlazeFaceDetector",
    "CropPlan",
    "Face",
    "FaceDescriptor",
    "FaceDetector",
    "FaceEnhancer",
    "FaceResult",
    "FaceStream",
    "FaceSummary",
    "FaceTracker",
    "FrameFace",
    "IdentityGuard",
    "Track",
    "YuNetDetector",
    "blend_faces",
    "extract",
    "face_squares",
    "match_tone",
    "plan_crops",
]
