"""Options that several commands share, and the `Upscaler` that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from srsdk.errors import InputError

if TYPE_CHECKING:
    from srsdk.types import ComputePrecision
    from srsdk.upscaler import Upscaler

DEFAULT_MODEL = "edge-x4"

Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="Name (see `srsdk models`), or path of an ONNX file or engine."
    ),
]
Faces = Annotated[
    str, typer.Option("--faces", "-f", help="Model to run on detected faces, or none.")
]
Backend = Annotated[str, typer.Option("--backend", help="auto, or one that `srsdk doctor` lists.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", help="auto, fp32 or int8; auto: int8 where the model proves it as good."
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", help="CPU threads of each model.", show_default="all")
]
Detector = Annotated[
    str, typer.Option("--detector", help="blazeface, or the path of a YuNet ONNX file.")
]
DetectEvery = Annotated[
    int, typer.Option("--detect-every", help="Frames from one face detection to the next.")
]

MaxFace = Annotated[
    int | None,
    typer.Option(
        "--max-face",
        help="Largest face (whole head, input pixels) for the face model; its cost grows with it.",
    ),
]


Strength = Annotated[
    float, typer.Option("--strength", help="How much of the face model's result to show, 0 to 1.")
]
Guard = Annotated[
    bool,
    typer.Option("--guard", help="Hold back faces that come out as another person's."),
]
FaceBudget = Annotated[
    float | None,
    typer.Option("--face-budget", help="Milliseconds a frame for faces; fewer are done if slow."),
]


def open_upscaler(
    model: str,
    *,
    faces: str = "none",
    backend: str,
    threads: int | None,
    detector: str = "blazeface",
    max_face: int | None = None,
    precision: str = "auto",
    guard: bool = False,
    face_budget: float | None = None,
    strength: float = 1.0,
) -> Upscaler:
    """Open what the options name; `strength` is for its streams and is only checked here.

    Raises:
        InputError: The backend, the precision or the detector is unknown, or an option is out of
            its range.
        ModelNotFoundError: There is no such model or detector file.
        ModelFormatError: A file is not a usable model.
        BackendUnavailableError: The backend cannot run here.
        DetectorError: The detector cannot be loaded.
    """
    from srsdk.backends import BACKENDS
    from srsdk.cli.enginebar import build_missing_engines
    from srsdk.upscaler import Upscaler

    if backend not in ("auto", *BACKENDS):
        known = ", ".join(["auto", *BACKENDS])
        raise InputError(f"unknown backend {backend!r}; known: {known}")
    chosen = cast("ComputePrecision", precision)  # the Upscaler refuses what is none
    if faces == "none":
        given = [detector != "blazeface", max_face is not None, guard, face_budget is not None]
        if any(given) or strength != 1:
            raise InputError(
                "--strength, --detector, --max-face, --guard and --face-budget need --faces MODEL, "
                "for instance --faces portrait-x4"
            )
        if backend == "tensorrt":
            build_missing_engines(model)
        return Upscaler(model, backend=backend, threads=threads, precision=chosen)
    if max_face is not None and max_face < 1:
        raise InputError(f"--max-face is {max_face}, expected at least 1 pixel")
    if face_budget is not None and not face_budget > 0:
        raise InputError(f"--face-budget is {face_budget:g}, expected more than 0 ms")
    finder = None
    if detector != "blazeface":
        from srsdk.faces import YuNetDetector

        finder = YuNetDetector(detector)
    if backend == "tensorrt":
        build_missing_engines(model, faces)
    return Upscaler(
        model,
        faces=faces,
        detector=finder,
        max_face=max_face,
        guard=guard,
        face_budget_ms=face_budget,
        backend=backend,
        threads=threads,
        precision=chosen,
    )
