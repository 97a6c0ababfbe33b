"""The camera degradation: seeded, centred, and each damage does what it is named for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srtrain.camera import camera, h264, jpeg, motion_blur, noise, optics_blur, resize_chain
from srtrain.data import Pairs, load_pairs, sample_batch
from srtrain.degrade import Pixels, clean

from .conftest import picture


def face(side: int = 64, seed: int = 3) -> Pixels:
    return np.asarray(picture(seed, side))


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rough(image: Pixels) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=1)).mean())


@pytest.mark.parametrize(("side", "scale"), [(64, 4), (72, 8), (30, 2), (36, 4)])
def test_sizes_and_types(side: int, scale: int) -> None:
    hr = face(side)
    before = hr.copy()
    for seed in range(6):
        lr = camera(hr, scale, random(seed))
        assert lr.shape == (side // scale, side // scale, 3)
        assert lr.dtype == np.uint8
    np.testing.assert_array_equal(hr, before)


def test_the_same_seed_gives_the_same_picture_and_another_one_another() -> None:
    hr = face()
    first, again = camera(hr, 4, random(5)), camera(hr, 4, random(5))
    np.testing.assert_array_equal(first, again)
    pictures = {camera(hr, 4, random(seed)).tobytes() for seed in range(20)}
    assert len(pictures) == 20


def test_strength_varies_but_the_face_stays_where_it_is() -> None:
    hr = face(128)
    low = clean(hr, 4).astype(float)
    errors, shifts = [], []
    total = np.zeros_like(low)
    for seed in range(60):
        lr = camera(hr, 4, random(seed)).astype(float)
        errors.append(np.abs(lr - low).mean())
        total += lr
    for dy, dx in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        moved = np.roll(total / 60, (dy, dx), (0, 1))
        shifts.append(np.abs(moved - low)[2:-2, 2:-2].mean())
    assert int(np.argmin(shifts)) == 0
    assert min(errors) < 3 < max(errors) < 40


def test_noise_has_its_strength_and_grows_with_light() -> None:
    levels = {}
    for grey in (0, 128, 255):
        image = np.full((200, 200, 3), grey, np.uint8)
        error = noise(image, 6.0, random()).astype(float) - grey
        levels[grey] = error[error != 0].std() if grey in (0, 255) else error.std()
    expected = 6 * np.sqrt(1 / 9 + 8 / 9 * 128 / 255)
    assert levels[128] == pytest.approx(expected, rel=0.03)
    assert levels[0] < levels[128]


def test_blurs_smooth_and_keep_the_mean() -> None:
    image = noise(face(96), 20, random())
    for blurred in (optics_blur(image, 1.5), motion_blur(image, 6, 0.0)):
        assert rough(blurred) < 0.9 * rough(image)
        assert blurred.mean() == pytest.approx(image.mean(), abs=1)


def test_motion_blur_is_along_its_direction_and_centred() -> None:
    dot = np.zeros((21, 21, 3), np.uint8)
    dot[10, 10] = 255
    rows, columns = np.nonzero(motion_blur(dot, 6, 0.0)[:, :, 0])
    assert set(rows) == {10}
    assert columns.min() + columns.max() == 20
    assert 5 <= columns.max() - columns.min() <= 7
    rows, columns = np.nonzero(motion_blur(dot, 6, np.pi / 2)[:, :, 0])
    assert set(columns) == {10}


@pytest.mark.parametrize("shape", [(32, 32), (33, 31), (7, 5)])
def test_codecs_keep_the_size_and_get_worse(shape: tuple[int, int]) -> None:
    image = face(64)[: shape[0], : shape[1]]

    def error(other: Pixels) -> float:
        assert other.shape == image.shape
        return float(np.abs(other.astype(float) - image).mean())

    assert 0 < error(jpeg(image, 95)) < error(jpeg(image, 20)) < 60
    assert 0 < error(h264(image, 15)) < error(h264(image, 40)) < 60


def test_resize_chain_loses_what_a_smaller_picture_cannot_hold() -> None:
    image = noise(face(64), 20, random())
    assert rough(resize_chain(image, 0.4, random())) < rough(image)


def test_camera_batches_are_drawn_anew_each_step_but_repeat(data: Path) -> None:
    plain = load_pairs([data / "train-b-00.tar"], 4, 64)
    pairs = Pairs(plain.hr, plain.lr, camera=True)
    first, again, other = (sample_batch(pairs, 4, 16, 0, step) for step in (1, 1, 2))
    np.testing.assert_array_equal(first.lr, again.lr)
    clean_batch = sample_batch(plain, 4, 16, 0, 1)
    np.testing.assert_array_equal(first.hr, clean_batch.hr)
    assert not np.array_equal(first.lr, clean_batch.lr)
    assert not np.array_equal(first.lr, other.lr)
