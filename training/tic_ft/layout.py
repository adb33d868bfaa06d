"""TIC-FT training: the layout a data set is trained in, and the settings a LoRA carries."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ...methods import tic_ft, tic_ft_tasks
from ...methods.tic_ft import Layout
from ..core.methods import TIC_FT
from ..data.clips import clip_length
from ..storage.json_text import parse_json
from .buckets import COMPRESSION, data_form
from .cuts import cut_frames

if TYPE_CHECKING:
    from ..data.dataset import Dataset

log = logging.getLogger(__name__)

UNLABELLED_TASK = "image to video"  # counts of settings without a task are this one's
# More than any network takes, and few enough that nothing is allocated which a machine has no room for.
MOST_LATENTS, MOST_TARGET, MOST_PIXELS, MOST_FPS, LONGEST_CAPTION = 256, 4096, 16384, 1000, 100_000
Check = Callable[[Any], bool]
OPTIONAL = ("width", "height", "fps", "buckets")  # LoRAs of earlier versions, or of one bucket, are without them


def ticft_settings(
    task: str,
    layout: Layout,
    per_frame_timesteps: bool = False,
    joint: bool = False,
    dataset: Dataset | None = None,
    layouts: Sequence[Layout] = (),
    compression: int = COMPRESSION,
) -> dict[str, Any]:
    """TICFT_SETTINGS: what sampling must do as training did. Counts are latent frames.

    With a data set also the width and height in pixels of its fullest bucket and its fps in frames a second; with
    several buckets a list of all of them, each with the target latents of its one of the ``layouts``.
    """
    form: dict[str, Any] = {}
    if dataset is not None:
        form = data_form(dataset, tuple(layouts) or (layout,), compression)
    return {
        "method": TIC_FT,
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
    if record.get("method") != json.dumps(TIC_FT):
        return None
    known = ticft_settings(UNLABELLED_TASK, Layout.linear(1, 3, 9))
    try:
        settings = {key: parse_json(record[key]) for key in (*known, *(key for key in OPTIONAL if key in record))}
    except (KeyError, ValueError) as error:
        raise ValueError(f"the LoRA's TIC-FT settings are damaged ({error}); train or copy it again") from error
    check_settings(settings)
    return settings


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse TICFT_SETTINGS that nothing could be sampled with, of a damaged or hostile file for one.

    Raises:
        ValueError: a value is of another kind, or beyond what any network takes.
    """
    for name, (check, wanted) in SETTINGS.items():
        if name in settings and not check(settings[name]):
            value = repr(settings[name])
            shown = value if len(value) <= 60 else f"{value[:57]}..."
            raise ValueError(
                f"the LoRA's TIC-FT settings say {name} {shown}, {wanted} is needed; train or copy the LoRA again"
            )


def _count_up_to(most: int, least: int = 0) -> tuple[Check, str]:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return check, f"a whole number from {least} to {most}"


def _is_levels(value: Any) -> bool:
    numbers = isinstance(value, (list, tuple)) and len(value) <= MOST_LATENTS
    return numbers and all(isinstance(level, (int, float)) and 0.0 < level < 1.0 for level in value)


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 < value <= MOST_FPS


SETTINGS: dict[str, tuple[Check, str]] = {
    "task": (lambda value: isinstance(value, str) and value in tic_ft_tasks.TASKS, "a task that this version knows"),
    "condition_latents": _count_up_to(MOST_LATENTS),
    "buffer_latents": _count_up_to(MOST_LATENTS),
    "target_latents": _count_up_to(MOST_TARGET, 1),
    "buffer_levels": (_is_levels, "a list of levels between 0 and 1"),
    "caption_template": (lambda value: isinstance(value, str) and len(value) <= LONGEST_CAPTION, "a text"),
    "per_frame_timesteps": (lambda value: isinstance(value, bool), "true or false"),
    "joint_encoding": (lambda value: isinstance(value, bool), "true or false"),
    "width": _count_up_to(MOST_PIXELS, 1),
    "height": _count_up_to(MOST_PIXELS, 1),
    "fps": (_is_rate, f"a rate above 0 and up to {MOST_FPS}"),
    "buckets": (lambda value: isinstance(value, list), "a list"),
}


