"""TIC-FT training: the layout a data set is trained in, and the settings a LoRA carries."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..methods import tic_ft, tic_ft_tasks
from ..methods.tic_ft import Layout

if TYPE_CHECKING:
    from .dataset import Dataset

log = logging.getLogger(__name__)

METHOD = "tic_ft"
COMPRESSION = 4  # pixel frames a latent after the first stands for
UNLABELLED_TASK = "image to video"  # counts of settings without a task are this one's
OPTIONAL = ("width", "height", "fps")  # LoRAs of earlier versions are without them


def ticft_settings(
    task: str,
    layout: Layout,
    per_frame_timesteps: bool = False,
    joint: bool = False,
    dataset: Dataset | None = None,
) -> dict[str, Any]:
    """TICFT_SETTINGS: what sampling must do as training did. Counts are latent frames.

    With a data set also its width and height in pixels and its fps in frames a second.
    """
    form = {} if dataset is None else {name: getattr(dataset, name) for name in OPTIONAL}
    return {
        "method": METHOD,
        "task": task,
        "condition_latents": layout.condition,
        "buffer_latents": layout.buffer,
        "target_latents": layout.target,
        "buffer_levels": list(layout.levels),
        "caption_template": tic_ft_tasks.TASKS[task].caption,
        "per_frame_timesteps": per_frame_timesteps,
        "joint_encoding": joint,
        **form,
    }


def unlabelled_settings() -> dict[str, Any]:
    """TICFT_SETTINGS for a LoRA that says nothing: 1+3+9 latents, and neither a task nor a caption form."""
    settings = ticft_settings(UNLABELLED_TASK, Layout.linear(1, 3, 9))
    return {key: value for key, value in settings.items() if key not in ("task", "caption_template")}


def settings_from_record(record: Mapping[str, str]) -> dict[str, Any] | None:
    """TICFT_SETTINGS of a LoRA file's record, or None where the file was not made by TIC-FT.

    Raises:
        ValueError: the record is damaged.
    """
    if record.get("method") != json.dumps(METHOD):
        return None
    known = ticft_settings(UNLABELLED_TASK, Layout.linear(1, 3, 9))
    try:
        return {key: json.loads(record[key]) for key in (*known, *(key for key in OPTIONAL if key in record))}
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"the LoRA's TIC-FT settings are damaged ({error}); train or copy it again") from error


def plan_layout(
    task: str,
    dataset: Dataset,
    condition: int = -1,
    buffer: int = -1,
    levels: str = "",
    compression: int = COMPRESSION,
    time_patch: int = 1,
) -> Layout:
    """The layout a data set is trained in: the task's counts (or the user's), targets as long as the clips.

    Args:
        task: A name in ``TASKS``.
        dataset: Its targets must all have the same number of frames.
        condition: Condition latents, -1 for the task's.
        buffer: Buffer latents, -1 for the task's.
        levels: Level of each buffer, rising, separated by commas; empty for evenly rising ones.
        compression: Pixel frames of a latent.
        time_patch: Latent frames of a patch of the network; the task's counts are rounded up to it.

    Raises:
        ValueError: no clips, targets of different or too small length, or conditions missing.
    """
    buffer = tic_ft.rounded_up(tic_ft_tasks.TASKS[task].buffer, time_patch) if buffer < 0 else buffer
    if condition < 0:
        lengths = [_length(clip) for sample in dataset.samples[:1] for clip in sample.conditions]
        usual = tic_ft_tasks.usual_condition(task, lengths, buffer, compression)
        condition = tic_ft.rounded_up(usual, time_patch)
    if condition + buffer:
        _need_conditions(task, dataset)
    frames = _target_length(dataset)
    target = frames // compression if condition + buffer else tic_ft.latent_frames(frames, compression)
    target -= target % time_patch
    if target < 1:
        least = compression * time_patch if condition + buffer else tic_ft.pixel_frames(time_patch, compression)
        raise ValueError(f"the targets have {frames} frames; TIC-FT needs at least {least}, load longer clips")
    layout = Layout(condition, buffer, target, tic_ft.parse_levels(levels, buffer))
    tic_ft.check_patches(layout, time_patch)
    trimmed = frames - target_frames(layout, compression)
    if trimmed:
        log.info("the last %d of %d target frames are left out: %d latents hold the rest", trimmed, frames, target)
    return layout


def target_frames(layout: Layout, compression: int = COMPRESSION) -> int:
    """Pixel frames of the target: 4K behind a condition, ``1 + 4(K - 1)`` without one."""
    return compression * layout.target if layout.prefix else tic_ft.pixel_frames(layout.target, compression)


def check_channels(latents: Tensor, channels: int) -> None:
    """Refuse latents ``[C, T, h, w]`` of another model's VAE.

    Raises:
        ValueError: C is not ``channels``.
    """
    if len(latents) != channels:
        raise ValueError(
            f"the VAE makes latents of {len(latents)} channels, the model takes {channels}; load the model's own VAE"
        )


def check_latents(x0: Sequence[Tensor], layout: Layout) -> None:
    """Refuse an empty set, mixed shapes and a wrong number of frames.

    Raises:
        ValueError: as said.
    """
    shapes = {tuple(latents.shape) for latents in x0}
    if len(shapes) != 1:
        found = ", ".join(map(str, sorted(shapes))) or "none"
        raise ValueError(f"clips must share one latent shape [C, T, H, W], got {found}; use clips of one size")
    frames = next(iter(shapes))[1]
    if frames != layout.frames:
        raise ValueError(
            f"the encoded clips have {frames} latent frames, the layout needs {layout.frames} "
            f"({layout.condition}+{layout.buffer}+{layout.target}); use the VAE of the model"
        )


def _need_conditions(task: str, dataset: Dataset) -> None:
    for i, sample in enumerate(dataset.samples):
        if not sample.conditions:
            raise ValueError(
                f"'{task}' needs a condition for every clip, clip {i + 1} ({sample.name}) has none; "
                "add NAME.condition.<ext> beside it, or set condition_latents and buffer_latents to 0"
            )


def _target_length(dataset: Dataset) -> int:
    """Frames that all targets have."""
    lengths = {_length(sample.target) for sample in dataset.samples}
    if len(lengths) != 1:
        found = ", ".join(map(str, sorted(lengths))) or "no clips"
        raise ValueError(f"targets must have one length, got {found} frames; set `frames` of the data set")
    return lengths.pop()


def _length(clip: Any) -> int:
    """Frames of a clip; a file clip knows without decoding."""
    count = getattr(clip, "count", None)
    return count if isinstance(count, int) else len(clip.frames())
