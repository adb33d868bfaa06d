"""The five tasks on the toy model: their clips, sockets and words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ToyTask:
    """What differs between the task workflows."""

    name: str  # of the file
    task: str
    kind: str  # of the toy clips
    conditions: tuple[str, ...]  # outputs of Dataset Item = sockets of TIC-FT Context
    target_frames: int
    teaches: str  # plain words
    reads: str  # plain words
    detail: str = "coarse"  # of the toy model


TASKS = (
    ToyTask(
        "tic_ft_image_to_video_toy",
        "image to video",
        "image to video",
        ("condition",),
        36,
        "A still of an object becomes a video in which it moves as the caption says.",
        "one image",
        "fine",
    ),
    ToyTask(
        "tic_ft_video_to_video_toy",
        "video to video",
        "style transfer",
        ("condition",),
        24,
        "A video is shown again as a blueprint, a look that the toy model has never seen.",
        "a clip, of which the first 25 frames are read",
    ),
    ToyTask(
        "tic_ft_keyframes_toy",
        "keyframes",
        "keyframes",
        ("condition",),
        24,
        "Four key frames become the video that runs through them.",
        "a batch of up to four images, or one image a socket",
    ),
    ToyTask(
        "tic_ft_multiple_images_toy",
        "multiple images",
        "two images",
        ("condition", "condition_2"),
        24,
        "An object from one image moves on the background of another.",
        "one image a socket, here the object and the background",
    ),
    ToyTask(
        "tic_ft_action_transfer_toy",
        "action transfer",
        "action transfer",
        ("condition", "condition_2"),
        24,
        "The motion of one video is done again by another object in another scene.",
        "the action as a clip of 21 frames, then the first frame of the new scene",
    ),
)
