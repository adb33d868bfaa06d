"""What a long video is asked to be, and what that means: its windows, its rate, and what each window is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ....methods import tic_ft
from ....training.data.dataset import FPS
from ....training.tic_ft.key_windows import KeyedVideo, possible_lengths
from ....training.tic_ft.windows import LongVideo
from ..model.families import Family
from ..model.video_model import VideoModel
from ..services.images import connected_frames
from .context import ContextRequest, checked_layout
from .long_source import ClipConditions, ClipSource, Conditions, KeyConditions, StillConditions

USUAL = {"video to video": 6, "image to video": 9, "keyframes": 6}  # target latents of a window, as tasks are trained


@dataclass(frozen=True)
class LongRequest:
    """What TICFTLongVideo is asked for, in its widgets' terms."""

    context: ContextRequest  # target_frames are a window's; 0: as trained, or the task's
    frames: int = 0  # of the whole video; 0: as the source
    fps: float = 0.0  # frames a second; 0: the LoRA's, else the source's
    overlap: int = 2  # latents
    filename: str = "long_video"
    start_frame: int = -1  # frames that are there already; -1: what the LATENT to go on from says


@dataclass(frozen=True)
class Planned:
    """A request with nothing left open."""

    request: LongRequest
    plan: LongVideo
    conditions: Conditions
    fps: float  # frames a second


def plan_long_video(video: VideoModel, vae: Any, source: Any, request: LongRequest, clip_vision: Any) -> Planned:
    """Open the source and lay out the windows.

    Raises:
        ValueError: a number, the source or the model does not fit.
    """
    asked, family = request.context, video.family
    if asked.task not in USUAL:
        raise ValueError(f"'{asked.task}' does not go on from window to window; choose one of {', '.join(USUAL)}")
    wanted = request.fps or asked.settings.get("fps")
    request = replace(request, context=replace(asked, target_frames=_window_frames(asked, family)))
    if asked.task == "video to video":
        return _of_clip(video, vae, ClipSource(source, wanted, (asked.width, asked.height), asked.resize), request,
                        wanted, clip_vision)  # fmt: skip
    images = connected_frames(source)
    layout = checked_layout(video, vae, [len(images)], request.context, clip_vision)
    plan = _plan(request, request.frames or request.context.target_frames, layout, family)
    if asked.task == "keyframes":
        plan = _keyed(plan, request, images, family)
        conditions: Conditions = KeyConditions(images, plan)
    else:
        conditions = StillConditions(_single(images), plan)
    return Planned(replace(request, frames=plan.frames), plan, conditions, wanted or FPS)


def _of_clip(
    video: VideoModel, vae: Any, clip: ClipSource, request: LongRequest, wanted: float | None, clip_vision: Any
) -> Planned:
    layout = checked_layout(video, vae, [clip.count], request.context, clip_vision)
    plan = _plan(request, min(request.frames or clip.count, clip.count), layout, video.family)
    fps = wanted or clip.fps or FPS
    return Planned(replace(request, frames=plan.frames), plan, ClipConditions(clip, plan), fps)


def _plan(request: LongRequest, frames: int, layout: tic_ft.Layout, family: Family) -> LongVideo:
    plan, patch = LongVideo(frames, layout, request.overlap, family.compression), family.time_patch
    if not layout.prefix:
        raise ValueError("a long video needs a condition in every window; set condition_latents above 0, or to -1")
    if request.overlap % patch:
        raise ValueError(
            f"this model takes latent frames {patch} at a time, overlap_latents is {request.overlap}; "
            f"use {tic_ft.rounded_up(request.overlap, patch)}"
        )
    return plan


def _window_frames(asked: ContextRequest, family: Family) -> int:
    """Target frames of a window: those asked for, else the LoRA's, else the task's."""
    latents = int(asked.settings.get("target_latents", 0)) or tic_ft.rounded_up(USUAL[asked.task], family.time_patch)
    return asked.target_frames or family.compression * latents


def _keyed(plan: LongVideo, request: LongRequest, images: Tensor, family: Family) -> LongVideo:
    """The same with windows between the key frames; without a number of frames the keys are as close as in training.

    Raises:
        ValueError: no windows can be laid between them.
    """
    keys, patch = len(images), family.time_patch
    if keys < 2:
        return plan
    frames = request.frames or next(iter(possible_lengths(plan, keys, patch)), plan.frames)
    return KeyedVideo(frames, plan.layout, plan.overlap, plan.compression, keys, patch)


def _single(images: Tensor) -> Tensor:
    if len(images) != 1:
        raise ValueError(f"'image to video' got {len(images)} frames as its source; connect one image")
    return images
