"""From images and a VAE to the latents and the models that sample with a TIC-FT context."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ....methods import frames, tic_ft, tic_ft_tasks
from ....training.storage.numbers import require_finite
from ....training.tic_ft.layout import UNLABELLED_TASK
from ..model.experts import check_pair
from ..model.families import Family
from ..model.video_model import VideoModel, video_model
from .crop import CLEAN
from .known import check_vision, known_inputs
from .wrappers import Context

log = logging.getLogger(__name__)
AS_TRAINED = "as trained"  # without settings: the first of the others
ENCODINGS = ("separate", "joint")
TIMESTEPS = ("one for all frames", "one per frame")
BUFFER_STEPS = {"automatic": None, "exact": True, "no extra steps": False}  # the first is the default


@dataclass(frozen=True)
class ContextRequest:
    """What TICFTContext is asked for, in its widgets' terms."""

    task: str
    width: int  # pixels
    height: int  # pixels
    target_frames: int  # pixel frames
    condition_latents: int = -1  # -1: the settings', else the task's
    buffer_latents: int = -1
    buffer_levels: str = ""  # "": the settings', else evenly rising
    batch_size: int = 1
    resize: str = "crop"
    encoding: str = AS_TRAINED
    timesteps: str = AS_TRAINED
    settings: dict[str, Any] = field(default_factory=dict)  # TICFT_SETTINGS of a LoRA, or empty
    buffer_steps: str = next(iter(BUFFER_STEPS))


def build_context(
    video: VideoModel, vae: Any, images: list[Tensor], lengths: list[int], request: ContextRequest,
    clip_vision: Any = None,
) -> tuple[Context, dict[str, Any]]:  # fmt: skip
    """The context to put on models, and the LATENT to sample.

    Args:
        video: the MODEL; it is not changed.
        vae: host VAE.
        images: connected conditions in socket order, of each the first frames ``[T, H, W, C]`` in [0, 1] that can be
            used.
        lengths: how many frames each of them has.
        request: the rest.
        clip_vision: host CLIP vision model, for networks that take features of the first frame.

    Raises:
        ValueError: a number, an image or the model does not fit.
    """
    layout = checked_layout(video, vae, lengths, request, clip_vision)
    # Only the first frames were read, so whether the clips suit is asked of their true lengths.
    tic_ft_tasks.used_frames(request.task, lengths, layout.condition, layout.buffer, video.family.compression)
    return lay_out(video, vae, images, request, layout, clip_vision)


def checked_layout(
    video: VideoModel, vae: Any, lengths: list[int], request: ContextRequest, clip_vision: Any = None
) -> tic_ft.Layout:
    """The layout a request means for conditions of so many frames, everything but the images themselves checked.

    Raises:
        ValueError: a number or the model does not fit.
    """
    check_size(request.width, request.height, video.family)
    check_vae(vae, video)
    check_vision(clip_vision, video.family)
    layout = layout_of(request, lengths, video.family)
    _tell_difference(request, layout)
    return layout


def lay_out(
    video: VideoModel, vae: Any, images: list[Tensor], request: ContextRequest, layout: tic_ft.Layout,
    clip_vision: Any = None,
) -> tuple[Context, dict[str, Any]]:  # fmt: skip
    """As ``build_context``, in a layout that was checked before.

    Raises:
        ValueError: an image does not fit.
    """
    family = video.family
    images = [frames.resize(clip[..., :3].float(), request.width, request.height, request.resize) for clip in images]
    segments = tic_ft_tasks.arrange(request.task, images, layout.condition, layout.buffer, family.compression)
    clean = encode(vae, segments, _option(request.encoding, ENCODINGS, request.settings.get("joint_encoding")), family)
    latents = _empty(video.model, vae, request, layout)
    if clean is not None:
        latents[:, :, : layout.prefix] = clean
    place = {
        "condition": layout.condition,
        "buffer": layout.buffer,
        "target": layout.target,
        "levels": list(layout.levels),
        "compression": family.compression,
        "target_frames": request.target_frames,
    }
    timesteps = _option(request.timesteps, TIMESTEPS, request.settings.get("per_frame_timesteps"))
    per_frame = timesteps == TIMESTEPS[1]
    if per_frame and not family.per_frame_timesteps:
        raise ValueError(f"{family.name} takes one timestep for all frames; choose '{TIMESTEPS[0]}'")
    known = known_inputs(family, vae, clip_vision, segments, latents[:1], layout)
    extra_steps = BUFFER_STEPS[request.buffer_steps]
    context = Context(layout, latents[:1, :, : layout.prefix].clone(), per_frame, known, extra_steps)
    return context, {"samples": latents, "tic_ft": place, CLEAN: latents[:1, :, : layout.condition].clone()}


def put_on_experts(context: Context, video: VideoModel, model_2: Any | None) -> tuple[Any, Any]:
    """The MODEL and ``model_2`` with the context on them; without a second one, the first one twice.

    Raises:
        ValueError: the two models are of different families, or their LoRAs are swapped.
    """
    first = context.put_on(video.model)
    if model_2 is None:
        return first, first
    other = video_model(model_2)
    if video.family != other.family:
        raise ValueError(f"model is {video.base} and model_2 is {other.base}; connect two experts of the same family")
    check_pair(video.model, other.model)
    return first, context.put_on(other.model)


