"""The step `engines`: float16 ONNX files of the bundled generators, and TensorRT engines of them.

Precision is in the graph, so the backends that run graphs need the file in float16 for a fair race
with torch, which rounds by itself.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from srexport.onnx import load, read_spec, save
from srexport.precision import convert
from srsdk import zoo
from srsdk.errors import SrsdkError
from srsdk.tensorrt.building import Options, build_engine
from srsdk.tensorrt.flavour import Flavour, find_flavour
from srsdk.tensorrt.profiles import profiles
from tests.benchmarks.gpu.report import COULD_NOT, FAILED, PASSED, JsonObject, step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--inputs", nargs="+", required=True, help="BATCH*WIDTHxHEIGHT")
    parser.add_argument("--no-engines", action="store_true", help="the ONNX files alone")
    options = parser.parse_args()
    folder = options.output.parent / "engines"
    folder.mkdir(exist_ok=True)
    files: dict[str, JsonObject] = {}
    for name in options.models:
        onnx = folder / f"{name}-fp16.onnx"
        save(convert(load(Path(zoo.find(name))), "fp16").model, onnx)
        files[name] = {"onnx": str(onnx)}
    if options.no_engines:
        reason = "no CUDA driver: float16 ONNX files only"
        write(options.output, step(COULD_NOT, reason, files=files))
        return
    title = ""
    try:
        flavour = find_flavour()
        title = f"{flavour.name} {flavour.version}"
        for made in files.values():
            build(made, options.inputs, flavour)
            # After each: the next one may take longer than there is time.
            write(options.output, step(PASSED, files=files, flavour=title))
    except ImportError as error:  # no TensorRT
        write(options.output, step(COULD_NOT, str(error), files=files))
    except SrsdkError as error:
        write(options.output, step(FAILED, str(error), files=files, flavour=title))


def build(made: JsonObject, inputs: list[str], flavour: Flavour) -> None:
    """Build the engine of an ONNX file, and write down where it is and how long that took."""
    onnx = Path(made["onnx"])
    engine = onnx.with_suffix(".engine")
    started = time.perf_counter()
    wanted = profiles(inputs, read_spec(load(onnx)))
    shapes = " ".join(f"--shapes '{text}'" for text in inputs)
    command = f"srsdk-export engine {onnx} -o {engine} {shapes}"
    build_engine(onnx, engine, wanted, flavour, Options(), command=command)
    made.update(engine=str(engine), build_seconds=time.perf_counter() - started)


def write(output: Path, record: JsonObject) -> None:
    output.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
