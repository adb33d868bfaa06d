"""What the timeline of a TIC-FT node shows of its last run, as a ``ui`` output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..model.families import Family
from ..model.video_model import VideoModel
from ..sampling.context import ContextRequest
from ..services.keys import TIMELINE_KEY


def timeline_of_context(
    video: VideoModel, lengths: list[int], request: ContextRequest, latent: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Layout that TICFTContext has made, the frames of its conditions, and what its LoRA was trained in."""
    run = {"task": request.task, "time_patch": video.family.time_patch, "lengths": lengths}
    return _told({**run, **latent["tic_ft"], "fps": request.settings.get("fps"), "trained": _trained(request.settings)})


def timeline_of_training(family: Family, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Layout that TICFTTrain has trained in, of the fullest bucket."""
    run = {"compression": family.compression, "time_patch": family.time_patch, "fps": settings.get("fps")}
    return _told({**run, **_trained(settings)})


def _trained(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Task, counts and levels of TICFT_SETTINGS, in the timeline's words."""
    names = {"task": "task", "levels": "buffer_levels"}
    names |= {part: f"{part}_latents" for part in ("condition", "buffer", "target")}
    return {name: settings[key] for name, key in names.items() if key in settings}


def _told(run: Mapping[str, Any]) -> dict[str, list[str]]:
    # A text: the host's list of jobs counts objects as files that were made.
    return {TIMELINE_KEY: [json.dumps(run)]}
