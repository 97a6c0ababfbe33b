"""`Upscaler` through its public interface, against ONNX Runtime and NumPy used directly."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srsdk import ClosedError, InputError, ModelFormatError, ModelSpec, Upscaler
from srsdk.backends import BACKENDS
from srsdk.types import Pixels
from tests.sdk.backends.agreement import assert_same_from_threads

MODELS = ["edge-x2", "edge-x3", "edge-x4", "edge-x4-image", "edge-x8", "residual-x4"]


def noise(height: int, width: int, seed: int = 0, channels: int = 3) -> Pixels:
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def obvious(path: Path, image: Pixels, color: str = "bgr") -> Pixels:
    """The same model the obvious way: ONNX Runtime, then NumPy and OpenCV in float64."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    spec = ModelSpec.from_metadata(session.get_modelmeta().custom_metadata_map)
    rgb = image[:, :, ::-1] if color == "bgr" else image
    lr = rgb.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
    values = session.run(None, {session.get_inputs()[0].name: lr})[0][0].astype(np.float64)
    r = spec.shuffle
    height, width = values.shape[1:]
    sr = values.reshape(3, r, r, height, width).transpose(3, 1, 4, 2, 0)
    sr = sr.reshape(height * r, width * r, 3) * 255
    size = (image.shape[1] * spec.scale, image.shape[0] * spec.scale)
    if spec.base == "bilinear":
        sr += cv2.resize(rgb.astype(np.float64), size, interpolation=cv2.INTER_LINEAR)
    elif spec.base == "nearest":
        sr += rgb.repeat(spec.scale, 0).repeat(spec.scale, 1)
    sr = np.rint(np.clip(sr, 0, 255)).astype(np.uint8)
    return sr[:, :, ::-1] if color == "bgr" else sr


def assert_close(ours: Pixels, theirs: Pixels, share: float = 1e-3) -> None:
    """At most one grey level apart, and that only where rounding is a close call."""
    assert ours.shape == theirs.shape
    error = np.abs(ours.astype(int) - theirs.astype(int))
    assert error.max() <= 1
    assert np.mean(error > 0) <= share


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("name", MODELS)
def test_equals_the_obvious_way(models: dict[str, Path], name: str, color: str) -> None:
    image = noise(23, 37)
    with Upscaler(models[name], color=color) as upscaler:  # type: ignore[arg-type]
        assert_close(upscaler(image), obvious(models[name], image, color))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2), (64, 48), (180, 320)])
def test_odd_sizes(models: dict[str, Path], size: tuple[int, int]) -> None:
    image = noise(*size)
    with Upscaler(models["edge-x4"]) as upscaler:
        assert_close(upscaler(image), obvious(models["edge-x4"], image))


@pytest.mark.parametrize("name", ["edge-x4", "edge-x4-image", "residual-x4", "edge-x3"])
@settings(max_examples=12, deadline=None)
@given(size=st.tuples(st.integers(1, 70), st.integers(1, 70)), tile=st.integers(16, 40))
def test_tiled_equals_whole(
    models: dict[str, Path], name: str, size: tuple[int, int], tile: int
) -> None:
    image = noise(*size)
    with Upscaler(models[name], tile=tile) as tiled, Upscaler(models[name], tile=4096) as whole:
        a, b = tiled(image).astype(int), whole(image).astype(int)
    assert np.abs(a - b).max() <= 1


def test_4k_goes_through_in_tiles(models: dict[str, Path]) -> None:
    """One image as large as 4K video, checked against the whole where tiles meet."""
    image = noise(2160, 3840)
    with Upscaler(models["edge-x2"]) as upscaler:
        large = upscaler(image)
        assert large.shape == (4320, 7680, 3)
        y, x = 2160 // 5, 3840 // 8  # where the first tiles end
        around = upscaler(image[y - 40 : y + 40, x - 40 : x + 40])[20:-20, 20:-20]
    part = large[2 * (y - 30) : 2 * (y + 30), 2 * (x - 30) : 2 * (x + 30)]
    assert np.abs(part.astype(int) - around.astype(int)).max() <= 1


