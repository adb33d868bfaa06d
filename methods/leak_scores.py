"""How much of a source clip's appearance is in a video that should look otherwise: what one-shot motion must not copy.

Both scores are ``of what the source has and the asked appearance has not, the share that the video has``. The asked
appearance is given by frames, such as the base model's video of the same prompt; without any, all of the source counts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .image_scores import PATCH, PLAIN, STRIDE, colour_histogram

OWN = 2.0  # a colour is the source's own if it has at least so many times the share of it that was asked for
PICTURES, FRAMES = 4, 8  # of source and asked appearance, and of the video, that are looked at, evenly spread
LEAST = 1e-3  # share of the picture; an appearance of which less is the source's own leaves nothing to leak


def appearance_leak(video: Tensor, source: Tensor, asked: Tensor | None = None) -> float:
    """Mean of ``colour_leak`` and ``texture_leak``, in [0, 1]; lower is better; 0: nothing is the source's own.

    Args:
        video: planes ``[T, 3, H, W]`` in [0, 1].
        source: planes of the clip whose motion was learned, of the same height and width.
        asked: planes of what the prompt asks for; None: nothing that the source has was asked for.

    Differs: the papers ask people, or compare CLIP embeddings (MotionDirector, arXiv 2310.08465); this needs no net.
    """
    return (colour_leak(video, source, asked) + texture_leak(video, source, asked)) / 2


def colour_leak(video: Tensor, source: Tensor, asked: Tensor | None = None) -> float:
    """``sum_own min(p, q) / sum_own p`` in [0, 1], p and q the shares of each colour in source and video.

    Own are the colours of which the source has at least twice as much as what was asked for.

    Source: histogram intersection, Swain and Ballard 1991, "Color indexing".
    """
    p, q = (colour_histogram(planes).mean(0) for planes in (source, video))
    own = torch.ones_like(p) if asked is None else (p >= OWN * colour_histogram(asked).mean(0)).to(p)
    total = float((own * p).sum())
    return float((own * torch.minimum(p, q)).sum()) / total if total > LEAST else 0.0


def texture_leak(video: Tensor, source: Tensor, asked: Tensor | None = None) -> float:
    """``sum_p max(0, d_asked(p) - 2 d_video(p)) / sum_p d_asked(p)`` in [0, 1] over the patches p of the source.

    d is the squared distance of a patch (8 x 8 pixels, every 4) to the nearest one, wherever that lies: what the asked
    appearance cannot explain of the source, and the share of it that a frame of the video can. The 2 keeps out patches
    that the video is nearer to by chance, with a third appearance. Without an asked one d_asked is the distance to the
    mean colour. The mean over frames of the video, each by the picture of the source it has most of.

    Source: the completeness term of Simakov et al. 2008, "Summarizing visual data using bidirectional similarity".
    """
    frames = _some(video, FRAMES)
    shares = []
    for picture in _some(source, PICTURES).split(1):
        patches = F.unfold(picture, PATCH, stride=STRIDE)[0].T  # patches, 3 x 8 x 8
        if asked is None:
            mean = picture.mean((2, 3))[0].repeat_interleave(PATCH**2)
            without = (patches - mean).square().sum(1)
        else:
            without = _nearest(patches, _some(asked, PICTURES)).amin(0)
        gained = (without - 2 * _nearest(patches, frames)).clamp(min=0).sum(1)  # frames
        floor = patches.numel() * PLAIN**2  # where little is the source's own, little is no large share of it
        shares.append(gained / (without.sum() + floor))
    return float(torch.stack(shares).amax(0).mean().clamp(0, 1))


def _nearest(patches: Tensor, frames: Tensor) -> Tensor:
    """Squared distance of each patch ``[P, 3 x 8 x 8]`` to the nearest patch of each frame, ``[T, P]``."""
    kernels = patches.reshape(-1, 3, PATCH, PATCH)
    energy = patches.square().sum(1)
    found = []
    for frame in frames.split(1):
        own = F.avg_pool2d(frame.square().sum(1, keepdim=True), PATCH, 1) * PATCH**2
        distance = energy.view(1, -1, 1, 1) + own - 2 * F.conv2d(frame, kernels)
        found.append(distance.flatten(2).amin(2)[0].clamp(min=0))
    return torch.stack(found)


def _some(planes: Tensor, most: int) -> Tensor:
    """At most so many frames, evenly spread."""
    return planes[torch.linspace(0, len(planes) - 1, min(len(planes), most)).round().long()]
