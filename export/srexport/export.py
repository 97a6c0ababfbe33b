"""Exports a checkpoint as an ONNX file with its parity certificate."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from srexport import card
from srexport.images import probe_frames, read_images
from srexport.onnx import annotate, build, read_spec, save
from srexport.plugin import use_plugin
from srexport.precision import Converted, convert
from srexport.runtimes import open_runner
from srexport.source import read_checkpoint
from srexport.verify import Certificate, certify
from srsdk.errors import InputError
from srsdk.files import replacing
from srsdk.spec import CERTIFICATE_KEY, ModelSpec, Precision
from srsdk.types import Pixels


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        certificate: PyTorch against the SDK on the exported file.
        kept: Layers that stay in a wider type than the requested precision.
    """

    certificate: Certificate
    kept: tuple[str, ...]


def export_onnx(
    checkpoint: Path,
    output: Path,
    *,
    tail: str = "subpixel",
    precision: Precision = "fp32",
    calibration: Path | None = None,
    plugin: bool = False,
    zoo: bool = False,
    face_sizes: tuple[int, int] | None = None,
    face_blend: float | None = None,
) -> Exported:
    """Write an ONNX file and its certificate, unless the file disagrees with the checkpoint.

    Args:
        checkpoint: Checkpoint of srsdk-train.
        output: ONNX file to write. The certificate goes into its metadata and into
            `OUTPUT.parity.json` beside it.
        tail: "subpixel" or "image", as for `srexport.onnx.build`.
        precision: Arithmetic of the graph.
        calibration: Folder or shard of real faces; required for int8.
        plugin: Whether to use the TensorRT plugin; only TensorRT can then run the file.
        zoo: Whether to also write the model card and the manifest's entry beside it.
        face_sizes: As in `ModelSpec`, found by measuring the trained generator; None: unknown.
        face_blend: The same; None: 1.

    Raises:
        InputError: The checkpoint is missing or damaged, int8 lacks faces, or the plugin is
            requested for the zoo or for a generator without sub-pixel blocks.
        ParityError: The exported model does not compute what the checkpoint does.
    """
    if plugin and zoo:
        raise InputError("models of the zoo run everywhere: leave --plugin out, or --zoo")
    trained_model = read_checkpoint(checkpoint)
    spec = dataclasses.replace(
        trained_model.spec,
        face_sizes=face_sizes or trained_model.spec.face_sizes,
        face_blend=trained_model.spec.face_blend if face_blend is None else face_blend,
    )
    exact = build(dataclasses.replace(trained_model, spec=spec), tail=tail)
    faces = None if calibration is None else _faces(calibration, read_spec(exact))
    conversion = convert(exact, precision, faces)
    model = use_plugin(conversion.model) if plugin else conversion.model
    with replacing(output) as draft:
        save(model, draft)
        trained, exported = open_runner(checkpoint), open_runner(draft)
        frames, source = _compared_on(conversion, calibration)
        certificate = certify(trained, exported, frames, source).renamed(output.name)
        certificate.check()
        annotate(model, CERTIFICATE_KEY, json.dumps(certificate.record(), sort_keys=True))
        save(model, draft)
    certificate.write(output)
    if zoo:
        spec = read_spec(model)
        output.with_suffix(".md").write_text(card.model_card(spec, output, certificate), "utf-8")
        card.update_manifest(output.with_name("manifest.json"), spec, output)
    return Exported(certificate, conversion.kept)


def _faces(source: Path, spec: ModelSpec) -> Pixels:
    return read_images(source, spec.face_size or 64)


def _compared_on(conversion: Converted, calibration: Path | None) -> tuple[Pixels, str]:
    """Frames for the certificate: held-out faces for int8, synthetic frames otherwise."""
    if conversion.held_out is None or calibration is None:
        return probe_frames(), "built-in"
    return conversion.held_out, f"{calibration.name}, not calibrated on"
