"""Losses are modules; one objective a file."""

from srtrain.losses.adversarial import Objective
from srtrain.losses.build import build_content, build_objective
from srtrain.losses.content import ContentLoss
from srtrain.losses.identity import IdentityLoss
from srtrain.losses.nsgan import Minimax, NonSaturating
from srtrain.losses.spectrum import SpectrumLoss
from srtrain.losses.ssimulacra2 import Ssimulacra2Loss
from srtrain.losses.vgg import VggFeatures, VggLoss, load_vgg
from srtrain.losses.wgan_gp import WassersteinGP, gradient_penalty

__all__ = [
    "ContentLoss",
    "IdentityLoss",
    "Minimax",
    "NonSaturating",
    "Objective",
    "SpectrumLoss",
    "Ssimulacra2Loss",
    "VggFeatures",
    "VggLoss",
    "WassersteinGP",
    "build_content",
    "build_objective",
    "gradient_penalty",
    "load_vgg",
]
