"""What the fuzzer connects to nodes that is not made up call by call: models, data sets and what belongs to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import nan
from typing import Any

from torch import Tensor

WORLDS = ("pairs", "actions", "image")  # a call mostly gets things of one: a model, and clips and tuning that fit it


@cache
def things(world: str) -> dict[str, list[Any]]:
    """Objects of the host and of the pack by socket type, made once; a node changes none of them."""
    import tiny_vae
    from comfy.samplers import ksampler

    from pack.nodes.host.model.toy import load_clip
    from pack.training.core.config import TrainConfig

    shared = {
        "CLIP": [load_clip()],
        "SAMPLER": [ksampler(name) for name in ("euler", "dpmpp_2m", "dpmpp_sde", "lcm")],
        "VAE": [tiny_vae.tiny_vae()],
        "FEWSHOT_TRAIN_SETTINGS": [TrainConfig(), TrainConfig(accumulation=2), TrainConfig(ema_decay=0.9)],
    }
    own = _image() if world == "image" else _video(world)
    return {**shared, **own, "FEWSHOT_DATASET": [handle.dataset for handle in own["FEWSHOT_ENCODED"]]}


def usual_world(node: str) -> str:
    """The world that a node is for."""
    return "actions" if "AICL" in node else "image" if "TuneAVideo" in node else "pairs"


def _video(world: str) -> dict[str, list[Any]]:
    import aicl_runs
    import tiny_aicl
    from clip_pairs import encoded_pairs

    pairs = [encoded_pairs(frames=8), encoded_pairs(frames=9, clips=2)]
    return {
        "MODEL": [tiny_aicl.model_of("Wan 2.1")],
        "FEWSHOT_ENCODED": pairs if world == "pairs" else [aicl_runs.clips_of()],
        "AICL_ADAPTER": [tiny_aicl.host_adapter("Wan 2.1")],
        "AICL_ACTION": [tiny_aicl.action_of("Wan 2.1")],
    }


def _image() -> dict[str, list[Any]]:
    import tiny_unet
    import tuned_models
    import tuning_clips

    unet = tiny_unet.fresh_unet()
    encoded = [tuning_clips.encoded_clips(), tuning_clips.encoded_clips(frames=3)]
    return {"MODEL": [unet], "FEWSHOT_ENCODED": encoded, "TUNE_A_VIDEO": [tuned_models.tuned_of(unet)]}


@cache
def strangers() -> dict[str, list[Any]]:
    """Things that fit none of the worlds, and those of all of them: what arrives where something else is meant."""
    import tiny_aicl
    import tiny_vae
    from clip_pairs import encoded_pairs

    from pack.training.core.config import TrainConfig

    (tuned,) = things("image")["TUNE_A_VIDEO"]
    damages = (Tensor.flatten, lambda value: value * nan, lambda value: value[:0], lambda value: value.long())
    odd: dict[str, list[Any]] = {
        "MODEL": [tiny_aicl.model_of("CogVideoX 5B")],
        "VAE": [tiny_vae.tiny_ltxv_vae()],
        "FEWSHOT_ENCODED": [encoded_pairs(frames=9, conditions=0, clips=1)],
        "FEWSHOT_TRAIN_SETTINGS": [TrainConfig(target_modules="nothing"), TrainConfig(warmup_steps=9)],
        "TUNE_A_VIDEO": [_damaged(tuned, part, damage) for part in ("temporal", "queries") for damage in damages],
    }
    for world in WORLDS:
        for kind, values in things(world).items():
            odd.setdefault(kind, []).extend(values)
    return odd


def _damaged(tuned: Any, part: str, damage: Callable[[Tensor], Tensor]) -> Any:
    """What was tuned with a damage to all of its temporal weights or queries."""
    return replace(tuned, **{part: {name: damage(value) for name, value in getattr(tuned, part).items()}})
