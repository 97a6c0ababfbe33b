"""SSIMULACRA2 as a loss, against the package that scores with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from srtrain.config import LossConfig
from srtrain.losses import ContentLoss, Ssimulacra2Loss


def scene(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Coloured blobs of many sizes and a few edges."""
    parts = [
        cv2.resize(random.uniform(-1, 1, (n, n, 3)) / n**0.5, (width, height), interpolation=2)
        for n in (3, 9, 27, 81)
    ]
    picture = 0.5 + 0.35 * np.sum(parts, axis=0)
    picture[:, width // 3 : width // 2] *= 0.4
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def tensor(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("size", [(256, 256), (300, 261), (128, 128), (155, 105)])
@pytest.mark.parametrize("harm", ["blur", "blocks", "noise"])
def test_it_is_the_score_of_the_package(
    tmp_path: Path, rng: np.random.Generator, size: tuple[int, int], harm: str
) -> None:
    package = pytest.importorskip("ssimulacra2")
    hr = scene(rng, *size)
    if harm == "blur":
        sr = cv2.GaussianBlur(hr, (0, 0), 1.6)
    elif harm == "blocks":
        jpeg = cv2.imencode(".jpg", hr, [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
        sr = np.asarray(cv2.imdecode(jpeg, 1), np.uint8)
    else:
        sr = (hr + rng.normal(0, 6, hr.shape)).clip(0, 255).round().astype(np.uint8)
    files = [str(tmp_path / name) for name in ("hr.png", "sr.png")]
    for file, picture in zip(files, (hr, sr), strict=True):
        Image.fromarray(picture).save(file)
    expected = package.compute_ssimulacra2(*files)
    loss = Ssimulacra2Loss()
    got = 100 - loss.distances(tensor(sr), tensor(hr)).item()
    assert got == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("side", [16, 48, 128])
def test_its_gradient_leads_to_the_picture(rng: np.random.Generator, side: int) -> None:
    hr = tensor(scene(rng, side, side))
    sr = torch.nn.functional.avg_pool2d(hr, 5, 1, 2, count_include_pad=False).requires_grad_(True)
    loss = Ssimulacra2Loss()
    optimiser = torch.optim.Adam([sr], 2e-3)
    before = loss(sr, hr).item()
    error = (sr - hr).square().mean().item()
    for _ in range(40):
        optimiser.zero_grad()
        loss(sr, hr).backward()
        assert sr.grad is not None
        assert sr.grad.isfinite().all()
        optimiser.step()
    assert loss(sr, hr).item() < 0.8 * before
    assert (sr - hr).square().mean().item() < error


def test_equal_pictures_lack_nothing_and_pull_nowhere(rng: np.random.Generator) -> None:
    hr = tensor(scene(rng, 64, 64))
    sr = hr.clone().requires_grad_(True)
    loss = Ssimulacra2Loss()(sr, hr)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=0.01)
    assert sr.grad is not None
    assert sr.grad.isfinite().all()


def test_autocast_does_not_touch_it(rng: np.random.Generator) -> None:
    hr = tensor(scene(rng, 64, 64))
    sr = torch.nn.functional.avg_pool2d(hr, 3, 1, 1)
    expected = Ssimulacra2Loss()(sr, hr)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(Ssimulacra2Loss()(sr, hr), expected)


def test_the_content_loss_takes_first_frames(rng: np.random.Generator) -> None:
    hr = torch.cat([tensor(scene(rng, 64, 64)) for _ in range(4)])
    sr = torch.nn.functional.avg_pool2d(hr, 3, 1, 1)
    content = ContentLoss(LossConfig(l1=1.0, ssimulacra2=0.5))
    expected = (sr - hr).abs().mean() + 0.5 * Ssimulacra2Loss()(sr[:2], hr[:2])
    torch.testing.assert_close(content(sr, hr, clips=2), expected)
