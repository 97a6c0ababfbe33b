"""`srsdk-export`: from a checkpoint to files that run anywhere."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srsdk.cli import entry

if TYPE_CHECKING:
    from srexport.verify import Parity

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class Tail(str, enum.Enum):
    """Where the graph ends."""

    subpixel = "subpixel"
    image = "image"


class Arithmetic(str, enum.Enum):
    """Precision of the graph."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


@app.callback()
def _root() -> None:
    """Export the generators of srsdk-train."""


@app.command()
def onnx(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of srsdk-train.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="ONNX file to write.")],
    tail: Annotated[Tail, typer.Option(help="End before the last pixel shuffle, or after.")] = (
        Tail.subpixel
    ),
    precision: Annotated[
        Arithmetic,
        typer.Option(help="Arithmetic in the graph; int8 is for TensorRT and needs --calibration."),
    ] = Arithmetic.fp32,
    calibration: Annotated[
        Path | None, typer.Option(help="Folder of real faces, or a .tar shard of them.")
    ] = None,
    zoo: Annotated[
        bool, typer.Option(help="Also write the model card and the manifest beside it.")
    ] = False,
) -> None:
    """Write an ONNX model with its ModelSpec, and check it against PyTorch."""
    from srexport.export import export_onnx

    result = export_onnx(
        checkpoint,
        output,
        tail=tail.value,
        precision=precision.value,
        calibration=calibration,
        zoo=zoo,
    )
    if result.kept:
        wider = "float16" if precision is Arithmetic.int8 else "float32"
        entry.say(f"{len(result.kept)} layers stay in {wider}: {', '.join(result.kept)}")
    entry.say(f"{output}: {_agreement(result.certificate.parity)} with PyTorch")


@app.command()
def verify(
    a: Annotated[Path, typer.Argument(help="The one that is believed: checkpoint, ONNX, engine.")],
    b: Annotated[Path, typer.Argument(help="The one in question.")],
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
    """Run two forms of a generator on the same frames; a certificate is written beside B."""
    from srexport import verify as comparing
    from srexport.images import probe_frames, read_images
    from srexport.runtimes import open_runner

    first, second = open_runner(a, runtime_a), open_runner(b, runtime_b)
    side = second.spec.face_size or 64
    shown = probe_frames() if frames is None else read_images(frames, side)
    allowed = (
        None if tolerance is None else comparing.Tolerance(largest=tolerance, share_above_1=1.0)
    )
    certificate = comparing.certify(
        first, second, shown, "built-in" if frames is None else frames.name, allowed
    )
    target = certificate.write(b)
    certificate.check()
    entry.say(f"{b}: {_agreement(certificate.parity)} with {a}; certificate in {target}")


def _agreement(parity: Parity) -> str:
    return (
        f"within {parity.largest} of 255 (mean {parity.mean:.5f}, PSNR {parity.psnr:.1f} dB, "
        f"{parity.share_above_1:.3%} above 1)"
    )


def main() -> None:
    """Entry point of the `srsdk-export` script; exit codes as in `srsdk.cli.entry`."""
    entry.run(app)
