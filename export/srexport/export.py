"""From a checkpoint to an ONNX file that ships with its certificate."""

from __future__ import annotations

import json
from pathlib import Path

from srexport import card
from srexport.images import probe_frames
from srexport.onnx import annotate, build, read_spec, save
from srexport.runtimes import open_runner
from srexport.source import read_checkpoint
from srexport.verify import CERTIFICATE_KEY, Certificate, certify


def export_onnx(
    checkpoint: Path, output: Path, *, tail: str = "subpixel", zoo: bool = False
) -> Certificate:
    """Write `output` and its certificate; nothing is written where the two disagree.

    Args:
        checkpoint: Checkpoint of srsdk-train.
        output: ONNX file to write; `OUTPUT.parity.json` beside it is the certificate, which is also
            in the file's metadata.
        tail: "subpixel" or "image"; see `srexport.onnx.build`.
        zoo: Also write the model card, and the entry of the manifest, beside it.

    Returns:
        The certificate: PyTorch against the SDK on the exported file.

    Raises:
        InputError: The checkpoint is missing or none.
        ParityError: The exported model does not compute what the checkpoint does.
    """
    model = build(read_checkpoint(checkpoint), tail=tail)
    draft = output.with_name(f".{output.stem}.draft.onnx")
    try:
        save(model, draft)
        trained, exported = open_runner(checkpoint), open_runner(draft)
        certificate = certify(trained, exported, probe_frames(), "built-in").renamed(output.name)
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
    return certificate
