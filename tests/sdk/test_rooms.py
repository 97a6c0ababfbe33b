"""The order of srsdk's rooms: a room imports those below it, and no import goes up.

This is the one place where the order is written down. A room is a module or a folder of
`sdk/srsdk`; lazy imports and imports for type checkers count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import srsdk

SOURCE = Path(srsdk.__file__).parent

ORDER = (
    # programs: the command line, with what it alone uses, and a GStreamer element
    "cli",
    "power",
    "gstreamer",
    # the façades: a camera, a file, an image
    "live",
    "upscaler",
    "stream",
    "video",
    "faces",
    # a frame through a generator
    "zoo",
    "tiling",
    "image",
    "backends",
    "tensorrt",
    "cuda",
    # what all rooms use
    "futures",
    "snapshot",
    "signals",
    "timing",
    "cpu",
    "reference",
    "onnxfile",
    "types",
    "int8",
    "spec",
    "files",
    "arguments",
    "errors",
)

OUTSIDE = {"__init__", "_kernels", "_kernels_cuda"}
"""The package's front door and the compiled modules, which import no room."""


def rooms() -> set[str]:
    inside = {path.stem for path in SOURCE.glob("*.py")}
    return inside | {path.parent.name for path in SOURCE.glob("*/__init__.py")}


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Package and room of every import, for instance ("srsdk", "faces")."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            yield package, rest.partition(".")[0]


def test_every_room_has_its_place() -> None:
    missing, gone = rooms() - OUTSIDE - set(ORDER), set(ORDER) - rooms()
    assert not missing, "give the new rooms their place in ORDER"
    assert not gone


def test_no_import_goes_up() -> None:
    upward = []
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room not in ORDER:
            continue
        for package, other in imports(path):
            if package == "srsdk" and other in ORDER and ORDER.index(other) < ORDER.index(room):
                upward.append(f"{path.relative_to(SOURCE)} imports srsdk.{other}")
    assert not upward


def test_the_runtime_imports_neither_trainer_nor_exporter() -> None:
    for path in SOURCE.rglob("*.py"):
        packages = {package for package, _ in imports(path)}
        assert not packages & {"srexport", "srtrain", "tests"}, path


def test_the_kernels_specification_is_not_called() -> None:
    """`reference.py` is slow and plain on purpose: it is for tests and the exporter's checks."""
    for path in SOURCE.rglob("*.py"):
        assert ("srsdk", "reference") not in set(imports(path)), path
