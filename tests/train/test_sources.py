"""Folders, CelebA-HQ's layouts, sets that stay encoded, prefetching, and `prepare`."""

from __future__ import annotations

import io
import logging
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from srsdk.errors import InputError
from srtrain.batches import Batches
from srtrain.config import DataConfig
from srtrain.data import Encoded, Pairs, load_pairs, load_training, sample_batch
from srtrain.degrade import to_hr
from srtrain.prepare import prepare
from srtrain.sources import entries, find_sets

from .conftest import picture


def names(path: Path) -> list[str]:
    return [entry.name for entry in entries(path)]


def test_celeba_hq_masks_are_not_faces(tmp_path: Path) -> None:
    """CelebAMask-HQ: pictures numbered without leading zeros, masks in a folder beside them."""
    (tmp_path / "CelebA-HQ-img").mkdir()
    (tmp_path / "CelebAMask-HQ-mask-anno" / "0").mkdir(parents=True)
    picture(1).save(tmp_path / "CelebAMask-HQ-mask-anno" / "0" / "00000_hair.png")
    for n in (10, 9, 0):
        picture(n).save(tmp_path / "CelebA-HQ-img" / f"{n}.jpg")
    assert names(tmp_path) == ["0.jpg", "9.jpg", "10.jpg"]


def test_of_celeba_hqs_copies_the_largest_is_read(tmp_path: Path) -> None:
    for side in (64, 128, 1024):
        (tmp_path / f"data{side}x{side}").mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / f"data{side}x{side}" / f"{side:05d}.jpg")
    assert names(tmp_path) == ["01024.jpg"]


def test_an_entry_of_a_shard_reads_its_own_bytes(data: Path) -> None:
    shard = data / "train-b-00.tar"
    with tarfile.open(shard) as opened:
        for entry in entries(shard):
            stream = opened.extractfile(entry.name)
            assert stream is not None
            assert stream.read() == entry.read()


