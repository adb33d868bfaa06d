"""Scores of a generated clip: alone, against a reference clip, and against the condition it was made from. No net.

``score`` computes all of ``metrics.METRICS`` that the inputs allow. Pictures are compared at a short side of at
most 256 pixels, motion and colours at 128, the condition's patches at 64; a clip is read in pieces and never
copied at its full size, so that 81 frames of 480 x 832 pixels need little more memory than they have already.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from . import image_scores, leak_scores, motion_scores
from .frames import resize
from .metrics import METRICS
from .optical_flow import Motion, clip_motion

PICTURE, MOTION, FOUND = 256, 128, 64  # short sides at most, pixels
SMALLEST = 16  # short side of the video at least, pixels
PIECE = 8  # frames that are worked on at once
MOST_CONDITIONS = 4  # pictures of a condition that are looked at


def score(
    video: Tensor, reference: Tensor | None = None, condition: Tensor | None = None, asked: Tensor | None = None
) -> dict[str, float]:
    """All metrics that the inputs and their lengths allow: finite numbers by name, in the order of ``METRICS``.

    Args:
        video: ``[T, H, W, C]`` in [0, 1], C of 3 or more (alpha is dropped).
        reference: a clip that is compared frame by frame. One of another size is cropped and resized to that of
            the video; of unequal lengths the first ``min(T)`` frames are compared, see ``compared_frames``.
        condition: a picture, or several of which up to four, evenly spread, are looked at; resized likewise.
            Each frame counts by the picture of which it keeps most.
        asked: frames of what the prompt asks for, resized likewise, for ``appearance_leak``: what they share with the
            reference is no leak. Without them all of the reference counts.

    Raises:
        ValueError: an input is no clip, the video is smaller than 16 pixels, or there are NaN or infinity.
    """
    _check(video, "video", SMALLEST)
    height, width = video.shape[1:3]
    clip = planes(video, "video", width, height)
    small = shrink(clip, MOTION)
    motion = clip_motion(small) if len(clip) > 1 else None
    out = _alone(clip, small, motion)
    if condition is not None:
        _check(condition, "condition")
        picks = torch.linspace(0, len(condition) - 1, min(len(condition), MOST_CONDITIONS)).round().long()
        out |= _against_condition(small, planes(condition[picks.tolist()], "condition", width, height).to(clip))
    if reference is not None:
        _check(reference, "reference")
        other = planes(reference[: len(clip)], "reference", width, height).to(clip)
        out |= _against_reference(clip[: len(other)], small[: len(other)], motion, other)
        if asked is not None:
            _check(asked, "asked appearance")
            asked = shrink(planes(asked, "asked appearance", width, height).to(clip), FOUND)
        out["appearance_leak"] = leak_scores.appearance_leak(shrink(small, FOUND), shrink(other, FOUND), asked)
    return {name: out[name] for name in (*METRICS, "compared_frames") if name in out}


def frame_consistency(planes: Tensor) -> tuple[float, float]:
    """Cosine of frames ``[T, 3, H, W]`` without the clip's mean colour, in [-1, 1]; higher is better.

    Of neighbouring frames, and of all pairs of frames. A frozen clip has 1: read it beside ``dynamic_degree``.

    Source: frame consistency of Tune-A-Video, arXiv 2212.11565, section 5.
    Differs: of pixels instead of CLIP features, so it needs no net, and motion lowers it too.
    """
    alike = cosines(planes)
    row, column = torch.triu_indices(len(alike), len(alike), 1)
    return float(alike.diagonal(1).mean()), float(alike[row, column].mean())


def cosines(planes: Tensor) -> Tensor:
    """Cosine of each frame ``[T, 3, H, W]`` with each, ``[T, T]``, see ``frame_consistency``."""
    flat = (planes - planes.mean((0, 2, 3), keepdim=True)).flatten(1)
    products = flat @ flat.T / flat.shape[1]
    length = products.diagonal().clamp(min=0).sqrt()
    return image_scores.cosine(products, length[:, None], length[None])


def flicker(planes: Tensor) -> float:
    """Mean absolute change from frame to frame, ``mean |x_t+1 - x_t|`` in [0, 1]; lower is better.

    Motion counts too, so compare clips of like motion. VBench's temporal flickering is 1 minus this.
    """
    return float(changes(planes).mean())


def changes(planes: Tensor) -> Tensor:
    """Mean absolute change from each frame ``[T, 3, H, W]`` to the next, ``[T - 1]``."""
    return torch.stack([(b - a).abs().mean() for a, b in pairwise(planes)])


def jerk(planes: Tensor) -> float:
    """Mean absolute second difference, ``mean |x_t+1 - 2 x_t + x_t-1|`` in [0, 2]; lower is smoother."""
    triples = zip(planes[:-2], planes[1:-1], planes[2:], strict=True)
    return float(torch.stack([(a - 2 * b + c).abs().mean() for a, b, c in triples]).mean())


def _alone(clip: Tensor, small: Tensor, motion: Motion | None) -> dict[str, float]:
    """What the video alone is enough for."""
    if motion is None:
        return {}
    neighbours, pairs = frame_consistency(clip)
    out = {"frame_consistency": neighbours, "frame_consistency_all_pairs": pairs, "flicker": flicker(clip)}
    out["dynamic_degree"] = motion_scores.dynamic_degree(motion)
    out["warping_error"] = motion_scores.warping_error(small, motion)
    return out | ({"jerk": jerk(clip)} if len(clip) > 2 else {})


def _against_condition(small: Tensor, pictures: Tensor) -> dict[str, float]:
    """How much each frame keeps of the condition's patches and of its colours, of the best picture."""
    pictures = shrink(pictures, MOTION)
    agree = image_scores.colour_agreement
    colours = [torch.cat([agree(piece, p) for piece in small.split(PIECE)]) for p in pictures.split(1)]
    best = patches_kept(small, pictures), torch.stack(colours).amax(0)
    return {
        name: float(kept.mean()) for name, kept in zip(("condition_fidelity", "condition_colour"), best, strict=True)
    }