def test_out_is_written_in_place_and_nothing_around_it(models: dict[str, Path]) -> None:
    image, canvas = noise(12, 15), np.full((80, 90, 3), 77, np.uint8)
    region = canvas[7:55, 11:71]
    with Upscaler(models["edge-x4"]) as upscaler:
        expected = upscaler(image)
        assert upscaler(image, out=region) is region
    np.testing.assert_array_equal(region, expected)
    canvas[7:55, 11:71] = 77
    assert (canvas == 77).all()


@pytest.mark.parametrize("tile", [16, 512])
def test_input_in_any_layout_is_left_alone(models: dict[str, Path], tile: int) -> None:
    wide = noise(60, 80)
    views = {
        "rows": wide[::2],
        "columns": wide[:, ::3],
        "upside down": wide[::-1],
        "mirrored": wide[:, ::-1],
        "other order": wide[:, :, ::-1],
        "transposed": wide.transpose(1, 0, 2),
        "inner": wide[3:40, 5:33],
    }
    before = wide.copy()
    wide.flags.writeable = False
    with Upscaler(models["edge-x4"], tile=tile) as upscaler:
        for name, view in views.items():
            expected = upscaler(np.ascontiguousarray(view))
            np.testing.assert_array_equal(upscaler(view), expected, err_msg=name)
    np.testing.assert_array_equal(wide, before)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1)])
def test_gray_stays_gray(models: dict[str, Path], shape: tuple[int, ...]) -> None:
    gray = noise(20, 30, channels=0).reshape(shape)
    with Upscaler(models["edge-x4"]) as upscaler:
        large = upscaler(gray)
        color = upscaler(np.repeat(gray.reshape(20, 30, 1), 3, axis=2))
    assert large.shape == (80, 120, *shape[2:])
    mean = color.astype(float).mean(axis=2)
    assert np.abs(large.reshape(80, 120) - mean).max() <= 0.5


def test_alpha_is_enlarged_too(models: dict[str, Path]) -> None:
    image = noise(20, 30, channels=4)
    image[:, :15, 3], image[:, 15:, 3] = 0, 255
    with Upscaler(models["edge-x4"]) as upscaler:
        large = upscaler(image)
        color = upscaler(image[:, :, :3])
        again = upscaler(image, out=np.empty((80, 120, 4), np.uint8))
    np.testing.assert_array_equal(large[:, :, :3], color)
    np.testing.assert_array_equal(large, again)
    assert (large[:, :50, 3] == 0).all()
    assert (large[:, -50:, 3] == 255).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"\(image \* 255\)"),
        (np.zeros((4, 4, 3), np.uint16), "257"),
        (np.zeros((4, 4, 3), bool), "astype"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
        (np.zeros((2, 4, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        ([[1, 2], [3, 4]], "list"),
        (None, r"cv2\.imread"),
    ],
    ids=["float", "uint16", "bool", "two channels", "batch", "empty", "list", "None"],
)
def test_what_is_no_image_is_refused(models: dict[str, Path], image: object, message: str) -> None:
    with Upscaler(models["edge-x4"]) as upscaler, pytest.raises(InputError, match=message):
        upscaler(image)


def test_unusable_outputs_are_refused(models: dict[str, Path]) -> None:
    image, canvas = noise(4, 4), np.zeros((16, 16, 3), np.uint8)
    locked = canvas.copy()
    locked.flags.writeable = False
    with Upscaler(models["edge-x4"]) as upscaler:
        for out, message in (
            (canvas[:15], r"\(16, 16, 3\)"),
            (canvas.astype(np.float32), "float32"),
            (locked, "read-only"),
            ([1], "list"),
        ):
            with pytest.raises(InputError, match=message):
                upscaler(image, out=out)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="shares memory"):
            upscaler(canvas[:4, :4], out=canvas)


def test_batch_equals_one_by_one(models: dict[str, Path]) -> None:
    same = [noise(20, 30, seed) for seed in range(5)]
    mixed = [noise(9, 9), noise(20, 30), noise(20, 30, channels=4), noise(8, 8, channels=0)]
    with Upscaler(models["residual-x4"]) as upscaler:
        for frames in (same, mixed, np.stack(same), [noise(600, 20)] * 2):
            for got, frame in zip(upscaler.batch(frames), frames, strict=True):
                expected = upscaler(frame)
                assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1
        assert upscaler.batch([]) == []


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "bicubic"])
def test_bicubic_runs_in_one_backend(backend: str) -> None:
    with pytest.raises(ModelFormatError, match=r"bicubic-x4 is no network.*bicubic.*auto"):
        Upscaler("bicubic-x4", backend=backend)


