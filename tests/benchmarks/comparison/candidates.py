"""The rows: what is compared, where it runs, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from srsdk import zoo

Group = Literal["frame", "faces", "ceiling"]

#: Generators that users run on frames and on crops of faces.
FRAME_MODELS = ("edge-x4", "edge-m-x4", "srresnet-x4")
FACE_MODELS = ("srresnet-x4", "portrait-x4")

#: Backends that compute on the CPU; others are for machines with a GPU.
CPU_BACKENDS = ("native", "onnxruntime", "torch")

#: The same weights in another runtime: name of the row, module of peers/, environment, options.
_RUNTIMES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("obvious", "onnx_way", "main", {}),
    ("openvino-plain", "openvino_way", "openvino", {}),
    ("ncnn", "ncnn_way", "ncnn", {}),
    ("torch-eager", "torch_way", "main", {}),
    ("torch-compile", "torch_way", "main", {"compile": True}),
)


@dataclass(frozen=True)
class Candidate:
    """One row.

    Attributes:
        name: Unique, GROUP/MODEL/WAY or GROUP/NAME.
        label: What tables and the picture call it.
        group: "frame" takes a whole frame, "faces" a batch of crops, "ceiling" nothing.
        program: Module of peers/.
        environment: "main", or a folder among the peers' environments.
        model: Name in the zoo; "" for others' models.
        form: File that the program needs of `model`: "zoo" (the name), "plain" (shuffle and base
            image in the graph), "graph" (as exported), "int8" (the same in int8), "ncnn".
        peer: Name of its files in the folder of peers' models.
        alone: Network only: no frame comes out, so it has no fps.
        quality: Whether it is judged on the development sets.
        options: For the program.
    """

    name: str
    label: str
    group: Group
    program: str
    environment: str = "main"
    model: str = ""
    form: str = ""
    peer: str = ""
    alone: bool = False
    quality: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is srsdk as users call it."""
        return self.program == "srsdk_call"


def candidates() -> list[Candidate]:
    """All rows, also those that cannot run here."""
    rows = [_ceiling("matrix-product", "product"), _ceiling("copy", "copy")]
    rows += _ours("frame", FRAME_MODELS) + _ours("faces", FACE_MODELS)
    rows += _same_weights("frame", "edge-x4")
    rows += _int8("frame", "edge-x4")
    for model in FACE_MODELS:
        rows += _same_weights("faces", model)
    rows += [_interpolation("bicubic"), _interpolation("lanczos")]
    rows += [_superres("FSRCNN"), _superres("ESPCN")]
    rows += [_challenge("span"), _challenge("disp"), _challenge("pds")]
    rows.append(
        Candidate(
            "frame/realesrgan",
            "Real-ESRGAN general v3, ncnn",
            "frame",
            "ncnn_way",
            "ncnn",
            peer="RealESRGAN_General_x4_v3",
            options={"input": "data", "output": "output"},
        )
    )
    return rows


def _ceiling(name: str, kind: str) -> Candidate:
    label = name.replace("-", " ")
    options = {"kind": kind}
    return Candidate(
        f"ceiling/{name}", label, "ceiling", "ceilings", options=options, quality=False
    )


def _interpolation(kind: str) -> Candidate:
    label = f"{kind.capitalize()}, OpenCV"
    return Candidate(f"frame/{kind}", label, "frame", "opencv_way", options={"kind": kind})


def _superres(network: str) -> Candidate:
    return Candidate(
        f"frame/{network.lower()}",
        f"{network}, OpenCV dnn_superres",
        "frame",
        "superres",
        "opencv4",
        peer=f"{network}_x4",
        options={"kind": network.lower()},
    )


def _challenge(network: str) -> Candidate:
    """An entry of the NTIRE 2026 challenge on efficient super-resolution."""
    return Candidate(
        f"frame/{network}",
        f"{network.upper()}, NTIRE 2026, ONNX Runtime",
        "frame",
        "onnx_way",
        peer=f"{network}-x4",
    )


def _int8(group: Group, model: str) -> list[Candidate]:
    """srsdk in float32, and its int8 steps in other runtimes, their graph alone."""
    in_float = Candidate(
        f"{group}/{model}/float32",
        f"srsdk {model}, native, float32",
        group,
        "srsdk_call",
        model=model,
        form="zoo",
        options={"backend": "native", "precision": "fp32"},
    )
    others = [
        Candidate(
            f"{group}/{model}/{name}-int8-graph",
            f"{model}, its graph alone in int8, {label}",
            group,
            program,
            environment,
            model=model,
            form="int8",
            alone=True,
            quality=False,
            options={"alone": True, "precision": "int8"},
        )
        for name, label, program, environment in (
            ("onnxruntime", "ONNX Runtime", "onnx_way", "main"),
            ("openvino", "OpenVINO", "openvino_way", "openvino"),
        )
    ]
    return [in_float, *others]


def _ours(group: Group, models: tuple[str, ...]) -> list[Candidate]:
    rows = []
    for model in models:
        slow = group == "frame" and model != "edge-x4"
        # A whole frame through the network for faces takes seconds in all but the first.
        for backend in CPU_BACKENDS[:1] if slow else CPU_BACKENDS:
            rows.append(
                Candidate(
                    f"{group}/{model}/{backend}",
                    f"srsdk {model}, {backend}",
                    group,
                    "srsdk_call",
                    model=model,
                    form="zoo",
                    options={"backend": backend},
                )
            )
    return rows


def _same_weights(group: Group, model: str) -> list[Candidate]:
    rows = [
        Candidate(
            f"{group}/{model}/{way}",
            f"{model}, {_LABELS[way]}",
            group,
            program,
            environment,
            model=model,
            form="ncnn" if way == "ncnn" else "plain",
            options=options,
        )
        for way, program, environment, options in _RUNTIMES
    ]
    rows.append(
        Candidate(
            f"{group}/{model}/graph-alone",
            f"{model}, its graph alone in ONNX Runtime",
            group,
            "onnx_way",
            model=model,
            form="graph",
            alone=True,
            quality=False,
            options={"alone": True},
        )
    )
    return rows


_LABELS = {
    "obvious": "ONNX Runtime the obvious way",
    "openvino-plain": "OpenVINO",
    "ncnn": "ncnn",
    "torch-eager": "PyTorch eager",
    "torch-compile": "torch.compile",
}


def why_not(candidate: Candidate) -> str:
    """Why its model cannot be had; "" where it can."""
    if candidate.model and candidate.model not in {entry.name for entry in zoo.models()}:
        return f"{candidate.model} is not in the zoo"
    return ""
