"""From a checkpoint to an ONNX file that ships with its certificate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from srexport import card
from srexport.images import probe_frames, read_images
from srexport.onnx import annotate, build, read_spec, save
from srexport.plugin import use_plugin
from srexport.precision import Choice, convert
from srexport.runtimes import Pixels, open_runner
from srexport.source import read_checkpoint
from srexport.verify import Certificate, certify
from srsdk.errors import InputError
from srsdk.spec import CERTIFICATE_KEY, ModelSpec, Precision


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        certificate: PyTorch against the SDK on the exported file.
        kept: Layers that stay in a wider type than the precision asks for.
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
) -> Exported:
    """Write `output` and its certificate; nothing is written where the two disagree.

    Args:
        checkpoint: Checkpoint of srsdk-train.
        output: ONNX file to write; `OUTPUT.parity.json` beside it is the certificate, which is also
            in the file's metadata.
        tail: "subpixel" or "image"; see `srexport.onnx.build`.
        precision: Arithmetic of the graph; see `srexport.precision.convert`.
        calibration: Folder or shard of real faces, which int8 needs.
        plugin: Use the TensorRT plugin, which makes it a model for TensorRT alone; see
            `srexport.plugin.use_plugin`.
        zoo: Also write the model card, and the entry of the manifest, beside it.

    Raises:
        InputError: The checkpoint is missing or none, int8 was asked for without faces, or the
            plugin for a generator that has no use for it, or for the zoo.
        ParityError: The exported model does not compute what the checkpoint does.
    """
    if plugin and zoo:
        raise InputError("models of the zoo run everywhere: leave --plugin out, or --zoo")
    exact = build(read_checkpoint(checkpoint), tail=tail)
    faces = None if calibration is None else _faces(calibration, read_spec(exact))
    choice = convert(exact, precision, faces)
    model = use_plugin(choice.model) if plugin else choice.model
    draft = output.with_name(f".{output.stem}.draft.onnx")
    try:
        save(model, draft)
        trained, exported = open_runner(checkpoint), open_runner(draft)
        frames, source = _compared_on(choice, calibration)
        certificate = certify(trained, exported, frames, source).renamed(output.name)
        certificate.check()
        annotate(model, CERTIFICATE_KEY, json.dumps(certificate.record(), sort_keys=True))
        save(model, draft)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    certificate.write(output)
    if zoo:
        spec = read_spec(model)
        output.with_suffix(".md").write_text(card.model_card(spec, output, certificate), "utf-8")
        card.update_manifest(output.with_name("manifest.json"), spec, output)
    return Exported(certificate, choice.kept)


def _faces(source: Path, spec: ModelSpec) -> Pixels:
    return read_images(source, spec.face_size or 64)


def _compared_on(choice: Choice, calibration: Path | None) -> tuple[Pixels, str]:
    """Held-out faces for int8, which is made for nothing else; what provokes for the others."""
    if choice.held_out is None or calibration is None:
        return probe_frames(), "built-in"
    return choice.held_out, f"{calibration.name}, not calibrated on"
