"""On a GPU: an engine with the plugin gives the pixels of one without it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from srexport.onnx import save
from srexport.plugin import use_plugin
from srexport.precision import convert
from srsdk.cuda.driver import find_gpu
from srsdk.errors import BackendUnavailableError
from srsdk.spec import Precision
from srsdk.tensorrt.plugin import find_plugin
from tests.export.test_plugin import in_process, srresnet
from tests.export.test_precision import faces

pytestmark = pytest.mark.gpu

# A process of its own, since TensorRT-RTX's parser wants a link on LD_LIBRARY_PATH.
RUN = """
import sys
from pathlib import Path
import numpy as np
from srsdk.tensorrt.building import Options, build_engine
from srsdk.tensorrt.flavour import find_flavour
from srexport.onnx import load, read_spec
from srsdk.tensorrt.profiles import profiles
from srsdk.backends import open_backend
flavour = find_flavour(sys.argv[1])
results = []
for model in map(Path, sys.argv[2:]):
    engine = model.with_suffix(".engine")
    wanted = profiles(["1*8x8:3*33x21:4*64x64"], read_spec(load(model)))
    build_engine(model, engine, wanted, flavour, Options(), command="again")
    backend = open_backend("tensorrt", engine)
    rng = np.random.default_rng(0)
    # The first size again at last: what a context keeps of a shape must not outlive it.
    sizes = [(3, 21, 33), (1, 8, 8), (4, 64, 64), (2, 17, 9), (3, 21, 33)]
    results.append([
        backend.run(rng.integers(0, 256, (*size, 3), np.uint8)).copy().astype(int) for size in sizes
    ])
    backend.close()
print(max(int(abs(a - b).max()) for a, b in zip(*results, strict=True)))
print(min(float(a.std()) for a in results[0]))
"""


@pytest.mark.parametrize("features", [16, 64])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("flavour", ["tensorrt", "tensorrt_rtx"])
def test_same_pixels(flavour: str, precision: Precision, features: int, tmp_path: Path) -> None:
    """16 features: planes alone; 64: TensorRT may hand over channels innermost."""
    if importlib.util.find_spec(flavour) is None:
        pytest.skip(f"{flavour} is not installed")
    if find_gpu() is None:
        pytest.skip("no CUDA driver answers")
    try:
        find_plugin()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    native = convert(srresnet(features=features), precision, faces(4)).model
    models = [tmp_path / "native.onnx", tmp_path / "plugin.onnx"]
    save(native, models[0])
    save(use_plugin(native), models[1])
    link = tmp_path if flavour == "tensorrt_rtx" else None
    apart, spread = in_process(RUN, flavour, *models, link=link).split()
    assert int(apart) <= {"fp32": 1, "fp16": 2, "int8": 6}[precision]
    assert float(spread) > 1, "the test's generator paints a flat picture"
