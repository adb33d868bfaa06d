"""What training plans are made for: the largest clip of small data sets, for each method."""

from __future__ import annotations

from typing import Any

import tiny_aicl
import tiny_families
import tiny_unet
import torch
from aicl_runs import clips_of, small_presets
from motion_runs import one_clip
from training_steps import CHANNELS
from tuning_clips import encoded_clips

from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.plan.memory_profile import LargestClip
from pack.nodes.host.plan.subjects import AICL, MOTION, TUNE_A_VIDEO, PlanRequest, Subject, asked_settings, subject_of

WIDE = 256  # pixels: latents of 32 x 32


def clip_of(family: Any, frames: int = 12, size: int = 16) -> LargestClip:
    """Latents of a family behind a prefix of four."""
    x0 = torch.randn(CHANNELS.get(family.name, 16), frames, size, size, generator=torch.Generator().manual_seed(0))
    kept = (
        {} if family.name == "LTX-2.3" else getattr(family, "kept", {})
    )  # without the flag a text is past the connectors
    more = {"attention_mask": torch.ones(8, dtype=torch.long)} if family.name == "LTXV" else kept
    process = video_model(tiny_families.model_of(family.name)).process
    return LargestClip(
        x0, {"cross_attn": torch.randn(8, family.text_dim), **more}, 4, (family.time_patch, 2, 2), process
    )


def subject(method: str, model: Any, encoded: Any, rank: int = 8, **order: Any) -> Subject:
    with small_presets():
        config = asked_settings(method, None, rank, 1)
        return subject_of(model, encoded, config, PlanRequest(method, **order), rank)


def motion(name: str) -> Subject:
    return subject(MOTION, tiny_families.model_of(name), one_clip(49, width=128, height=128))


def aicl(name: str) -> Subject:
    return subject(AICL, tiny_aicl.model_of(name), clips_of(name, clips=1, frames=49, size=128))


def tune_a_video(_name: str) -> Subject:
    return subject(TUNE_A_VIDEO, tiny_unet.tiny_unet(), encoded_clips(16, width=WIDE), rank=0, frames=16)