def test_many_threads_share_one_upscaler(models: dict[str, Path]) -> None:
    images = [noise(10 + 3 * n, 40 - n, n) for n in range(8)]
    with Upscaler(models["edge-x4"], tile=24) as upscaler:
        assert_same_from_threads(upscaler, images, threads=6, calls=40)


def test_closing_while_others_work_is_clean(models: dict[str, Path]) -> None:
    upscaler = Upscaler(models["edge-x4"])
    outcomes: list[str] = []

    def work() -> None:
        try:
            for _ in range(200):
                upscaler(noise(40, 40))
            outcomes.append("done")
        except InputError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    upscaler.close()
    for thread in threads:
        thread.join()
    upscaler.close()
    assert len(outcomes) == 3
    with pytest.raises(ClosedError, match="make a new one"):
        upscaler(noise(4, 4))


def test_info_says_what_runs(models: dict[str, Path]) -> None:
    options = {"faces": models["residual-x4"], "threads": 1, "backend": "onnxruntime"}
    with Upscaler(models["edge-x4"], **options) as upscaler:  # type: ignore[arg-type]
        info = upscaler.info
    assert (info.scale, info.color) == (4, "bgr")
    assert (info.frames.name, info.frames.threads) == ("onnxruntime", 1)
    assert info.frames.version == ort.__version__
    assert info.frames.spec.name == "edge-x4"
    assert info.faces is not None
    assert info.faces.spec.face_size == 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "gbr"}, "color"),
        ({"tile": 3}, "tile"),
        ({"threads": 0}, "threads"),
        ({"backend": "magic"}, "known: auto, onnxruntime, native"),
    ],
)
def test_wrong_options_are_named(
    models: dict[str, Path], options: dict[str, object], message: str
) -> None:
    with pytest.raises((InputError, ImportError), match=message):
        Upscaler(models["edge-x4"], **options)  # type: ignore[arg-type]


def test_generators_of_two_scales_do_not_go_together(models: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="same scale"):
        Upscaler(models["edge-x2"], faces=models["residual-x4"])
    with pytest.raises(InputError, match="faces=MODEL"):
        Upscaler(models["edge-x4"], detector=object())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_face is -5"):
        Upscaler(models["edge-x4"], faces=models["residual-x4"], max_face=-5)


def test_bicubic_is_opencvs() -> None:
    image = noise(17, 13)
    with Upscaler("bicubic-x3") as upscaler:
        expected = cv2.resize(image, (39, 51), interpolation=cv2.INTER_CUBIC)
        np.testing.assert_array_equal(upscaler(image), expected)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": None}, "None is not a model"),
        ({"model": 4}, "4 is not a model"),
        ({"faces": True}, "True is not a model"),
        ({"threads": "2"}, "threads is '2', expected a whole number"),
        ({"threads": 1.5}, "threads is 1.5"),
        ({"threads": True}, "threads is True"),
        ({"tile": 8}, "tile is 8, expected a whole number, at least 16 pixels"),
        ({"faces": "portrait-x4", "max_face": "64"}, "max_face is '64'"),
        ({"faces": "portrait-x4", "face_budget_ms": -1}, "face_budget_ms is -1"),
        ({"faces": "portrait-x4", "face_budget_ms": float("nan")}, "face_budget_ms is nan"),
        ({"faces": "portrait-x4", "face_budget_ms": "5"}, "face_budget_ms is '5'"),
        ({"faces": "portrait-x4", "detector": "yunet"}, "detector is 'yunet', expected"),
    ],
)
def test_options_are_checked_when_they_are_given(options: dict[str, Any], text: str) -> None:
    """Not with the first frame of a camera, and never by another error than an `SrsdkError`."""
    with pytest.raises(InputError, match=re.escape(text)):
        Upscaler(**options)


def test_a_closed_one_opens_no_stream(models: dict[str, Path]) -> None:
    upscaler = Upscaler(models["edge-x4"])
    with pytest.raises(InputError, match="detect_every is '5'"):
        upscaler.stream(detect_every="5")  # type: ignore[arg-type]
    upscaler.close()
    with pytest.raises(ClosedError):
        upscaler.stream()
