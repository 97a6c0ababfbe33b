"""SSIMULACRA2 as a loss: what a viewer notices, on six scales, in a colour space of the eye."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SCALES = 6
_LEAST = 8  # rows and columns below which a scale does not count
_SIGMA = 1.5
_RADIUS = 5
_NOISE = 0.0009  # constant of SSIM's denominator
_OPSIN = ((0.30, 0.622, 0.078), (0.23, 0.692, 0.078), (0.243422690, 0.204767444, 0.551809866))
_OPSIN_BIAS = 0.0037930732552754493
_POLYNOMIAL = (0.9562382616834844, 2.326765642916932, -0.020884521182843837, 6.248496625763138e-05)
_POWER = 0.6276336467831387
_WEIGHTS = (
    0, 0.000737660671, 0, 0, 0.000779348168, 0, 0, 0.000437115573, 0, 1.10417264, 0.000662848341,
    0.000152316328, 0, 0.00164064375, 0, 1.84224555, 11.4411726, 0, 0.000798910944, 0.000176816438,
    0, 1.8787595, 10.9490699, 0, 0.000728934699, 0.967793708, 0, 0.000140034243, 0.998176698,
    0.000319497559, 0.000455099211, 0, 0, 0.00136487662, 0, 0, 0, 0, 0, 7.46689033, 0, 17.445834,
    0.000623560163, 0, 0, 6.68367815, 0.00037724408, 1.02788994, 225.205153, 0, 0, 19.2132382,
    0.00114015246, 0.00123775564, 176.393176, 0, 0, 24.43301, 0.285208026, 0.000448543692, 0, 0, 0,
    34.7790634, 44.8356253, 0, 0, 0, 0, 0, 0, 0, 0, 0.000868055657, 0, 0, 0, 0, 0, 0.000531319187,
    0, 0.000165338142, 0, 0, 0, 0, 0, 0.00041791718, 0.00172908282, 0, 0.00208270058, 0, 0,
    8.82698276, 23.1924334, 0, 95.1080499, 0.986397803, 0.983438279, 0.0012286405, 171.266726,
    0.980785887, 0, 0, 0, 0.000513006459, 0, 0.000108540579,
)  # fmt: skip
"""In the order channel, scale, norm, (structure, invented, lost); libjxl, `ssimulacra2.cc`."""


class Ssimulacra2Loss(nn.Module):
    """What a picture lacks to SSIMULACRA2's 100, in hundredths; the mean of a batch.

    Sneyers, "SSIMULACRA 2", 2022 (the C++ of libjxl, which the weights are from, and PyPI's
    `ssimulacra2`). Structure, invented edges and lost detail are compared on up to six scales, in
    XYB; the worst parts of a picture count most. Pixel losses ask for the mean of all faces that
    are possible; this one asks for the detail of a face, but not at any price.

    Pictures below 256 pixels have fewer scales. The metric then reads its list of weights without
    a gap, so a face of 100 pixels is judged by other weights than one of 300. Faces in video are of
    all sizes: the loss is the mean over the weights of 4, 5 and 6 scales (64, 128 and 256 pixels).
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(_WEIGHTS))

    def distances(self, sr: Tensor, hr: Tensor) -> Tensor:
        """100 - SSIMULACRA2 `(N,)` of each pair of `(N, 3, H, W)` RGB images in [0, 1]."""
        found = self._found(sr, hr)
        return self._distance(found, scales=found.shape[1])

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Scalar loss of `(N, 3, H, W)` RGB images in [0, 1]."""
        found = self._found(sr, hr)
        every = [self._distance(found, scales) for scales in (4, 5, 6)]
        return torch.stack(every).mean() / 100

    def _found(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Differences `(N, scales, 3, 2, 3)`, see `_differences`."""
        with torch.autocast(sr.device.type, enabled=False):  # variances are small differences
            made, wanted = _linear(sr.float().clamp(0, 1)), _linear(hr.float())
            found: list[Tensor] = []
            while len(found) < _SCALES and min(made.shape[2:]) >= _LEAST:
                found.append(_differences(_xyb(made), _xyb(wanted)))
                made, wanted = _halved(made), _halved(wanted)
            return torch.stack(found, dim=1)

    def _distance(self, found: Tensor, scales: int) -> Tensor:
        """From differences to distances `(N,)`, with the weights of so many scales."""
        weights = self.weights[: 18 * scales].view(3, scales, 2, 3)
        weights = weights.permute(1, 3, 2, 0)  # as the differences: scale, kind, norm, channel
        both = min(scales, found.shape[1])
        total = (found[:, :both] * weights[:both]).sum(dim=(1, 2, 3, 4))
        factor, first, second, third = _POLYNOMIAL
        total = factor * total
        total = first * total + second * total**2 + third * total**3
        return 10 * total.clamp_min(1e-3) ** _POWER


def _linear(srgb: Tensor) -> Tensor:
    """Linear light of sRGB."""
    return torch.where(
        srgb <= 0.04045, srgb / 12.92, ((srgb.clamp_min(0.04) + 0.055) / 1.055) ** 2.4
    )


def _xyb(linear: Tensor) -> Tensor:
    """XYB, shifted so that all of it is above 0."""
    matrix = torch.tensor(_OPSIN, device=linear.device)
    mixed = torch.einsum("ij,njhw->nihw", matrix, linear) + _OPSIN_BIAS
    root = mixed ** (1 / 3) - _OPSIN_BIAS ** (1 / 3)
    red, green, blue = root.unbind(1)
    x, y = (red - green) / 2, (red + green) / 2
    return torch.stack([x * 14 + 0.42, y + 0.01, blue - y + 0.55], dim=1)


def _halved(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)


def _differences(made: Tensor, wanted: Tensor) -> Tensor:
    """`(N, 3, 2, 3)`: structure, invented edges and lost detail; norms 1 and 4; channels."""
    products = [made, wanted, made * made, wanted * wanted, made * wanted]
    blurred = _blur(torch.cat(products, dim=1))
    m1, m2, s11, s22, s12 = blurred.chunk(5, dim=1)
    luma = 1 - (m1 - m2).square()
    numerator = 2 * (s12 - m1 * m2) + _NOISE
    denominator = (s11 - m1 * m1) + (s22 - m2 * m2) + _NOISE
    structure = (1 - luma * numerator / denominator).clamp_min(0)
    edges = (1 + (made - m1).abs()) / (1 + (wanted - m2).abs()) - 1
    maps = torch.stack([structure, edges.clamp_min(0), (-edges).clamp_min(0)], dim=1)
    mean = maps.mean(dim=(3, 4))
    fourth = (maps**4).mean(dim=(3, 4)).clamp_min(1e-24) ** 0.25
    return torch.stack([mean, fourth], dim=2)


def _blur(image: Tensor) -> Tensor:
    """Gaussian blur as the package has it: mirrored above and below, zeros at the sides."""
    height, width = image.shape[2:]
    down = _kernel_matrix(height, True).to(image)
    across = _kernel_matrix(width, False).to(image)
    return down @ image @ across.T


@cache
def _kernel_matrix(size: int, mirrored: bool) -> Tensor:
    """`(size, size)`: row n holds the weights that make pixel n of a line."""
    weights = [math.exp(-0.5 * (n / _SIGMA) ** 2) for n in range(-_RADIUS, _RADIUS + 1)]
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for row in range(size):
        for offset, weight in enumerate(weights):
            column = row + offset - _RADIUS
            if mirrored:
                column %= 2 * size
                column = min(column, 2 * size - 1 - column)
            if 0 <= column < size:
                matrix[row, column] += weight / sum(weights)
    return matrix.float()
