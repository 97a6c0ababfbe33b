"""Discriminators: SRGAN's (Ledig et al., 2017, figure 4), and one of patches."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """Tells real images from made ones; its sigmoid is in the loss (`srtrain.losses.nsgan`).

    Eight 3x3 convolutions, every other one strided, from `features` to 8 * `features` channels,
    with batch norm (but for the first) and leaky ReLU, then two dense layers. The report names
    "convolutional layers and a sigmoid"; widths and strides are SRGAN's.

    Args:
        side: Side of the images, a multiple of 16.
        features: Channels of the first convolution.
        dense: Units of the hidden dense layer.

    Raises:
        ValueError: `side` is not a multiple of 16.
    """

    def __init__(self, side: int, features: int = 64, dense: int = 1024) -> None:
        super().__init__()
        if side < 16 or side % 16:
            raise ValueError(f"Discriminator: image side {side} is not a multiple of 16")
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.LeakyReLU(0.2)]
        inputs = features
        for outputs in (features, 2 * features, 4 * features, 8 * features):
            for stride in (1, 2):
                if (outputs, stride) == (features, 1):
                    continue  # the first convolution, above
                layers += [
                    nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
                    nn.BatchNorm2d(outputs),
                    nn.LeakyReLU(0.2),
                ]
                inputs = outputs
        self.convs = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs * (side // 16) ** 2, dense),
            nn.LeakyReLU(0.2),
            nn.Linear(dense, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map `(N, 3, side, side)` RGB in [0, 1] to `(N,)` logits, positive for real."""
        logits: Tensor = self.dense(self.convs(images * 2 - 1))
        return logits[:, 0]


class PatchDiscriminator(nn.Module):
    """Judges every patch of about 40 pixels by itself, so images of any size.

    Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, section
    3.2.2, with spectral norm (Miyato et al., 2018) in place of batch norm, so that a batch of two
    kinds of faces needs no common statistics.

    Args:
        features: Channels of the first convolution; four times as many in the middle.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        f = features
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, stride in (
            (3, f, 3, 1), (f, f, 4, 2), (f, 2 * f, 3, 1), (2 * f, 2 * f, 4, 2),
            (2 * f, 4 * f, 3, 1), (4 * f, 4 * f, 3, 1),
        ):  # fmt: skip
            conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=1)
            layers += [spectral_norm(conv), nn.LeakyReLU(0.2)]
        self.convs = nn.Sequential(*layers, nn.Conv2d(4 * f, 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Map `(N, 3, H, W)` RGB in [0, 1] to `(N, h*w)` logits, positive for real."""
        logits: Tensor = self.convs(images * 2 - 1)
        return logits.flatten(1)
