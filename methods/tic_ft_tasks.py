"""The five tasks of TIC-FT as data, and how a task's condition images fill its latent frames.

Source: arXiv 2506.00996, appendix A.5 (frame layouts) and section 4 (captions).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .tic_ft import latent_frames, pixel_frames


@dataclass(frozen=True)
class Task:
    """One task: its default counts, what it reads, and the caption it is trained with."""

    name: str
    condition: int  # L, latent frames
    buffer: int  # B, latent frames
    reads: str  # one of "image", "clip", "images", "clip and image", "anything"
    caption: str  # with {condition} and {target}
    condition_text: str  # stands for {condition} when the user gives none


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "image to video",
            1,
            3,
            "image",
            "An image comes to life. [CONDITION] {condition} [VIDEO] {target}",
            "a still image",
        ),
        Task(
            "video to video",
            4,
            3,
            "clip",
            "A video is shown again in another style. [CONDITION] {condition} [VIDEO] {target}",
            "the first video",
        ),
        Task(
            "keyframes",
            4,
            3,
            "images",
            "Key frames become a video. [CONDITION] {condition} [VIDEO] {target}",
            "key frames in order",
        ),
        Task(
            "multiple images",
            4,
            3,
            "images",
            "Several images are combined in a video. [CONDITION] {condition} [VIDEO] {target}",
            "the images to combine",
        ),
        Task(
            "action transfer",
            7,
            0,
            "clip and image",
            "The action of a video is done again in a new scene. [CONDITION] {condition} [VIDEO] {target}",
            "the action, then the new scene",
        ),
        Task("custom", 1, 3, "anything", "[CONDITION] {condition} [VIDEO] {target}", "the condition"),
    )
}


def caption(task: str, condition_text: str, target_text: str, template: str | None = None) -> str:
    """The whole caption of a task; a target text that has a ``[VIDEO]`` tag already is left alone.

    ``template`` (with ``{condition}`` and ``{target}``) stands in for the task's own.
    """
    if "[VIDEO]" in target_text:
        return target_text
    kind = TASKS[task]
    text = (template or kind.caption).replace("{condition}", condition_text.strip() or kind.condition_text)
    return " ".join(text.replace("{target}", target_text.strip()).split())


def usual_condition(task: str, lengths: list[int], buffer: int, compression: int = 4) -> int:
    """Condition latents a task has when the user names none.

    Those of the task; for ``custom`` what its clips of ``lengths`` pixel frames fill besides the buffers.
    """
    if task != "custom":
        return TASKS[task].condition
    return max(1, sum(latent_frames(length, compression) for length in lengths) - buffer)


@dataclass(frozen=True)
class Places:
    """Where a task's conditions come from, for the sentences that ask for others."""

    one: str
    two: str
    many: str


SOCKETS = Places("`condition`", "`condition_2`", "to `condition` (a batch, or one a socket)")
FILES = Places(
    "NAME.condition.<ext>", "NAME.condition_2.<ext>", "as a folder NAME.condition, or as NAME.condition.<ext> and so on"
)


def arrange(
    task: str, images: list[Tensor], condition: int, buffer: int, compression: int = 4, places: Places = SOCKETS
) -> list[Tensor]:
    """Spread a task's condition images over its first L + B latent frames.

    Args:
        task: a name in ``TASKS``.
        images: what is connected, in order, each ``[T, H, W, C]`` with T >= 1 frames of one size.
        condition: L, latent frames.
        buffer: B, latent frames; they take the last source's content.
        compression: pixel frames a later latent frame stands for.
        places: what a sentence is to call the conditions.

    Returns:
        Clips to encode one by one, each of ``1 + compression (n_i - 1)`` frames, the n_i adding up
        to L + B. Shorter clips go on with their last frame, longer ones lose their end.

    Raises:
        ValueError: the number of images does not suit the task.
    """
    if condition + buffer == 0:
        return []
    shares = _shares(task, [len(image) for image in images], condition, buffer, compression, places)
    if TASKS[task].reads == "images":
        images = [image[None] for source in images for image in source]
    return [fit_frames(clip, pixel_frames(share, compression)) for clip, share in zip(images, shares, strict=True)]