def test_a_dot_is_the_data_root_itself(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    assert find_sets(tmp_path, ["."]) == [tmp_path]
    with pytest.raises(InputError, match="matches"):
        find_sets(tmp_path / "none", ["."])


def test_an_encoded_set_is_the_set_in_memory(data: Path) -> None:
    paths = [data / "train-b-00.tar"]
    encoded, pairs = Encoded(paths, 4, 64), load_pairs(paths, 4, 64)
    assert (len(encoded), encoded.lr_side, encoded.summary) == (6, 16, pairs.summary)
    for step in range(3):
        a, b = (sample_batch(s, 4, 12, seed=1, step=step) for s in (encoded, pairs))
        np.testing.assert_array_equal(a.hr, b.hr)
        np.testing.assert_array_equal(a.lr, b.lr)


def test_zoomed_views_of_an_encoded_set_differ_by_draw_but_repeat(data: Path) -> None:
    encoded = Encoded([data / "train-b-00.tar"], 4, 64, zoom=1.1)
    first, again, other = (sample_batch(encoded, 3, 16, 0, step).hr for step in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_corrupt_pictures_of_an_encoded_set_are_counted(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoded = Encoded([data / "train-a-00.tar"], 4, 64)
    with caplog.at_level(logging.WARNING):
        for step in range(12):
            sample_batch(encoded, 6, 12, 0, step)
    assert encoded.corrupt == 2
    assert caplog.text.count("cannot be decoded") == 2
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="no usable picture"):
        sample_batch(Encoded([tmp_path], 4, 64), 1, 8, 0, 0)
    with pytest.raises(InputError, match="no usable picture"):
        Encoded([], 4, 64)
    with pytest.raises(InputError, match="multiple"):
        Encoded([data / "train-a-00.tar"], 4, 66)


def test_recipes_choose_memory_degradation_and_patches(data: Path) -> None:
    config = DataConfig(train=("train-b-*.tar",), hr_side=64, lr_patch=12)
    assert isinstance(load_training(data, config, 4, 0), Pairs)
    lazy = DataConfig(train=("train-b-*.tar",), hr_side=64, lr_patch=12, cache=False)
    assert isinstance(load_training(data, lazy, 4, 0), Encoded)
    large = DataConfig(train=("train-b-*.tar",), hr_side=64, lr_patch=17)
    with pytest.raises(InputError, match=r"lr_patch 17 is larger .* 16 pixels"):
        load_training(data, large, 4, 0)


@pytest.mark.parametrize("workers", [1, 3])
def test_prefetched_batches_are_those_drawn_in_place(data: Path, workers: int) -> None:
    pairs = load_pairs([data / "train-b-00.tar"], 4, 64)
    plain = Batches(pairs, 4, 8, 5, per_step=3)
    with Batches(pairs, 4, 8, 5, per_step=3, workers=workers) as ahead:
        # as the loop asks: the critic's per_step, then the generator's, which is number 0
        for step in (0, 1, 2, 7):
            for critic_step in (1, 2, 0):
                a, b = plain.at(step, critic_step), ahead.at(step, critic_step)
                np.testing.assert_array_equal(a.lr, b.lr)


@pytest.mark.parametrize("per_step", [1, 4])
def test_nothing_is_drawn_twice(data: Path, per_step: int) -> None:
    """Asked in the loop's order, every batch that was made ahead is used."""
    encoded = Encoded([data / "train-b-00.tar"], 4, 64)
    drawn = []
    face = encoded.face

    def counted(*arguments: Any) -> Any:
        drawn.append(arguments)
        return face(*arguments)

    encoded.face = counted  # type: ignore[assignment, method-assign]
    with Batches(encoded, 2, 8, 5, per_step=per_step, workers=2) as batches:
        for step in range(6):
            for critic_step in [*range(1, per_step), 0]:
                batches.at(step, critic_step)
    ahead = 4  # two for each worker
    assert 6 * per_step * 2 <= len(drawn) <= (6 * per_step + ahead) * 2


def test_processes_share_the_batch_of_one(data: Path) -> None:
    pairs = load_pairs([data / "train-b-00.tar"], 4, 64)
    whole = Batches(pairs, 6, 8, 5).at(3).hr
    parts = [Batches(pairs, 6, 8, 5, rank=r, processes=2).at(3).hr for r in range(2)]
    np.testing.assert_array_equal(parts[0], whole[::2])
    np.testing.assert_array_equal(parts[1], whole[1::2])


def test_pictures_that_are_enlarged_are_reported(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load_pairs([data / "train-b-00.tar"], 4, 96)
    assert "6 of 6 pictures are enlarged to 96 pixels" in caplog.text


def celeba(root: Path, count: int) -> Path:
    (root / "CelebA-HQ-img").mkdir(parents=True)
    for n in range(count):
        picture(n).save(root / "CelebA-HQ-img" / f"{n}.png")
    return root


def test_prepare_splits_and_resizes(tmp_path: Path) -> None:
    source = celeba(tmp_path / "celeba", 30)
    done: list[tuple[int, int]] = []
    report = prepare(
        source, tmp_path / "out", name="c", sizes=[16, 64], shard=20,
        on_picture=lambda *n: done.append(n),
    )  # fmt: skip
    assert report.shards == {
        "16/train-c-00.tar": 20, "64/train-c-00.tar": 20, "16/train-c-01.tar": 8,
        "64/train-c-01.tar": 8, "16/dev-c-00.tar": 1, "64/dev-c-00.tar": 1,
        "16/test-c-00.tar": 1, "64/test-c-00.tar": 1,
    }  # fmt: skip
    assert done[-1] == (30, 30)
    out = tmp_path / "out"
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == sorted(report.shards)
    seen = []
    for path in (out / "16").iterdir():
        for entry in entries(path):
            seen.append(entry.name)
            original = picture(int(Path(entry.name).stem))
            with Image.open(io.BytesIO(entry.read())) as small:
                np.testing.assert_array_equal(np.asarray(small), to_hr(original, 16))
    assert sorted(seen, key=lambda n: int(n[:-5])) == [f"{n}.webp" for n in range(30)]
    again = prepare(source, tmp_path / "again", name="c", sizes=[16], shard=20)
    assert names(tmp_path / "again/16/dev-c-00.tar") == names(out / "16/dev-c-00.tar")
    assert again.shards["16/train-c-00.tar"] == 20
    config = DataConfig(train=("train-*.tar",), hr_side=64, lr_patch=8)
    assert len(load_training(out / "64", config, 4, 0)) == 28


def test_prepare_counts_what_it_leaves_out(tmp_path: Path) -> None:
    source = celeba(tmp_path / "celeba", 4)
    (source / "CelebA-HQ-img" / "4.png").write_bytes(b"no picture")
    picture(5, side=40).save(source / "CelebA-HQ-img" / "5.png")
    report = prepare(source, tmp_path / "out", name="c", sizes=[32, 64], split=[1, 0, 0])
    assert report.shards == {"32/train-c-00.tar": 5, "64/train-c-00.tar": 4}
    assert not list((tmp_path / "out").rglob(".*"))
    assert report.corrupt == ["4.png"]
    assert report.small == ["5.png"]


@pytest.mark.parametrize(
    "options",
    [{"sizes": []}, {"sizes": [0]}, {"split": [1, 1]}, {"split": [0, 0, 0]}, {"shard": 0}],
)
def test_prepare_refuses_nonsense(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        prepare(celeba(tmp_path / "c", 1), tmp_path / "out", name="c", **options)  # type: ignore[arg-type]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no usable picture"):
        prepare(tmp_path / "empty", tmp_path / "out", name="c")
    with pytest.raises(InputError, match="no folder"):
        prepare(tmp_path / "none", tmp_path / "out", name="c")
    assert not (tmp_path / "out").exists()
