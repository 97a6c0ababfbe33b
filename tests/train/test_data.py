"""Reading faces and making pairs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srsdk.errors import InputError
from srtrain.data import load_pairs, sample_batch
from srtrain.degrade import clean, to_hr
from srtrain.metrics import bicubic_psnr, psnr
from srtrain.sources import find_sets

from .conftest import picture


def test_shards_and_folders_give_the_same_pairs(data: Path, tmp_path: Path) -> None:
    for n in range(100, 106):
        picture(n).save(tmp_path / f"{n:05d}.png")
    from_shard = load_pairs([data / "train-b-00.tar"], 4, 64)
    from_folder = load_pairs([tmp_path], 4, 64)
    np.testing.assert_array_equal(from_shard.hr, from_folder.hr)
    np.testing.assert_array_equal(from_shard.lr, from_folder.lr)
    assert from_shard.hr.shape == (6, 64, 64, 3)
    assert from_shard.lr.shape == (6, 16, 16, 3)


def test_corrupt_pictures_are_counted_and_reported(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        pairs = load_pairs(find_sets(data, ["train-*.tar"]), 4, 64, views=2, zoom=1.1)
    assert (len(pairs), pairs.corrupt) == (32, 2)
    assert "2 of 18" in caplog.text
    assert pairs.summary == "train-a-00 (12), train-b-00 (6)"


def test_lr_is_pillows_bicubic_reduction_of_hr(data: Path) -> None:
    pairs = load_pairs([data / "dev-a-00.tar"], 4, 64)
    for lr, hr in zip(pairs.lr, pairs.hr, strict=True):
        expected = Image.fromarray(hr).resize((16, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(lr, np.asarray(expected))


def test_batches_are_a_function_of_seed_and_step(data: Path) -> None:
    pairs = load_pairs([data / "train-a-00.tar"], 4, 64)
    first = sample_batch(pairs, 5, 12, seed=1, step=7)
    again = sample_batch(pairs, 5, 12, seed=1, step=7)
    other = sample_batch(pairs, 5, 12, seed=1, step=8)
    np.testing.assert_array_equal(first.hr, again.hr)
    assert not np.array_equal(first.hr, other.hr)
    assert not np.array_equal(
        first.hr, sample_batch(pairs, 5, 12, seed=1, step=7, critic_step=1).hr
    )


def test_patches_of_lr_and_hr_show_the_same_place(data: Path) -> None:
    pairs = load_pairs([data / "train-a-00.tar"], 4, 64)
    batch = sample_batch(pairs, 64, 12, seed=3, step=0)
    lr, hr = batch.lr, batch.hr
    assert lr.shape == (64, 12, 12, 3)
    assert hr.shape == (64, 48, 48, 3)
    for small, large in zip(lr, hr, strict=True):
        inner = np.abs(clean(large, 4).astype(int) - small)[2:-2, 2:-2]
        assert inner.max() <= 2  # they differ only where the reduction saw past the patch


@pytest.mark.parametrize(
    ("patterns", "message"), [(["nothing-*.tar"], "nothing"), (["train-a-00.tar", "x"], "'x'")]
)
def test_missing_data_is_named(data: Path, patterns: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_sets(data, patterns)


def test_a_broken_shard_is_named(tmp_path: Path) -> None:
    shard = tmp_path / "train-x.tar"
    shard.write_bytes(b"not a tar file" * 100)
    with pytest.raises(InputError, match=r"train-x\.tar"):
        load_pairs([shard], 4, 64)


def test_a_set_without_a_usable_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="no usable picture"):
        load_pairs([tmp_path], 4, 64)


def test_to_hr_averages_whole_number_reductions() -> None:
    values = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    boxes = values.reshape(16, 2, 16, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(to_hr(Image.fromarray(values), 16) - boxes).max() <= 0.5


def test_psnr_of_a_known_error() -> None:
    hr = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(hr + np.uint8(5), hr) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr(hr, hr) == float("inf")


def test_protocol_scores_of_bicubic(real_data: Path) -> None:
    """The two figures that pin the protocol."""
    for name, expected in (("dev-real192-00", 27.20), ("dev-synthetic256-00", 26.58)):
        pairs = load_pairs([real_data / "data" / f"{name}.tar"], 4, 128)
        assert bicubic_psnr(pairs) == pytest.approx(expected, abs=0.005)
