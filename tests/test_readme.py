"""The README's commands and programs run as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from srsdk import Upscaler, zoo
from tests.examples.test_examples import first_second
from tests.train.conftest import write_shard

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.strip()
]
# .ci/run and tests/test_package.py run these.
ELSEWHERE = ("make demo", "make test", "pip install .")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README names."""
    folder = tmp_path_factory.mktemp("readme")
    first_second(folder / "in.mp4")
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "in.png"), image)
    (folder / "train").symlink_to(ROOT / "train")
    shards = folder / "FOLDER_OF_SHARDS"
    shards.mkdir()
    write_shard(shards / "train-a-00.tar", 0, 4)
    write_shard(shards / "dev-a-00.tar", 200, 2)
    return folder


def test_readme_has_commands() -> None:
    assert set(ELSEWHERE) <= set(COMMANDS)
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ELSEWHERE])
def test_command(command: str, folder: Path) -> None:
    program, *arguments = shlex.split(command.replace("--budget 20m", "--budget 2s"))
    script = Path(sys.executable).with_name(program)
    result = subprocess.run(
        [str(script), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 0, result.stderr


def test_the_table_of_models_is_that_of_the_cards() -> None:
    for model in zoo.models():
        rows = [line for line in README.splitlines() if line.startswith(f"| `{model.name}` |")]
        (row,) = [row for row in rows if " dB " in row]
        with Upscaler(model.name) as upscaler:
            scores = upscaler.info.frames.spec.training.scores
        for name in ("dev-real192", "dev-synthetic256"):
            assert f" {scores[f'psnr_rgb/{name}']:.2f} dB" in row


def test_enhanced_video_is_whole(folder: Path) -> None:
    with av.open(str(folder / "sharp.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (1280, 720)
        assert sum(1 for _ in container.decode(stream)) == 12


@pytest.mark.parametrize("program", re.findall(r"```python\n(.*?)```", README, re.S))
def test_program(program: str, folder: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    if '"out.png"' in program:
        made = cv2.imread(str(folder / "out.png"))
        assert made is not None
        assert made.shape == (120, 160, 3)


def test_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target
