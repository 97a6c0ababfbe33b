"""Upscaled faces back into the upscaled frame."""

from __future__ import annotations

import cv2
import numpy as np

from srsdk._kernels import blend_into
from srsdk.errors import InputError
from srsdk.faces.crop import CropPlan
from srsdk.faces.feather import feather_weights
from srsdk.faces.frames import check_frame
from srsdk.types import Pixels

_TONE_CELLS = 4


def match_tone(sr: Pixels, lr: Pixels) -> Pixels:
    """Give an upscaled crop the local colour of the pixels it was made from.

    A generator may shift colours a little, and next to the untouched frame that shows. Upscaling
    must not change local means, so they are compared on a 4x4 grid and the smooth difference is
    added, less half a grey level: what rounding alone makes is left alone, and nothing switches on
    and off from frame to frame.

    Args:
        sr: `(s*S, s*S, 3)` uint8, the upscaled crop.
        lr: `(S, S, 3)` uint8, the crop.

    Returns:
        `sr` itself, or a corrected copy.
    """
    cells = (_TONE_CELLS, _TONE_CELLS)
    small = cv2.resize(sr, lr.shape[1::-1], interpolation=cv2.INTER_AREA)
    change = cv2.subtract(lr, small, dtype=cv2.CV_32F)
    coarse = cv2.resize(change, cells, interpolation=cv2.INTER_AREA)
    coarse = np.sign(coarse) * np.maximum(np.abs(coarse) - 0.5, 0)
    if not coarse.any():
        return sr
    smooth = cv2.resize(coarse, sr.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(sr, smooth, dtype=cv2.CV_8U), np.uint8)


def blend_faces(
    frame: Pixels, sr_crops: Pixels, plan: CropPlan, scale: int, *, feather: float = 0.22
) -> None:
    """Blend upscaled faces into an upscaled frame, in place.

    Each face changes pixels of its own rectangle (`scale` times that of the plan) and no others. It
    fades out towards the rectangle's sides, except where a side lies on the frame's border.

    Args:
        frame: `(scale*H, scale*W, 3)` uint8, writable.
        sr_crops: `(N, scale*S, scale*S, 3)` uint8, the generator's output for the plan's crops.
        plan: From `plan_crops`.
        scale: Upscaling factor.
        feather: Width of the fading margin, as a share of the face's square.

    Raises:
        InputError: An array does not have the plan's shape, or the frame is read-only.
    """
    height, width = plan.frame_shape
    if check_frame(frame) != (scale * height, scale * width):
        raise InputError(
            f"frame is {frame.shape[:2]}, expected {(scale * height, scale * width)}: "
            f"{scale} times the frame that the crops are from"
        )
    if not frame.flags.writeable:
        raise InputError("frame is read-only; faces are blended in place: pass a copy")
    shape = (len(plan), scale * plan.side, scale * plan.side, 3)
    if sr_crops.shape != shape or sr_crops.dtype != np.uint8:
        raise InputError(f"crops are {sr_crops.dtype} {sr_crops.shape}, expected uint8 {shape}")
    for crop, (origin, rect, square, strength) in zip(sr_crops, plan, strict=True):
        if strength <= 0:
            continue
        top, left, rows, columns = rect
        y, x = scale * (top - origin[0]), scale * (left - origin[1])
        margin = max(1, round(feather * scale * square))
        weight_y = feather_weights(
            scale * rows, margin, at_start=top > 0, at_end=top + rows < height
        )
        weight_x = feather_weights(
            scale * columns, margin, at_start=left > 0, at_end=left + columns < width
        )
        if strength < 1:
            weight_y = np.rint(weight_y * strength).astype(np.uint16)
        patch = crop[y : y + scale * rows, x : x + scale * columns]
        blend_into(frame, patch, scale * top, scale * left, weight_y, weight_x)
