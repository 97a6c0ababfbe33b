"""Clips of two frames: what they show, what cameras and codecs do to them, how batches are cut."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srsdk.errors import InputError
from srtrain.batches import ClipBatches
from srtrain.clips import Clips, load_clips
from srtrain.config import DataConfig
from srtrain.degrade import clean
from srtrain.video_camera import h264_clips, reduce_plainly, through_camera, through_codecs
from srtrain.views import draw_view

from .conftest import picture

CONFIG = DataConfig(train=("train-b-*.tar",), hr_side=64, clips=24, whole_share=0.5, workers=1)


@pytest.fixture(scope="module")
def clips(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return load_clips(data, CONFIG, 4, 3, tmp_path_factory.mktemp("clips"))


def test_views_are_two_frames_of_a_face_of_any_size() -> None:
    face = picture(1, 128)
    views = [draw_view(face, 64, 0.5, np.random.default_rng(n)) for n in range(40)]
    assert {view.frames.shape for view in views} == {(2, 64, 64, 3)}
    assert 8 < sum(view.whole for view in views) < 32
    changes = [np.abs(np.diff(view.frames.astype(int), axis=0)).mean() for view in views]
    assert any(change == 0 for change in changes)  # nobody moves
    assert all(change < 40 for change in changes)  # nothing jumps


def test_clips_are_kept_and_made_anew_alike(clips: Clips, data: Path, tmp_path: Path) -> None:
    assert clips.hr.shape == (24, 2, 64, 64, 3)
    assert clips.clean.shape == clips.camera.shape == (24, 2, 16, 16, 3)
    assert (len(clips), clips.scale, clips.summary) == (24, 4, "train-b-00 (6)")
    again = load_clips(data, dataclasses.replace(CONFIG, workers=2), 4, 3, tmp_path)
    for part in ("hr", "clean", "camera", "whole"):
        np.testing.assert_array_equal(getattr(clips, part), getattr(again, part))
    (kept,) = tmp_path.iterdir()
    changed = ~np.array(again.whole)
    np.save(kept / "whole.npy", changed)
    np.testing.assert_array_equal(load_clips(data, CONFIG, 4, 3, tmp_path).whole, changed)
    other = load_clips(data, CONFIG, 4, 4, tmp_path)
    assert not np.array_equal(other.hr, again.hr)


def test_clips_need_pictures_and_a_side_that_fits(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hr_side 60 is not a multiple of 8"):
        load_clips(data, dataclasses.replace(CONFIG, hr_side=60), 4, 0, tmp_path)
    with pytest.raises(InputError, match="no training data matches"):
        load_clips(data, dataclasses.replace(CONFIG, train=("none-*.tar",)), 4, 0, tmp_path)


def test_h264_keeps_every_clip_at_its_place() -> None:
    made = [np.stack([np.asarray(picture(n, 32))] * 2) for n in range(5)]
    for first_is_key in (True, False):
        sharp = h264_clips(made, 12, first_is_key=first_is_key)
        rough = h264_clips(made, 40, first_is_key=first_is_key)
        for before, fine, coarse in zip(made, sharp, rough, strict=True):
            errors = [np.abs(x.astype(int) - before).mean() for x in (fine, coarse)]
            assert errors[0] < errors[1]
            assert errors[0] < 12  # another tile's picture would be far off


def test_degradation_repeats_with_its_seed_and_keeps_the_size() -> None:
    frames = np.stack([np.asarray(picture(1, 64))] * 2)
    for seed in range(6):
        one, same = (through_camera(frames, 4, np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == (2, 16, 16, 3)
        np.testing.assert_array_equal(one, same)
        coded = through_codecs([one, one], np.random.default_rng(seed))
        assert [clip.shape for clip in coded] == [one.shape] * 2
    plain = reduce_plainly(frames, 4, np.random.default_rng(0))
    assert np.abs(plain[0].astype(int) - clean(frames[0], 4)).mean() < 6


def test_batches_put_first_frames_before_second_ones_and_whole_faces_first(clips: Clips) -> None:
    config = dataclasses.replace(CONFIG, clean_share=1.0, whole_share=0.5)
    batches = ClipBatches(clips, config, 8, 0, torch.device("cpu"))
    batch = batches.at(3)
    assert (batch.clips, batch.whole) == (8, 4)
    lr, hr = np.asarray(batch.lr), np.asarray(batch.hr)
    assert lr.shape == (16, 16, 16, 3)
    assert hr.shape == (16, 64, 64, 3)
    known = {
        variant[0, t].tobytes(): (number, t, bool(clips.whole[number]))
        for number in range(len(clips))
        for t in range(2)
        for variant in (
            np.stack([np.ascontiguousarray(x) for x in (clips.hr[number],)]),
            np.stack([np.ascontiguousarray(clips.hr[number][:, :, ::-1])]),
        )
    }
    found = [known[image.tobytes()] for image in hr]
    assert [number for number, _, _ in found[:8]] == [number for number, _, _ in found[8:]]
    assert all(whole for _, _, whole in found[:4])
    assert not any(whole for _, _, whole in found[4:8])
    for low, high in zip(lr, hr, strict=True):  # mirrored together
        small = np.asarray(Image.fromarray(high).resize((16, 16), Image.Resampling.BICUBIC))
        assert np.abs(small.astype(int) - low).mean() < 6
    np.testing.assert_array_equal(batches.at(3).lr, batch.lr)
    assert not np.array_equal(batches.at(4).lr, batch.lr)


def test_batches_know_which_clips_were_plainly_reduced(clips: Clips) -> None:
    config = dataclasses.replace(CONFIG, clean_share=0.5)
    batch = ClipBatches(clips, config, 16, 0, torch.device("cpu")).at(1)
    clean = {variant.tobytes() for x in clips.clean[:, 0] for variant in (x, x[:, ::-1])}
    expected = [image.tobytes() in clean for image in np.asarray(batch.lr)[:16]]
    assert batch.plain is not None
    assert batch.plain.tolist() == expected
    assert 0 < sum(expected) < 16


def test_processes_share_a_batch_of_clips(clips: Clips) -> None:
    whole = ClipBatches(clips, CONFIG, 6, 0, torch.device("cpu")).at(2)
    parts = [
        ClipBatches(clips, CONFIG, 6, 0, torch.device("cpu"), rank=r, processes=2).at(2)
        for r in range(2)
    ]
    assert [part.clips for part in parts] == [3, 3]
    assert sum(part.whole for part in parts) == whole.whole
    shared = np.concatenate([np.asarray(part.hr) for part in parts])
    assert {x.tobytes() for x in shared} == {x.tobytes() for x in np.asarray(whole.hr)}
