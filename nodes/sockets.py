"""The pack's own socket types, and inputs that several nodes share, declared once."""

from __future__ import annotations

from comfy_api.latest import io

Dataset = io.Custom("FEWSHOT_DATASET")
Encoded = io.Custom("FEWSHOT_ENCODED")
TrainSettings = io.Custom("FEWSHOT_TRAIN_SETTINGS")
TicftSettings = io.Custom("TICFT_SETTINGS")
TuneAVideo = io.Custom("TUNE_A_VIDEO")
AiclAdapter = io.Custom("AICL_ADAPTER")
AiclAction = io.Custom("AICL_ACTION")


def latent_counts() -> list[io.Input]:
    """``condition_latents`` and ``buffer_latents`` of training and its plan, to be unpacked into a schema."""
    counts = {
        "condition_latents": "Clean latent frames at the start",
        "buffer_latents": "Buffer latent frames behind them",
    }
    return [
        io.Int.Input(
            name, default=-1, min=-1, max=256, optional=True, tooltip=f"{what}; -1 for the task's, 0 for none."
        )
        for name, what in counts.items()
    ]