def layout_of(request: ContextRequest, lengths: list[int], family: Family) -> tic_ft.Layout:
    """The layout a request means: its own numbers first, then the settings', then the task's.

    Settings without a task are of a LoRA that says nothing; their counts hold for ``UNLABELLED_TASK`` alone.

    Raises:
        ValueError: the settings are of another task, or the target length does not fit.
    """
    settings = request.settings
    if settings.get("task", request.task) != request.task:
        raise ValueError(
            f"the LoRA was trained for '{settings['task']}', the task is '{request.task}'; "
            f"set the task to '{settings['task']}'"
        )
    if "task" not in settings and request.task != UNLABELLED_TASK:
        settings = {}
    patch = family.time_patch
    usual = tic_ft.rounded_up(tic_ft_tasks.TASKS[request.task].buffer, patch)
    buffer = _choose(request.buffer_latents, settings.get("buffer_latents"), usual)
    usual = tic_ft_tasks.usual_condition(request.task, lengths, buffer, family.compression)
    condition = _choose(request.condition_latents, settings.get("condition_latents"), tic_ft.rounded_up(usual, patch))
    target = _target_latents(request.target_frames, condition + buffer, family)
    levels = tic_ft.parse_levels(request.buffer_levels, buffer)
    trained = settings.get("buffer_levels")
    if not request.buffer_levels.strip() and trained and len(trained) == buffer:
        levels = tuple(trained)
    layout = tic_ft.Layout(condition, buffer, target, levels)
    tic_ft.check_patches(layout, patch)
    return layout


def encode(vae: Any, segments: list[Tensor], encoding: str, family: Family) -> Tensor | None:
    """Clean latents ``[1, C, L + B, H, W]`` of arranged clips, each encoded on its own, or all as one.

    On its own, no source shows through in the next one's latents.

    Raises:
        ValueError: the VAE gives values that are no numbers.
    """
    if not segments:
        return None
    clips = segments if encoding == "separate" else [tic_ft_tasks.join(segments, family.compression)]
    latents = torch.cat([vae.encode(clip) for clip in clips], dim=2)
    require_finite({"latents": latents}, "what the VAE has encoded", "run the VAE in bf16 or fp32")
    return latents


def check_size(width: int, height: int, family: Family) -> None:
    """Refuse sizes in pixels that the network cannot take.

    Raises:
        ValueError: width or height is no multiple of the patch.
    """
    for name, size in (("width", width), ("height", height)):
        if size % family.spatial:
            low = max(size // family.spatial, 1) * family.spatial
            raise ValueError(
                f"{name} {size} is no multiple of {family.spatial}, which {family.name} needs; "
                f"use {low} or {low + family.spatial}"
            )


def check_vae(vae: Any, video: VideoModel) -> None:
    """Refuse a VAE for single images, of another time compression or with other channels.

    Raises:
        ValueError: it is another model's.
    """
    family = video.family
    found = vae.temporal_compression_decode() if getattr(vae, "latent_dim", 2) == 3 else None
    if found != family.compression:
        kind = "an image VAE" if found is None else f"a VAE that packs {found} frames a latent"
        raise ValueError(
            f"{family.name} needs a video VAE that packs {family.compression} frames a latent, "
            f"this is {kind}; load the model's own VAE"
        )
    if vae.latent_channels != video.channels:
        raise ValueError(
            f"the VAE makes latents of {vae.latent_channels} channels, the model takes {video.channels}; "
            "load the model's own VAE"
        )


def _tell_difference(request: ContextRequest, layout: tic_ft.Layout) -> None:
    """Log it where size or length are not those of the training; a LoRA that says nothing has none."""
    trained = request.settings
    if "task" not in trained:
        return
    own = (trained.get("width", request.width), trained.get("height", request.height))
    target = trained.get("target_latents", layout.target)
    if (*own, target) != (request.width, request.height, layout.target):
        log.info(
            "the LoRA was trained at %dx%d with %d target latents, this is %dx%d with %d",
            *own, target, request.width, request.height, layout.target,
        )  # fmt: skip


def _option(chosen: str, options: tuple[str, str], trained: bool | None) -> str:
    """The chosen option; as trained means the second one where the LoRA's settings say so."""
    return options[bool(trained)] if chosen == AS_TRAINED else chosen


def _choose(given: int, trained: int | None, usual: int) -> int:
    if given >= 0:
        return given
    return usual if trained is None else int(trained)


def _target_latents(target_frames: int, prefix: int, family: Family) -> int:
    """Latents of the target; each holds ``compression`` frames, but 1 where nothing stands before it."""
    step = family.compression * family.time_patch
    least = step if prefix else tic_ft.pixel_frames(family.time_patch, family.compression)
    spare = (target_frames - least) % step
    if spare or target_frames < least:
        low = max(target_frames - spare, least)
        what = f"a multiple of {step}" + ("" if prefix else f" plus {least} (there is no condition)")
        raise ValueError(f"target_frames {target_frames} must be {what}; use {low} or {low + step}")
    return target_frames // family.compression if prefix else tic_ft.latent_frames(target_frames, family.compression)


def _empty(model: Any, vae: Any, request: ContextRequest, layout: tic_ft.Layout) -> Tensor:
    """Latents whose target frames are the model's zero, as the host's empty latents are."""
    import comfy.model_management

    spatial = vae.spacial_compression_encode()
    size = (request.height // spatial, request.width // spatial)
    shape = (request.batch_size, vae.latent_channels, layout.frames, *size)
    zeros = torch.zeros(shape, device=comfy.model_management.intermediate_device())
    # With a condition in it the host moves the whole latent into the model's space, and plain zeros
    # would not stay zero there; without one it leaves zeros alone.
    return model.model.process_latent_out(zeros) if layout.prefix else zeros
