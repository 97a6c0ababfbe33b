"""Which modules `import srsdk` loads, and how long that takes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


def run(program: str) -> str:
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


BLOCK = """
import sys
BLOCKED = {'srexport', 'srtrain', 'torch', 'onnx', 'tensorrt', 'tensorrt_rtx', 'pycuda'}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in BLOCKED:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Block())
"""


def test_the_runtime_works_alone() -> None:
    program = BLOCK + (
        "import numpy, srsdk, srsdk.video, srsdk.faces, srsdk.cli\n"
        "frame = numpy.zeros((20, 30, 3), 'uint8')\n"
        "with srsdk.Upscaler('edge-x4', faces='srresnet-x4') as u: print(u(frame).shape)\n"
    )
    assert run(program) == "(80, 120, 3)"


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed"
)
def test_engines_are_built_without_the_exporter(tmp_path: Path) -> None:
    program = BLOCK + (
        "BLOCKED -= {'tensorrt_rtx'}\n"
        "from pathlib import Path\n"
        "from srsdk import onnxfile, zoo\n"
        "from srsdk.tensorrt.building import Options, build_engine\n"
        "from srsdk.tensorrt.flavour import find_flavour\n"
        "from srsdk.tensorrt.profiles import profiles\n"
        "model, shares = zoo.find('edge-x2'), []\n"
        "sizes = profiles(['32x32'], onnxfile.read_spec(model))\n"
        f"build_engine(model, Path({str(tmp_path / 'e.engine')!r}), sizes,\n"
        "    find_flavour('tensorrt_rtx'), Options(), command='again',\n"
        "    on_progress=lambda share, phase: shares.append(share))\n"
        "print(shares[-1])\n"
    )
    assert run(program) == "1.0"
    assert (tmp_path / "e.engine.json").is_file()


def test_import_loads_only_what_it_needs() -> None:
    program = (
        "import sys, srsdk\n"
        "assert srsdk.Upscaler\n"
        "heavy = {'av', 'onnxruntime', 'torch', 'onnx', 'typer', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert run(program) == "[]"


def test_public_names_resolve() -> None:
    import srsdk

    for name in srsdk.__all__:
        assert getattr(srsdk, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        srsdk.nothing  # noqa: B018
