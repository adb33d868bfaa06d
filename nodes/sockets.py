"""The pack's own socket types, declared once."""

from __future__ import annotations

from comfy_api.latest import io

Dataset = io.Custom("FEWSHOT_DATASET")
Encoded = io.Custom("FEWSHOT_ENCODED")
TrainSettings = io.Custom("FEWSHOT_TRAIN_SETTINGS")
TicftSettings = io.Custom("TICFT_SETTINGS")
TuneAVideo = io.Custom("TUNE_A_VIDEO")
AiclAdapter = io.Custom("AICL_ADAPTER")
AiclAction = io.Custom("AICL_ACTION")
