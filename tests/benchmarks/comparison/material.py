"""What the rows run on: frames, crops of faces, development sets, models in every form."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srsdk import zoo
from srsdk.types import Pixels
from tests.benchmarks.comparison import plain, quantized
from tests.benchmarks.comparison.candidates import Candidate

ROOT = Path(__file__).resolve().parents[3]
CLIP = ROOT / "examples" / "portrait.mp4"
SETS = ("dev-real192", "dev-synthetic256")
FACE = 32
FACES = 4
_FRAMES = 8


@dataclass(frozen=True)
class Material:
    """Files in the working folder.

    Attributes:
        folder: That folder.
        data: The folder that SRSDK_DATA names, with development sets in data/ and peers' models in
            peers/; None without.
        size: Width and height of frames.
        sets: High-resolution faces by development set, `(N, 128, 128, 3)` uint8 RGB; the low
            resolution lies in the folder as BGR. Empty without data.
    """

    folder: Path
    data: Path | None
    size: tuple[int, int]
    sets: dict[str, Pixels]

    def frames(self, candidate: Candidate) -> Path:
        """What a call takes."""
        return self.folder / ("faces.npy" if candidate.group == "faces" else "frames.npy")

    def lr(self, name: str) -> Path:
        """Low-resolution faces of a development set."""
        return self.folder / f"{name}.npy"

    def options(self, candidate: Candidate) -> dict[str, Any]:
        """What the row's program is told.

        Raises:
            FileNotFoundError: A peer's model is not there; the message says where it is looked for.
        """
        options = dict(candidate.options)
        if candidate.form == "zoo":
            options["model"] = candidate.model
        elif candidate.form == "graph":
            options["file"] = str(zoo.find(candidate.model))
        elif candidate.form:
            options |= self._converted(candidate.model, candidate.form)
        if candidate.peer:
            options |= self._peer(candidate)
        return options

    def peers(self) -> Path | None:
        """Folder of the peers' models."""
        return None if self.data is None else self.data / "peers"

    def _peer(self, candidate: Candidate) -> dict[str, str]:
        folder = self.peers()
        if folder is None:
            raise FileNotFoundError("SRSDK_DATA names no folder with its model")
        kinds = {"ncnn_way": ("param", "bin"), "onnx_way": ("onnx",)}
        endings = kinds.get(candidate.program, ("pb",))
        files = [folder / f"{candidate.peer}.{ending}" for ending in endings]
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"there is no peers/{file.name} in the folder SRSDK_DATA")
        keys = endings if len(files) > 1 else ("file",)
        return {key: str(file) for key, file in zip(keys, files, strict=True)}

    def _converted(self, model: str, form: str) -> dict[str, str]:
        if form == "int8":
            target = self.folder / f"{model}.int8.onnx"
            quantized.write_quantized(Path(zoo.find(model)), target)
            return {"file": str(target)}
        file = self.folder / f"{model}.plain.onnx"
        plain.write_plain(Path(zoo.find(model)), file)
        if form == "plain":
            return {"file": str(file)}
        param, weights = self.folder / f"{model}.param", self.folder / f"{model}.bin"
        ends = plain.write_ncnn(file, param, weights)
        return {"param": str(param), "bin": str(weights), **ends}


def prepare(folder: Path, size: tuple[int, int], faces: int | None) -> Material:
    """Write frames, crops and development sets.

    Args:
        folder: Where to.
        size: Width and height of frames.
        faces: Of each development set, the first ones; None for all.
    """
    frames = _frames(size)
    np.save(folder / "frames.npy", frames[:, None])
    np.save(folder / "faces.npy", _crops(frames))
    named = os.environ.get("SRSDK_DATA")
    data = Path(named) if named and Path(named).is_dir() else None
    sets: dict[str, Pixels] = {}
    if data is not None and (data / "data").is_dir():
        from srtrain.scoring import load_sets

        patterns = [f"{name}-*.tar" for name in SETS]
        for name, pairs in load_sets(data / "data", patterns, 4, 128, limit=faces).items():
            sets[name] = pairs.hr
            np.save(folder / f"{name}.npy", np.ascontiguousarray(pairs.lr[..., ::-1]))
    return Material(folder, data, size, sets)


def _frames(size: tuple[int, int]) -> Pixels:
    """Frames of the example clip, evenly over it, at that size."""
    import cv2

    from srsdk.video import VideoReader

    with VideoReader(CLIP) as reader:
        pictures = [frame.pixels for frame in reader]
    chosen = pictures[:: len(pictures) // _FRAMES][:_FRAMES]
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in chosen])


def _crops(frames: Pixels) -> Pixels:
    """`(M, 4, 32, 32, 3)`: four crops of each frame; what is in them does not matter for time."""
    import cv2

    enough = [cv2.resize(one, (FACE * FACES, FACE)) for one in frames]
    return np.stack([np.stack(np.split(one, FACES, axis=1)) for one in enough])


def score(hr: Pixels, file: Path) -> float:
    """Mean PSNR of a file of results in BGR, as `srtrain.metrics` defines it."""
    from srtrain.metrics import psnr

    measure: Callable[[Pixels, Pixels], float] = psnr
    sr = np.load(file)[..., ::-1]
    return float(np.mean([measure(one, other) for one, other in zip(sr, hr, strict=True)]))