def patches_kept(small: Tensor, pictures: Tensor) -> Tensor:
    """Share of the condition's patches that each frame keeps, of the best picture, ``[T]``."""
    frames, tiny = shrink(small, FOUND), shrink(pictures, FOUND)
    return torch.stack([image_scores.patches_found(frames, picture) for picture in tiny.split(1)]).amax(0)


def _against_reference(clip: Tensor, small: Tensor, motion: Motion | None, other: Tensor) -> dict[str, float]:
    """What compares frame by frame; all clips have the same length, but the motion may be that of a longer one."""
    small_other = shrink(other, MOTION)
    out: dict[str, float] = {
        "ssim": float(each(image_scores.ssim, clip, other).mean()),
        "psnr": image_scores.psnr(float(each(lambda a, b: (a - b).square().mean((1, 2, 3)), clip, other).mean())),
        "colour_agreement": float(each(image_scores.colour_agreement, small, small_other).mean()),
        "edge_agreement": float(each(image_scores.edge_agreement, clip, other).mean()),
        "compared_frames": len(clip),
    }
    if motion is not None and len(other) > 1:
        first, second = motion[: len(clip) - 1], clip_motion(small_other)
        compare = motion_scores.flow_agreement, motion_scores.flow_error, motion_scores.trajectory_agreement
        out |= {function.__name__: function(first, second) for function in compare}
    return out | ({"self_similarity": motion_scores.self_similarity(small, small_other)} if len(clip) > 2 else {})


def each(function: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor) -> Tensor:
    """A score of each pair of pictures ``[T]``, in pieces so that memory stays small."""
    pieces = zip(first.split(PIECE), second.split(PIECE), strict=True)
    return torch.cat([function(a, b) for a, b in pieces])


def _check(frames: Tensor, name: str, smallest: int = 1) -> None:
    """Refuse what is no clip."""
    if frames.ndim != 4 or frames.shape[-1] < 3 or not len(frames) or min(frames.shape[1:3]) < smallest:
        raise ValueError(
            f"the {name} has shape {list(frames.shape)}; connect an IMAGE batch [frames, height, width, 3]"
            + (f" of at least {smallest} x {smallest} pixels" if smallest > 1 else "")
        )


def planes(frames: Tensor, name: str, width: int, height: int) -> Tensor:
    """Planes ``[T, 3, h, w]`` of frames fitted into ``width`` x ``height``, then shrunk to ``PICTURE``."""
    pieces = []
    for piece in frames[..., :3].split(PIECE):
        if not piece.isfinite().all():
            raise ValueError(f"the {name} holds NaN or infinity instead of colours; look at the step that made it")
        fitted = resize(piece.float().clamp(0, 1), width, height)
        pieces.append(shrink(fitted.movedim(-1, 1), PICTURE))  # T H W C -> T C H W
    return torch.cat(pieces)


def shrink(planes: Tensor, short: int) -> Tensor:
    """Planes ``[T, 3, H, W]`` with a short side of at most ``short`` pixels, not enlarged."""
    height, width = planes.shape[-2:]
    scale = short / min(height, width)
    if scale >= 1:
        return planes
    size = max(short, round(width * scale)), max(short, round(height * scale))
    return resize(planes.movedim(1, -1), *size, "stretch").movedim(-1, 1)
