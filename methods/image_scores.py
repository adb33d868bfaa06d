"""Scores of pictures against pictures: SSIM, PSNR, colours, edges, and patches found again. No net.

Pictures are planes ``[T, 3, H, W]`` in [0, 1], RGB; a score is one number a picture, ``[T]``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5  # Gaussian window of SSIM, pixels
C1, C2 = 0.01**2, 0.03**2  # constants of SSIM for values in [0, 1]
HIGHEST_PSNR = 100.0  # dB; equal pictures would have infinitely many, which JSON cannot say
BINS = 8  # colour bins a channel
PATCH, STRIDE = 8, 4  # pixels
PLAIN = 0.05  # contrast added to that of a picture, so that a plain one has some
QUIET = 1e-4  # root mean square below which a signal is taken for none
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def gaussian_blur(planes: Tensor, size: int, sigma: float) -> Tensor:
    """Blur ``[N, C, H, W]`` with a Gaussian of ``size`` taps; ``size - 1`` pixels are lost in each direction.

    Summed tap by tap: torch's convolution of single planes is ten times slower on a CPU.
    """
    taps = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-(taps**2) / (2 * sigma**2))
    values = (weights / weights.sum()).tolist()
    for dim in (-1, -2):
        length = planes.shape[dim] - size + 1
        out = planes.narrow(dim, 0, length) * values[0]
        for i, value in enumerate(values[1:], 1):
            out.add_(planes.narrow(dim, i, length), alpha=value)
        planes = out
    return planes


def cosine(product: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Cosine of two signals from their mean product and their root mean squares, in [-1, 1].

    Two signals below ``QUIET`` agree (1); one below it and one above do not (0).
    """
    quiet, other = first <= QUIET, second <= QUIET
    value = product / (first * second).clamp(min=QUIET**2)
    return torch.where(quiet | other, (quiet & other).to(value), value.clamp(-1, 1))


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation over the last dimension, in [-1, 1]; constant signals as in ``cosine``."""
    first, second = (x - x.mean(-1, keepdim=True) for x in (first, second))
    return cosine((first * second).mean(-1), *(x.square().mean(-1).sqrt() for x in (first, second)))


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity ``[T]`` in [-1, 1], 1 for equal pictures; higher is better.

    ``(2 ma mb + C1)(2 sab + C2) / ((ma^2 + mb^2 + C1)(sa^2 + sb^2 + C2))`` with means m, variances s^2 and
    covariance sab in an 11 x 11 Gaussian window (sigma 1.5), averaged over all whole windows.

    Source: Wang et al. 2004, IEEE Transactions on Image Processing 13(4), equation 13.
    Differs: the mean over R, G and B instead of the luma, so that equally bright colours are told apart.
    """
    moments = torch.cat([first, second, first * first, second * second, first * second], 1)
    ma, mb, aa, bb, ab = gaussian_blur(moments, WINDOW, SIGMA).chunk(5, 1)
    luminance = (2 * ma * mb + C1) / (ma * ma + mb * mb + C1)
    spread = (aa - ma * ma).clamp(min=0) + (bb - mb * mb).clamp(min=0)
    structure = (2 * (ab - ma * mb) + C2) / (spread + C2)
    return (luminance * structure).mean((1, 2, 3)).clamp(-1, 1)


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio ``-10 log10(mse)`` of values in [0, 1], dB in [0, 100]; higher is better.

    ``error`` is the mean square over all frames: a mean over decibels would follow the frames nearly equal.
    """
    return float((-10.0 * torch.tensor(max(error, 1e-30)).log10()).clamp(0.0, HIGHEST_PSNR))


def colour_histogram(planes: Tensor) -> Tensor:
    """Share of the pixels that has each of 8 x 8 x 8 colours, ``[T, 512]``.

    A pixel is shared between the bins around its colour, so a small change of colour is a small change here.
    """
    position = planes.flatten(2) * (BINS - 1)  # T 3 N
    low = position.floor().clamp(max=BINS - 2)
    share = torch.stack([1 - (position - low), position - low])  # lower and upper bin of each channel
    out = planes.new_zeros(len(planes), BINS**3)
    for corner in range(8):
        bits = [(corner >> channel) & 1 for channel in range(3)]
        index = sum((low[:, c].long() + bit) * BINS**c for c, bit in enumerate(bits))
        out.scatter_add_(1, torch.as_tensor(index), share[bits[0], :, 0] * share[bits[1], :, 1] * share[bits[2], :, 2])
    return out / position.shape[-1]


def colour_agreement(first: Tensor, second: Tensor) -> Tensor:
    """Share of the pixels whose colours both pictures have, wherever they are: ``sum min(p, q)``, ``[T]`` in [0, 1].

    Higher is better. An object of a wrong colour costs as much as the area it covers.

    Source: Swain and Ballard 1991, "Color indexing".
    """
    return torch.minimum(colour_histogram(first), colour_histogram(second)).sum(1).clamp(0, 1)


def edges(planes: Tensor) -> Tensor:
    """Length of the Sobel gradient of the luma, ``[T, H - 2, W - 2]``."""
    luma = (planes * planes.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    across = planes.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return torch.hypot(*F.conv2d(luma, torch.stack([across, across.T])[:, None]).unbind(1))


def edge_agreement(first: Tensor, second: Tensor) -> Tensor:
    """Correlation of two pictures' edges, ``[T]`` in [-1, 1], 0 for unrelated ones; higher is better.

    Contrast and which side is brighter do not matter, so that a clip in another style can score high.
    """
    return correlation(edges(first).flatten(1), edges(second).flatten(1))


def patches_found(frames: Tensor, picture: Tensor) -> Tensor:
    """How much of a picture is found again in each frame, wherever it has moved to, ``[T]`` in [0, 1].

    ``1 - sum_p min_q |p - q|^2 / sum_p (|p - mean|^2 + plain)`` over the patches p of the picture (8 x 8 pixels,
    every 4) and all patches q of the frame: the share of the picture's variance that the frame's patches explain.
    An object may move; if it changes colour its share is lost, and with a changed background all is.

    Args:
        frames: ``[T, 3, H, W]``.
        picture: ``[1, 3, H, W]``.

    Source: the completeness term of Simakov et al. 2008, "Summarizing visual data using bidirectional similarity".
    Differs: divided by the picture's own variance, so that 0 is a plain frame of its mean colour.
    """
    mean = picture.mean((2, 3), keepdim=True)
    patches = F.unfold(picture - mean, PATCH, stride=STRIDE)[0].T  # patches, 3 x 8 x 8
    kernels = patches.reshape(-1, 3, PATCH, PATCH)
    energy = patches.square().sum(1)
    total = energy.sum() + energy.numel() * patches.shape[1] * PLAIN**2
    lost = []
    for frame in (frames - mean).split(1):
        own = F.avg_pool2d(frame.square().sum(1, keepdim=True), PATCH, 1) * PATCH**2
        distance = energy.view(1, -1, 1, 1) + own - 2 * F.conv2d(frame, kernels)
        lost.append(distance.flatten(2).amin(2).clamp(min=0).sum())
    return (1 - torch.stack(lost) / total).clamp(0, 1)
