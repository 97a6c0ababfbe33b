"""Scores against independent references, and what the command writes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from srsdk.errors import BackendUnavailableError, InputError
from srtrain.candidates import Candidate, bicubic_candidate, open_candidate
from srtrain.config import Recipe
from srtrain.data import Pairs, load_pairs
from srtrain.degrade import Pixels, clean
from srtrain.judge import (
    Metrics,
    Scores,
    judge,
    open_lpips,
    open_ssimulacra2,
    score_sets,
    ssim,
)
from srtrain.loop import run
from srtrain.losses import VggFeatures, VggLoss
from srtrain.metrics import bicubic_psnr
from srtrain.models import SRPGGAN
from srtrain.report import picture, to_json, to_markdown
from srtrain.spectra import radial_spectrum, spectrum_distance

from .test_losses import short_state


@pytest.fixture
def pairs(data: Path) -> Pairs:
    return load_pairs([data / "dev-a-00.tar"], 4, 64)


def perfect(pairs: Pairs) -> Candidate:
    """Knows the pairs, also out of focus."""
    defocused = [cv2.GaussianBlur(hr, (0, 0), 4) for hr in pairs.hr]
    table = {lr.tobytes(): hr for lr, hr in zip(pairs.lr, pairs.hr, strict=True)}
    table |= {clean(hr, 4).tobytes(): hr for hr in defocused}
    return Candidate("perfect", 4, lambda lr: np.stack([table[one.tobytes()] for one in lr]))


def test_scores_of_a_perfect_result_and_of_bicubic(pairs: Pairs) -> None:
    vgg = VggLoss(VggFeatures(short_state(), ["conv2_1"]))
    metrics = Metrics(vgg=vgg, ssimulacra2=open_ssimulacra2())
    best, base = (judge(one, pairs, metrics) for one in (perfect(pairs), bicubic_candidate(4)))
    assert (best.psnr, best.ssim) == (float("inf"), pytest.approx(1.0))
    assert (best.vgg, best.spectrum, best.identity) == (0.0, 0.0, None)
    assert (best.grid, best.grid_defocus) == (1.0, 1.0)
    if best.ssimulacra2 is not None and base.ssimulacra2 is not None:
        assert best.ssimulacra2 == pytest.approx(100, abs=0.1)
        assert base.ssimulacra2 < 90
    assert base.psnr == pytest.approx(bicubic_psnr(pairs))
    assert base.ssim < 1
    assert base.vgg is not None
    assert base.vgg > 0
    assert base.spectrum > 0
    assert judge(bicubic_candidate(4), pairs).vgg is None
    with pytest.raises(InputError, match="scale 2"):
        judge(bicubic_candidate(2), pairs)


def test_defocused_faces_are_looked_at_once_for_both_qualities(pairs: Pairs) -> None:
    """They are reduced anew from the high resolution, which both sets share."""
    calls: list[Pixels] = []
    base = bicubic_candidate(4)

    def upscale(lr: Pixels) -> Pixels:
        calls.append(lr)
        return base.upscale(lr)

    counted = Candidate("counted", 4, upscale)
    scores = score_sets(counted, {"a": pairs}, camera={"a": pairs})
    alone = score_sets(base, {"a": pairs})
    assert {name: value for name, value in scores.items() if "camera" not in name} == alone
    assert "grid/a (camera)" in scores
    assert "grid_defocus/a (camera)" not in scores
    batches = -(-len(pairs) // 8)
    assert len(calls) == 2 * batches + 1


def test_lpips_gets_images_in_its_range(pairs: Pairs) -> None:
    """Package `lpips` takes [-1, 1]; a simple distance shows what it is given."""

    def distance(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        assert sr.shape == hr.shape == (1, 3, 64, 64)
        return (sr - hr).abs().mean()

    error = np.abs(bicubic_candidate(4).upscale(pairs.lr).astype(float) - pairs.hr)
    scores = judge(bicubic_candidate(4), pairs, Metrics(lpips=distance))
    assert scores.lpips == pytest.approx(error.mean() / 127.5, rel=1e-4)
    assert judge(bicubic_candidate(4), pairs).lpips is None


@pytest.mark.skipif(importlib.util.find_spec("lpips") is not None, reason="lpips is installed")
def test_lpips_says_what_it_needs() -> None:
    with pytest.raises(BackendUnavailableError, match="pip install lpips torchvision"):
        open_lpips("alex")


def test_lpips_has_three_backbones() -> None:
    with pytest.raises(InputError, match="alex, vgg or squeeze"):
        open_lpips("resnet")


def test_ssim_is_scikit_images(pairs: Pairs) -> None:
    """All pixels count, those at the border with mirrored neighbours."""
    sr = bicubic_candidate(4).upscale(pairs.lr)
    margin = ((5, 5), (5, 5), (0, 0))  # scikit-image leaves a border of 5 out
    for got, a, b in zip(ssim(sr, pairs.hr), sr, pairs.hr, strict=True):
        expected = structural_similarity(
            *(np.pad(image, margin, mode="reflect") for image in (a, b)),
            channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert got == pytest.approx(expected, abs=1e-4)


def waves(cycles: int, side: int = 64, amplitude: float = 60) -> Pixels:
    x = 127.5 + amplitude * np.cos(2 * np.pi * cycles * np.arange(side) / side)
    return np.rint(np.broadcast_to(x[None, :, None], (side, side, 3)))[None].astype(np.uint8)


@pytest.mark.parametrize("cycles", [3, 10, 25])
def test_spectrum_finds_a_wave(cycles: int) -> None:
    spectrum = radial_spectrum(waves(cycles))
    assert spectrum.shape == (32,)
    assert int(np.argmax(spectrum)) + 1 == cycles


def test_spectrum_of_half_the_contrast_is_six_decibels_lower() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (8, 64, 64, 1)).repeat(3, axis=3)
    full, half = (np.rint(128 + a * noise).clip(0, 255).astype(np.uint8) for a in (40, 20))
    assert spectrum_distance(half, full) == pytest.approx(6.02, abs=0.2)


def test_spectrum_sees_smoothing_that_psnr_likes(pairs: Pairs) -> None:
    """Texture of the right strength at the wrong place loses PSNR but keeps the spectrum."""
    noise = np.random.default_rng(1).normal(0, 25, pairs.hr.shape)
    other = np.random.default_rng(2).normal(0, 25, pairs.hr.shape)
    smooth = pairs.hr
    rough = np.rint(smooth + noise).clip(0, 255).astype(np.uint8)
    fake = np.rint(smooth + other).clip(0, 255).astype(np.uint8)
    assert spectrum_distance(fake, rough) < 0.3 * spectrum_distance(smooth, rough)


def test_a_larger_teacher_is_brought_down(pairs: Pairs) -> None:
    large = Candidate("x4", 4, lambda lr: lr.repeat(4, axis=1).repeat(4, axis=2))
    np.testing.assert_array_equal(
        large.reduced(2).upscale(pairs.lr), pairs.lr.repeat(2, axis=1).repeat(2, axis=2)
    )
    assert large.reduced(4) is large
    with pytest.raises(InputError, match="not a multiple of 3"):
        large.reduced(3)


def test_checkpoint_and_onnx_score_the_same(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    from srexport.onnx import build, save
    from srexport.source import read_checkpoint

    run(recipe, data, tmp_path)
    save(build(read_checkpoint(tmp_path / "last.pt")), tmp_path / "m.onnx")
    pairs = load_pairs([data / "dev-a-00.tar"], 4, 64)
    a, b = (judge(open_candidate(tmp_path / f), pairs) for f in ("last.pt", "m.onnx"))
    assert a.psnr == pytest.approx(b.psnr, abs=0.02)
    assert a.psnr != pytest.approx(bicubic_psnr(pairs), abs=1e-3)


def test_a_growing_network_is_not_judged(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(recipe.model, architecture="srpggan", features=16, blocks=1)
    changed = dataclasses.replace(
        recipe, model=model, loss=dataclasses.replace(recipe.loss, wgan_gp=1.0),
        data=dataclasses.replace(recipe.data, lr_patch=8),
        adversary=dataclasses.replace(recipe.adversary, features=2, dense=4),
    )  # fmt: skip
    saved = run(dataclasses.replace(changed, run=dataclasses.replace(changed.run, steps=1)), data,
                tmp_path)  # fmt: skip
    growing = saved.build()
    assert isinstance(growing, SRPGGAN)
    growing.set_growth(1, 1.0)
    dataclasses.replace(saved, ema=growing.state_dict()).save(tmp_path / "half.pt")
    with pytest.raises(InputError, match="still growing"):
        open_candidate(tmp_path / "half.pt")


def test_tables_mark_the_best_and_leave_out_what_is_missing() -> None:
    rows = {
        "a": Scores(30.0, 0.9, None, None, None, 2.0, 1.5, 1.6),
        "b": Scores(29.0, 0.95, None, None, None, 1.0, 1.0, 1.0),
    }
    text = to_markdown({"faces": rows})
    assert "VGG" not in text
    assert "| a | **30.00** | 0.9000 | 2.00 | 1.50 |" in text
    assert "| b | 29.00 | **0.9500** | **1.00** | **1.00** |" in text
    whole = {"a": Scores(30.0, 0.9, 71.0, 0.4, 0.5, 2.0, 1.0, 1.0)}
    cells = (
        "| a | **30.00** | **0.9000** | **71.0** | **0.400** | **0.5000** | **2.00** | **1.00** |"
    )
    assert cells in to_markdown({"x": whole})
    read = json.loads(to_json({"faces": rows}, scale=4))
    assert read["scale"] == 4
    assert read["sets"]["faces"]["b"]["psnr"] == 29.0


def test_the_picture_has_a_column_for_each(pairs: Pairs) -> None:
    sheet = picture([bicubic_candidate(4)], {"a": pairs}, faces=2, gap=4)
    assert sheet.size == (3 * 68 - 4, 18 + 2 * 68 - 4)
    values = np.asarray(sheet)
    np.testing.assert_array_equal(values[18 : 18 + 64, 136:], pairs.hr[0])
    np.testing.assert_array_equal(values[18 + 68 : 18 + 132, 0:64:4], pairs.lr[1].repeat(4, 0))


def test_distillation_learns_from_the_teacher_alone(
    recipe: Recipe, data: Path, tmp_path: Path
) -> None:
    """A student whose teacher is a constant grey moves towards grey, not towards the faces."""
    model = dataclasses.replace(recipe.model, features=16)
    teacher = dataclasses.replace(recipe, model=model)
    saved = run(dataclasses.replace(teacher, run=dataclasses.replace(teacher.run, steps=1)), data,
                tmp_path / "teacher")  # fmt: skip
    path = tmp_path / "teacher" / "last.pt"
    ema = {k: torch.zeros_like(v) for k, v in saved.ema.items()}
    ema["out.bias"] = torch.full_like(ema["out.bias"], 0.3)  # 0.3 brighter than bilinear
    dataclasses.replace(saved, ema=ema).save(path)
    for name, cache in (("kept", True), ("live", False)):
        student = dataclasses.replace(
            recipe,
            loss=dataclasses.replace(recipe.loss, l1=1e-6, teacher=1.0),
            data=dataclasses.replace(recipe.data, cache=cache),
            run=dataclasses.replace(
                recipe.run, teacher=str(path), steps=80, ema=0.5, learning_rate=1e-2
            ),
        )
        made = run(student, data, tmp_path / name).build()
        lr = torch.full((1, 3, 8, 8), 0.5)
        assert made(lr).mean().item() > 0.65
        assert bool(list((tmp_path / name).glob("teacher-output-*.npy"))) == cache
    before = (tmp_path / "kept" / "last.pt").stat().st_mtime
    run(student, data, tmp_path / "kept")  # a finished run resumes and ends at once
    assert (tmp_path / "kept" / "last.pt").stat().st_mtime >= before
    nobody = dataclasses.replace(student, run=dataclasses.replace(student.run, teacher=""))
    with pytest.raises(InputError, match=r"--set run\.teacher"):
        run(nobody, data, tmp_path / "nobody")


def test_pictures_are_saved_whole(pairs: Pairs, tmp_path: Path) -> None:
    picture([bicubic_candidate(4)], {"a": pairs}).save(tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as sheet:
        assert sheet.mode == "RGB"
