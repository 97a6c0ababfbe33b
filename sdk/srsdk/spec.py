"""`ModelSpec`: the contract of a generator, written into its file and read back from it.

Nothing about a model is ever guessed from its name or its tensor shapes: every consumer (runtime,
exporter, engine builder, benchmark) reads this one record. Standard library only, so that the
trainer can import it without the runtime's dependencies.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from srsdk.errors import ModelFormatError

Tail = Literal["image", "subpixel"]
Base = Literal["none", "nearest", "bilinear"]
Precision = Literal["fp32", "fp16", "int8"]
ChannelOrder = Literal["rgb", "bgr"]

METADATA_KEY = "srsdk.spec"
"""Key of the spec in a model file's metadata."""

CERTIFICATE_KEY = "srsdk.parity"
"""Key of the parity certificate, which says how far the file is from the checkpoint."""

FORMAT = 1


@dataclass(frozen=True)
class TrainingSummary:
    """How the weights were trained; the model card is written from it.

    Attributes:
        recipe: Names of the recipes that were run, one after the other.
        data: The training sets, with their sizes.
        terms: Terms under which the training data, and so the weights, may be used.
        losses: Objective of the last recipe, with its weights.
        steps: Optimiser steps over all stages.
        seconds: Wall clock over all stages.
        hardware: Hardware that it was trained on.
        scores: Score name (for instance `psnr_rgb/dev-real192`) to value.
    """

    recipe: str = ""
    data: str = ""
    terms: str = ""
    losses: str = ""
    steps: int = 0
    seconds: float = 0.0
    hardware: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSpec:
    """The contract of one generator file.

    The graph takes `(N, 3, H, W)` float in `value_range` and ends, for `tail="image"`, in
    `(N, 3, scale*H, scale*W)` or, for `tail="subpixel"`, one pixel shuffle before it, in
    `(N, 3*r*r, scale*H/r, scale*W/r)` with `r = shuffle`, channels ordered as
    `torch.nn.functional.pixel_shuffle` reads them (ONNX DepthToSpace, mode CRD). Where `base` is
    not "none" the graph's output is a correction that is added to that interpolation of the input.

    Attributes:
        name: The model's name, as the zoo lists it.
        architecture: Generator family, for instance "edge" or "srresnet".
        scale: Upscaling factor, the same for both axes.
        tail: Where the graph ends: at the image, or before the last pixel shuffle.
        shuffle: Factor r of that last shuffle; 1 for `tail="image"`.
        base: Interpolation of the low-resolution input that the output is added to.
        precision: Arithmetic of the graph; unless it is "fp32", the graph's input and output are
            float16.
        value_range: Black and white at the graph's input and output.
        channel_order: Channel order at the graph's input and output.
        halo: Radius of the receptive field in low-resolution pixels, base included: a tile read
            with this margin gives exactly the pixels of the whole image.
        face_size: Side in pixels of the aligned low-resolution faces (FFHQ crop) that it was
            trained on; 0 for a generator of whole frames.
        face_sizes: Smallest and largest side, in pixels of the input, of the aligned faces that
            this generator draws better than the generator of whole frames; (0, 0) if that was not
            measured.
        face_blend: Share of its result in a face that is shown at full strength, above 0 and at
            most 1; the rest is the frame generator's. A generator that adds detail is nearer to the
            person, and steadier, in a mixture.
        plugin: TensorRT plugin that the graph needs, so that no other runtime can run it; "" for
            none.
        training: Summary of the training.
        sha256: Hash of the weights (`srexport.onnx.weights_sha256`).
    """

    name: str
    architecture: str
    scale: int
    tail: Tail = "image"
    shuffle: int = 1
    base: Base = "none"
    precision: Precision = "fp32"
    value_range: tuple[float, float] = (0.0, 1.0)
    channel_order: ChannelOrder = "rgb"
    halo: int = 0
    face_size: int = 0
    face_sizes: tuple[int, int] = (0, 0)
    face_blend: float = 1.0
    training: TrainingSummary = TrainingSummary()
    plugin: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        """Raise `ModelFormatError` if fields contradict each other."""
        for name, allowed in (
            ("tail", Tail),
            ("base", Base),
            ("precision", Precision),
            ("channel_order", ChannelOrder),
        ):
            value = getattr(self, name)
            if value not in get_args(allowed):
                expected = ", ".join(get_args(allowed))
                raise ModelFormatError(f"model spec: {name} is {value!r}, expected {expected}")
        if self.scale < 1 or self.shuffle < 1 or self.scale % self.shuffle:
            raise ModelFormatError(
                f"model spec: scale {self.scale} is not a multiple of shuffle {self.shuffle}"
            )
        if (self.tail == "image") != (self.shuffle == 1):
            raise ModelFormatError(
                f"model spec: tail {self.tail!r} does not go with shuffle {self.shuffle}"
            )
        if self.halo < 0 or self.face_size < 0:
            raise ModelFormatError("model spec: halo and face_size must not be negative")
        if not 0 <= self.face_sizes[0] <= self.face_sizes[1]:
            raise ModelFormatError(
                f"model spec: face_sizes {self.face_sizes} are negative or in the wrong order"
            )

        if not 0 < self.face_blend <= 1:
            raise ModelFormatError(f"model spec: face_blend is {self.face_blend}, expected 0 to 1")

    @property
    def out_channels(self) -> int:
        """Channels of the graph's output."""
        return 3 * self.shuffle * self.shuffle

    @property
    def graph_scale(self) -> int:
        """Resolution of the graph's output relative to its input."""
        return self.scale // self.shuffle

    def to_metadata(self) -> dict[str, str]:
        """The spec as ONNX `metadata_props`."""
        record = {"format": FORMAT, **dataclasses.asdict(self)}
        return {METADATA_KEY: json.dumps(record, sort_keys=True)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, source: str = "model") -> ModelSpec:
        """Read the spec back.

        Args:
            metadata: `metadata_props` of an ONNX file, or the same record from an engine's sidecar.
            source: What to call the file in an error.

        Raises:
            ModelFormatError: There is no spec, or this version cannot read it.
        """
        if METADATA_KEY not in metadata:
            raise ModelFormatError(
                f"{source} carries no srsdk model spec; export it with `srsdk-export onnx`"
            )
        try:
            record: dict[str, Any] = json.loads(metadata[METADATA_KEY])
            version = record.pop("format")
            if version != FORMAT:
                raise ModelFormatError(
                    f"{source}: model spec format {version} is not {FORMAT}; "
                    "update srsdk or export the model again"
                )
            training = TrainingSummary(**record.pop("training"))
            low, high = record.pop("value_range")
            smallest, largest = record.pop("face_sizes", (0, 0))
            return cls(
                training=training,
                value_range=(float(low), float(high)),
                face_sizes=(int(smallest), int(largest)),
                **record,
            )
        except ModelFormatError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFormatError(
                f"{source}: damaged srsdk model spec ({error}); export the model again"
            ) from error