def used_frames(
    task: str, lengths: list[int], condition: int, buffer: int, compression: int = 4, places: Places = SOCKETS
) -> list[int]:
    """Frames, from the start, that ``arrange`` uses of each source; ``lengths`` are what the sources have.

    Raises:
        ValueError: as ``arrange``.
    """
    if condition + buffer == 0:
        return [0] * len(lengths)
    shares = _shares(task, lengths, condition, buffer, compression, places)
    if TASKS[task].reads == "images":
        return lengths
    return [min(length, pixel_frames(share, compression)) for length, share in zip(lengths, shares, strict=True)]


def join(segments: list[Tensor], compression: int = 4) -> Tensor:
    """One clip of ``1 + compression (L + B - 1)`` frames from separately arranged ones.

    In a joint sequence a later segment stands for ``compression`` frames a latent, so it is shown
    ``compression - 1`` frames longer, on its first frame.
    """
    parts = [segments[0]] + [
        torch.cat([clip[:1].expand(compression - 1, *clip.shape[1:]), clip]) for clip in segments[1:]
    ]
    return torch.cat(parts)


def fit_frames(clip: Tensor, frames: int) -> Tensor:
    """``clip [T, H, W, C]`` cut, or continued with its last frame, to ``frames`` frames."""
    if len(clip) >= frames:
        return clip[:frames]
    return torch.cat([clip, clip[-1:].expand(frames - len(clip), *clip.shape[1:])])


def _shares(task: str, lengths: list[int], condition: int, buffer: int, compression: int, places: Places) -> list[int]:
    """Latents that each clip, or each image of a task of images, fills."""
    total, reads = condition + buffer, TASKS[task].reads
    if not lengths:
        raise ValueError(f"'{task}' got no condition; {_wanted(reads, places)}, or set both counts to 0")
    if reads == "image":
        _need(task, lengths == [1], lengths, places)
        return [total]
    if reads == "clip":
        _need(task, len(lengths) == 1 and lengths[0] > 1, lengths, places)
        return [total]
    if reads == "clip and image":
        _need(task, len(lengths) == 2 and lengths[1] == 1 and condition > 1, lengths, places)
        return [condition - 1, 1 + buffer]
    if reads == "images":
        return _image_shares(task, sum(lengths), condition, buffer)
    return _custom_shares(lengths, total, compression)


def _image_shares(task: str, count: int, condition: int, buffer: int) -> list[int]:
    """Latents a source gets: the last one 1 + B, the others the remaining L - 1, earlier ones more.

    So two images over 4 + 3 latents get 3 and 4, as in the paper, and every image has a clean latent.
    """
    most = max(condition, 1)
    if count > most:
        raise ValueError(
            f"'{task}' got {count} images for {condition} condition latents and each needs one of its own; "
            f"pick up to {most} frame{'s' if most != 1 else ''}"
        )
    if count == 1:
        return [condition + buffer]
    share, extra = divmod(condition - 1, count - 1)
    return [share + (i < extra) for i in range(count - 1)] + [1 + buffer]


def _custom_shares(lengths: list[int], total: int, compression: int) -> list[int]:
    """Latents of clips as they come, the last one continued to fill what is left."""
    shares = [1 + (length - 1) // compression for length in lengths]
    if sum(shares) > total:
        raise ValueError(
            f"'custom' got conditions of {sum(shares)} latents for {total} condition and buffer latents; "
            "raise condition_latents or shorten the clips"
        )
    return [*shares[:-1], shares[-1] + total - sum(shares)]


def _wanted(reads: str, places: Places) -> str:
    verb, at = ("connect", "to") if places == SOCKETS else ("give", "as")
    return (
        f"{verb} "
        + {
            "image": f"one image {at} {places.one}",
            "clip": f"one clip of at least 2 frames {at} {places.one}",
            "clip and image": f"a clip {at} {places.one} and the first frame of the new scene {at} {places.two} "
            "(2 condition latents or more)",
            "images": f"images {places.many}",
            "anything": "at least one image or clip",
        }[reads]
    )


def _need(task: str, fits: bool, lengths: list[int], places: Places) -> None:
    if not fits:
        got = ", ".join(f"{length} frame{'s' if length != 1 else ''}" for length in lengths)
        wanted = _wanted(TASKS[task].reads, places)
        raise ValueError(f"'{task}' got {len(lengths)} condition(s) with {got}; {wanted}")
