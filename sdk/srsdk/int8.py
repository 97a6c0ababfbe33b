"""How a generator runs in 8-bit integers: the steps of its layers, and proof that they are enough.

`srsdk-export quantize` writes this record into the metadata of an ONNX file, beside the float32
weights, which stay as they are; the native backend reads it.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from srsdk.errors import ModelFormatError

METADATA_KEY = "srsdk.int8"
FORMAT = 1

MIN_PSNR = 46.0
"""PSNR against the float32 result, in dB, from which on int8 may stand for it."""

MAX_LOSS = 0.1
"""What int8 may cost in PSNR against the high-resolution image, in dB."""

MAX_FLICKER = 1.05
"""How much larger int8 may make the error of the change from frame to frame."""


@dataclass(frozen=True)
class LayerSteps:
    """How one convolution is computed in integers.

    Its input is u8, `(u8 - input_zero) * input_step`; its weights times the input steps are s8,
    `s8 * weight_step`.

    Attributes:
        input_step: One for each input channel; of the frame, 1 / 255.
        input_zero: What 0 is, for each input channel, 0 to 255; of the frame, 0.
        weight_step: One for each output channel.
        weight: The s8 weights, `(outputs, inputs, k, k)` in C order; None: the nearest ones.
        fine: Whether a second byte of the input holds what the first one rounds off, in 1/16 of its
            step. The frame's holds a 1/16 of the first one instead, which is multiplied by what the
            weights round off.
    """

    input_step: tuple[float, ...]
    input_zero: tuple[int, ...]
    weight_step: tuple[float, ...]
    weight: bytes | None = None
    fine: bool = False


@dataclass(frozen=True)
class Int8Certificate:
    """How near int8 is to float32, on images that it was not calibrated on.

    Attributes:
        psnr: PSNR in dB between the results, over all values of a set of images; of several sets
            that of the worst.
        loss: PSNR in dB against the high-resolution images, of float32 less that of int8, mean over
            the images of a set; of several sets the largest.
        images: What it was measured on.
        flicker: Mean absolute error of the change from a frame of a clip to the next, against that
            of the high-resolution clip, as a multiple of float32's; of several clips the largest;
            None where no clip was among the images.
    """

    psnr: float
    loss: float
    images: str
    flicker: float | None = None

    @property
    def passed(self) -> bool:
        """Whether int8 may stand for float32."""
        steady = self.flicker is None or self.flicker <= MAX_FLICKER
        return self.psnr >= MIN_PSNR and self.loss <= MAX_LOSS and steady


@dataclass(frozen=True)
class Int8Record:
    """What an ONNX file says about int8: one entry for each convolution, in the graph's order."""

    layers: tuple[LayerSteps, ...]
    certificate: Int8Certificate

    def to_metadata(self) -> dict[str, str]:
        """The record as ONNX `metadata_props`."""
        record = {"format": FORMAT, **dataclasses.asdict(self)}
        for layer in record["layers"]:
            if layer["weight"] is not None:
                layer["weight"] = base64.b64encode(layer["weight"]).decode("ascii")
        return {METADATA_KEY: json.dumps(record, sort_keys=True)}


def read_int8(metadata: Mapping[str, str], *, source: str) -> Int8Record | None:
    """The record in a file's metadata, or None where it has none.

    Args:
        metadata: `metadata_props` of an ONNX file.
        source: What to call the file in an error.

    Raises:
        ModelFormatError: The record is damaged, or of another version.
    """
    if METADATA_KEY not in metadata:
        return None
    try:
        record: dict[str, Any] = json.loads(metadata[METADATA_KEY])
        version = record["format"]
        layers = tuple(
            LayerSteps(
                tuple(float(step) for step in layer["input_step"]),
                tuple(_byte(zero) for zero in layer["input_zero"]),
                tuple(float(step) for step in layer["weight_step"]),
                _weight(layer.get("weight")),
                bool(layer.get("fine", False)),
            )
            for layer in record["layers"]
        )
        given = record["certificate"]
        flicker = given.get("flicker")
        certificate = Int8Certificate(
            float(given["psnr"]),
            float(given["loss"]),
            str(given["images"]),
            None if flicker is None else float(flicker),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFormatError(
            f"{source}: damaged int8 steps ({error}); run `srsdk-export quantize` again"
        ) from error
    if version != FORMAT:
        raise ModelFormatError(
            f"{source}: int8 steps of format {version}, not {FORMAT}; update srsdk or run "
            "`srsdk-export quantize` again"
        )
    return Int8Record(layers, certificate)


def _weight(text: Any) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _byte(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= 255:
        raise ValueError(f"zero {number} is no byte")
    return number
