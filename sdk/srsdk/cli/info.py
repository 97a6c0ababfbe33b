"""`srsdk info`: what a model, a video or an image is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srsdk.cli import entry
from srsdk.cli.outputs import typed_path
from srsdk.errors import InputError, VideoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from srsdk.spec import ModelSpec


def info(
    what: Annotated[str, typer.Argument(help="Model name, ONNX file, engine, video or image.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Show what a model or a file is."""
    import json

    facts = _facts(what)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(_text(value)))
    entry.stdout.print(table)


def _facts(what: str) -> Mapping[str, object]:
    from srsdk.cli.jobs import kind_of
    from srsdk.tensorrt.sidecar import is_engine

    path = typed_path(what)
    if what and path.is_dir():
        raise InputError(f"{what} is a folder; give a file")
    if not path.is_file() or path.suffix.lower() == ".onnx":
        return _model(what)
    if is_engine(path):
        return _engine(path)
    if kind_of(path) == "image":
        return _image(path)
    return _video(path)


def _engine(path: Path) -> dict[str, object]:
    """What the sidecar says; needs neither TensorRT nor a GPU."""
    import dataclasses

    from srsdk.tensorrt.sidecar import read_record

    record = read_record(path)
    facts = dataclasses.asdict(record)
    spec = facts.pop("spec")
    parity = facts.pop("parity")
    facts["profiles"] = [str(profile) for profile in record.profiles]
    for group in ("flags", "layers"):
        facts[group] = [f"{name} {value}" for name, value in facts[group].items()]
    for name in ("name", "architecture", "scale", "precision", "tail", "shuffle", "base", "halo"):
        facts[name] = spec[name]
    if parity is not None:
        facts["parity"] = [f"{name} {value}" for name, value in parity["parity"].items()]
    return {"file": str(path), "kind": "engine", **facts}


def _model(what: str) -> dict[str, object]:
    import dataclasses

    from srsdk import zoo

    found = zoo.find(what)
    facts = dataclasses.asdict(_spec(found))
    training = facts.pop("training")
    scores = training.pop("scores")
    facts["file"] = str(found)
    if isinstance(found, Path):
        facts["bytes"] = found.stat().st_size
    facts.update({f"training {key}": value for key, value in training.items() if value})
    facts.update({f"score {key}": value for key, value in scores.items()})
    facts["int8"] = _int8(found)
    return facts


def _int8(found: Path | str) -> str:
    """What the model's file proves about int8."""
    from srsdk.int8 import MAX_FLICKER, MAX_LOSS, MIN_PSNR, read_int8
    from srsdk.onnxfile import read

    record = None if isinstance(found, str) else read_int8(read(found).metadata, source=str(found))
    if record is None:
        return "no"
    proof = record.certificate
    limits = f"{MIN_PSNR:g} dB, {MAX_LOSS:g} dB, {MAX_FLICKER:g} times"
    verdict = "yes" if proof.passed else f"not enough ({limits})"
    flicker = "" if proof.flicker is None else f", {proof.flicker:.3f} times the flicker"
    return (
        f"{verdict}: {proof.psnr:.1f} dB from float32, {proof.loss:.3f} dB lost{flicker} "
        f"({proof.images})"
    )


def _spec(found: Path | str) -> ModelSpec:
    """Read a model's spec. The model is opened, unless it needs TensorRT's plugin and so a GPU."""
    from contextlib import suppress

    from srsdk.backends import open_backend
    from srsdk.errors import ModelFormatError
    from srsdk.onnxfile import read_spec

    if isinstance(found, Path):
        with suppress(ModelFormatError):  # opening it says more
            spec = read_spec(found)
            if spec.plugin:
                return spec
    backend = open_backend("auto", found, threads=1)
    try:
        return backend.info.spec
    finally:
        backend.close()


def _image(path: Path) -> dict[str, object]:
    from srsdk.cli.imagefile import read_image

    picture = read_image(path)
    metadata = picture.metadata
    height, width = picture.pixels.shape[:2]
    channels = 1 if picture.pixels.ndim == 2 else picture.pixels.shape[2]
    return {
        "file": str(path),
        "kind": "image",
        "format": picture.format,
        "width": width,
        "height": height,
        "channels": {1: "gray", 3: "colour", 4: "colour and alpha"}[channels],
        "orientation": f"EXIF {metadata.orientation}",
        "colour_profile": f"{len(metadata.icc)} bytes" if metadata.icc else "none",
        "camera_data": "EXIF" if metadata.exif is not None else "none",
    }


def _video(path: Path) -> dict[str, object]:
    from srsdk.video import VideoReader
    from srsdk.video.orientation import Orientation

    try:
        with VideoReader(path) as reader:
            held, tracks = reader.info, [_track(stream) for stream in reader.side_streams]
    except VideoError as error:
        raise InputError(str(error)) from error
    colour = held.colour
    turned = held.orientation
    return {
        "file": str(path),
        "kind": "video",
        "width": held.width,
        "height": held.height,
        "fps": None if held.rate is None else round(float(held.rate), 3),
        "frames": held.frames,
        "duration": None if held.duration is None else round(held.duration, 3),
        "codec": held.codec,
        "pixel_format": held.pixel_format,
        "colour": f"matrix {colour.matrix}, primaries {colour.primaries}, "
        f"transfer {colour.transfer}, {'full' if colour.full_range else 'limited'} range "
        "(ITU-T H.273 numbers)",
        "orientation": "upright"
        if turned == Orientation()
        else f"turned by {90 * turned.turns} "
        f"degrees clockwise{', mirrored' if turned.mirrored else ''}",
        "pixel_aspect": str(held.sample_aspect_ratio),
        "tracks": tracks,
    }


def _track(stream: object) -> str:
    kind = getattr(stream, "type", "data")
    context = getattr(stream, "codec_context", None)
    return f"{kind} {getattr(context, 'name', '')}".strip()


def _text(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
