"""A generator's engine with the TensorRT plugin against one without, in turns.

python -m tests.benchmarks.gpu.plugin FILE.json --model srresnet-x4 --inputs '4*32x32' '1*320x180'
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from srexport.onnx import load, read_spec, save
from srexport.plugin import use_plugin
from srexport.precision import convert
from srsdk import zoo
from srsdk.cuda.driver import find_gpu
from srsdk.errors import SrsdkError
from srsdk.spec import Precision
from srsdk.tensorrt.building import Options, build_engine
from srsdk.tensorrt.flavour import find_flavour
from srsdk.tensorrt.profiles import profiles
from srsdk.timing import interleave, summarise
from tests.benchmarks.gpu.generators import picture, size
from tests.benchmarks.gpu.report import COULD_NOT, FAILED, PASSED, JsonObject, step
from tests.benchmarks.gpu.runners import backend

WORTH = 0.97
"""The plugin is worth its trouble where the median is at most this share of that without it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--model", default="srresnet-x4")
    parser.add_argument("--precision", choices=("fp32", "fp16"), default="fp16")
    parser.add_argument("--inputs", nargs="+", default=["4*32x32"], help="BATCH*WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    folder = options.output.parent / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if find_gpu() is None:
            record = step(COULD_NOT, "no CUDA driver finds a GPU here")
        else:
            engines = build(
                Path(zoo.find(options.model)), folder, options.inputs, options.precision
            )
            rows = [compare(engines, text, options.rounds) for text in options.inputs]
            record = step(PASSED, rows=rows)
    except ImportError as error:  # TensorRT, the plugin, or what TensorRT-RTX wants for it
        record = step(COULD_NOT, str(error))
    except SrsdkError as error:
        record = step(FAILED, str(error))
    options.output.write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def build(model: Path, folder: Path, inputs: list[str], precision: Precision) -> dict[str, Path]:
    """The engines, by "native" (TensorRT's own DepthToSpace) and "plugin"."""
    flavour = find_flavour()
    native = convert(load(model), precision).model
    engines: dict[str, Path] = {}
    for name, proto in (("native", native), ("plugin", use_plugin(native))):
        onnx = folder / f"{model.stem}-{precision}-{name}.onnx"
        engines[name] = onnx.with_suffix(".engine")
        save(proto, onnx)
        wanted = profiles(inputs, read_spec(proto))
        build_engine(onnx, engines[name], wanted, flavour, Options(), command="gpu-check")
    return engines


def compare(engines: dict[str, Path], text: str, rounds: int) -> JsonObject:
    """Medians of both at one size, and whether the plugin is worth it there."""
    count, width, height = size(text)
    batch = picture(count, width, height)
    runners = {name: backend("tensorrt", engine, batch) for name, engine in engines.items()}
    turns = interleave({name: one.turn for name, one in runners.items()}, rounds=rounds)
    native, plugin = (summarise(turns[name]).p50 for name in ("native", "plugin"))
    ours, theirs = (runners[name].result().astype(int) for name in ("plugin", "native"))
    return {
        "input": text,
        "native_p50_ms": native * 1e3,
        "plugin_p50_ms": plugin * 1e3,
        "ratio": plugin / native,
        "worth": plugin <= WORTH * native,
        "largest_difference": int(abs(ours - theirs).max()),
    }


if __name__ == "__main__":
    main()