def plan_layout(
    task: str,
    dataset: Dataset,
    condition: int = -1,
    buffer: int = -1,
    levels: str = "",
    compression: int = COMPRESSION,
    time_patch: int = 1,
) -> Layout:
    """``plan_layouts`` of a data set whose targets all have the same number of frames.

    Raises:
        ValueError: as ``plan_layouts``, or the targets differ in length.
    """
    lengths = sorted({clip_length(sample.target) for sample in dataset.samples})
    if len(lengths) > 1:
        found = ", ".join(map(str, lengths))
        raise ValueError(f"targets must have one length, got {found} frames; set `frames` of the data set")
    return plan_layouts(task, dataset, condition, buffer, levels, compression, time_patch)[0]


def plan_layouts(
    task: str,
    dataset: Dataset,
    condition: int = -1,
    buffer: int = -1,
    levels: str = "",
    compression: int = COMPRESSION,
    time_patch: int = 1,
) -> tuple[Layout, ...]:
    """The layouts a data set is trained in, that of the fullest bucket first.

    They have one condition and one buffer, the task's counts or the user's; each length of target has its own K.

    Args:
        task: A name in ``TASKS``.
        dataset: The clips.
        condition: Condition latents, -1 for the task's.
        buffer: Buffer latents, -1 for the task's.
        levels: Level of each buffer, rising, separated by commas; empty for evenly rising ones.
        compression: Pixel frames of a latent.
        time_patch: Latent frames of a patch of the network; the task's counts are rounded up to it.

    Raises:
        ValueError: no clips, a target that is too short, or conditions that are missing or do not suit the task.
    """
    if not dataset.samples:
        raise ValueError("the data set has no clips; training needs at least one, add clips to it")
    buffer = tic_ft.rounded_up(tic_ft_tasks.TASKS[task].buffer, time_patch) if buffer < 0 else buffer
    if condition < 0:
        lengths = [clip_length(clip) for sample in dataset.samples[:1] for clip in sample.conditions]
        usual = tic_ft_tasks.usual_condition(task, lengths, buffer, compression)
        condition = tic_ft.rounded_up(usual, time_patch)
    if condition + buffer:
        _need_conditions(task, dataset)
    parsed = tic_ft.parse_levels(levels, buffer)
    targets = (
        _target_latents(bucket.frames, bool(condition + buffer), compression, time_patch)
        for bucket in dataset.buckets()
    )
    layouts = tuple(Layout(condition, buffer, target, parsed) for target in dict.fromkeys(targets))
    tic_ft.check_patches(layouts[0], time_patch)
    for sentence in cut_frames(task, dataset, layouts, compression):
        log.info("%s", sentence)
    return layouts


def check_channels(latents: Tensor, channels: int) -> None:
    """Refuse latents ``[C, T, h, w]`` of another model's VAE.

    Raises:
        ValueError: C is not ``channels``.
    """
    if len(latents) != channels:
        raise ValueError(
            f"the VAE makes latents of {len(latents)} channels, the model takes {channels}; load the model's own VAE"
        )


def _target_latents(frames: int, behind: bool, compression: int, time_patch: int) -> int:
    """K of a target of so many pixel frames, ``behind`` a condition or at the start of the sequence."""
    target = frames // compression if behind else tic_ft.latent_frames(frames, compression)
    target -= target % time_patch
    if target < 1:
        least = compression * time_patch if behind else tic_ft.pixel_frames(time_patch, compression)
        raise ValueError(f"the targets have {frames} frames; TIC-FT needs at least {least}, load longer clips")
    return target


def _need_conditions(task: str, dataset: Dataset) -> None:
    for i, sample in enumerate(dataset.samples):
        if not sample.conditions:
            raise ValueError(
                f"'{task}' needs a condition for every clip, clip {i + 1} ({sample.name}) has none; "
                "add NAME.condition.<ext> beside it, or set condition_latents and buffer_latents to 0"
            )
