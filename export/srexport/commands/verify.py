"""`srsdk-export verify`: two forms of a generator, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srsdk.cli import entry


def verify(
    a: Annotated[Path, typer.Argument(help="The trusted one: checkpoint, ONNX file or engine.")],
    b: Annotated[Path, typer.Argument(help="The one to check.")],
    runtime_a: Annotated[
        str,
        typer.Option(help="torch, reference, or a backend of the SDK; auto: by the file's ending."),
    ] = "auto",
    runtime_b: Annotated[str, typer.Option(help="The same for the second.")] = "auto",
    frames: Annotated[
        Path | None, typer.Option(help="Folder of pictures or .tar shard; else built-in frames.")
    ] = None,
    tolerance: Annotated[
        int | None, typer.Option(min=0, help="Grey levels that a value may differ by.")
    ] = None,
) -> None:
    """Run two forms of a generator on the same frames; write a certificate beside B."""
    from srexport.images import probe_frames, read_images
    from srexport.runtimes import open_runner, probe_size
    from srexport.verify import Tolerance, certify

    first, second = open_runner(a, runtime_a), open_runner(b, runtime_b)
    side = second.spec.face_size or 64
    shown = probe_frames(*probe_size(a, b)) if frames is None else read_images(frames, side)
    allowed = None if tolerance is None else Tolerance(largest=tolerance, share_above_1=1.0)
    source = "built-in" if frames is None else frames.name
    certificate = certify(first, second, shown, source, allowed)
    target = certificate.write(b)
    certificate.check()
    entry.say(f"{b}: {certificate.parity} with {a}; certificate in {target}")
