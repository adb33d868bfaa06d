"""Goals, and the settings that are a good start for each; a preset says all that it chose."""

from __future__ import annotations

from typing import Any

from .config import TrainConfig

CUSTOM = "custom"
# Ours. The authors' own settings for large runs are in docs/training.md; nobody has compared these on a large model.
PRESETS: dict[str, dict[str, Any]] = {
    CUSTOM: {},
    "character, 12 pairs": {
        "rank": 32, "learning_rate": 1e-4, "steps": 1200, "warmup_steps": 50, "ema_decay": 0.99,
        "density": "logit_normal", "caption_dropout": 0.1, "target_modules": "attention",
    },
    "style transfer": {
        "rank": 32, "learning_rate": 1e-4, "steps": 2000, "warmup_steps": 100, "lr_schedule": "cosine",
        "ema_decay": 0.99, "density": "uniform", "caption_dropout": 0.1, "target_modules": "attention, feed-forward",
    },
    "one-shot motion": {
        "rank": 16, "learning_rate": 2e-4, "steps": 400, "warmup_steps": 20, "density": "high_noise",
        "caption_dropout": 0.0, "target_modules": "attention",
    },
    "quick try": {"rank": 8, "learning_rate": 5e-4, "steps": 100, "density": "uniform", "target_modules": "attention"},
}  # fmt: skip
ON_TRAINER = ("rank", "learning_rate", "steps")  # inputs of the Train nodes


def with_preset(config: TrainConfig, preset: str) -> TrainConfig:
    """The settings with what a preset chooses put over them.

    Raises:
        ValueError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return TrainConfig.from_dict({**config.to_dict(), **PRESETS[preset]})


def summary_of(config: TrainConfig, preset: str) -> str:
    """What is chosen, one line each: what the preset chose first, then what differs from the defaults otherwise."""
    defaults, values = TrainConfig().to_dict(), config.to_dict()
    chosen = PRESETS[preset]
    lines = [f'preset "{preset}":'] if chosen else []
    for name in chosen:
        lines.append(f"{name} {values[name]}{' (on the Train node: wire this output)' * (name in ON_TRAINER)}")
    others = [f"{name} {values[name]}" for name in values if name not in chosen and values[name] != defaults[name]]
    if others:
        lines += ["besides, set here:" if chosen else "not as by default:", *others]
    return "\n".join(lines) or "the defaults"
