"""TIC-FT training in the host: data and settings in, a LoRA run out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ...methods import tic_ft
from ...methods.flow import NoiseProcess
from ...training.config import TrainConfig
from ...training.encoding import EncodedDataset
from ...training.tic_ft import TicftObjective, TicftRecipe
from ...training.tic_ft_layout import check_channels, plan_layout, ticft_settings
from .context import ENCODINGS, check_places, check_size, latent_channels
from .families import trainable_family_of
from .lora_runs import LoraJob, TrainedLora, run_lora_job
from .noise import process_of, repaired
from .progress import encoding_progress
from .training import model_space


@dataclass(frozen=True)
class Order:
    """What TICFTTrain is asked for besides the optimiser's settings, in its widgets' terms."""

    task: str
    condition_latents: int = -1  # -1: the task's
    buffer_latents: int = -1  # -1: the task's
    run_name: str = ""  # "": from the task
    buffer_levels: str = ""  # "": evenly rising
    encoding: str = ENCODINGS[0]


def train_tic_ft(
    model: Any, encoded: EncodedDataset, config: TrainConfig, order: Order, validation: EncodedDataset | None = None
) -> tuple[TrainedLora, dict[str, Any]]:
    """Train a TIC-FT LoRA, or return the finished run of the same order; with its TICFT_SETTINGS.

    Raises:
        ValueError: the model, the data or the order does not fit.
    """
    family = trainable_family_of(model)
    if config.per_frame_timesteps and not family.per_frame_timesteps:
        raise ValueError(f"{family.name} takes no timestep per frame; switch per_frame_timesteps off")
    for data in (encoded, *(() if validation is None else (validation,))):
        check_size(data.dataset.width, data.dataset.height, family)
    model = repaired(model)
    counts = (order.condition_latents, order.buffer_latents, order.buffer_levels)
    layout = plan_layout(order.task, encoded.dataset, *counts, family.compression, family.time_patch)
    check_places(layout.frames, encoded.dataset.width, encoded.dataset.height, family)
    process = process_of(model)
    tic_ft.sigma_layout(layout, process)  # refuses what could not be sampled
    recipe = TicftRecipe(order.task, layout, order.encoding == ENCODINGS[1], family.compression, latent_channels(model))
    if validation is not None:
        _check_validation(validation, recipe, family.time_patch)
    settings = ticft_settings(order.task, layout, config.per_frame_timesteps, recipe.joint, encoded.dataset)

    def objective(data: EncodedDataset) -> TicftObjective:
        return make_objective(model, data, recipe, config)

    job = LoraJob(
        model=model,
        config=config,
        run_name=order.run_name.strip() or f"tic_ft_{order.task.replace(' ', '_')}",
        identity=_identity(settings, encoded, validation, recipe, process),
        make_objective=lambda: objective(encoded),
        make_validation=None if validation is None else lambda: objective(validation),
    )
    return run_lora_job(job), settings


def make_objective(model: Any, encoded: EncodedDataset, recipe: TicftRecipe, config: TrainConfig) -> TicftObjective:
    """Encode what the recipe asks for (or read it from the cache) and bring it into the model's space."""
    encoded_set = encoded.encode(recipe, encoding_progress())
    for sample in encoded_set.samples:  # those of the cache have not passed the recipe's own check
        check_channels(sample.latents["x0"], latent_channels(model))
    return TicftObjective(
        x0=[model_space(model, sample.latents["x0"]) for sample in encoded_set.samples],
        conditioning=[sample.conditioning["caption"] for sample in encoded_set.samples],
        unconditional=encoded_set.unconditional,
        recipe=recipe,
        config=config,
        dataset=encoded.dataset,
        process=process_of(model),
    )


def _identity(
    settings: dict[str, Any],
    encoded: EncodedDataset,
    validation: EncodedDataset | None,
    recipe: TicftRecipe,
    process: NoiseProcess,
) -> str:
    parts = [settings, encoded.key(recipe), None if validation is None else validation.key(recipe), *process.key]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_validation(validation: EncodedDataset, recipe: TicftRecipe, time_patch: int) -> None:
    layout = recipe.layout
    counts = (layout.condition, layout.buffer, "", recipe.compression, time_patch)
    own = plan_layout(recipe.task, validation.dataset, *counts)
    if own.target != layout.target:
        raise ValueError(
            f"the validation targets make {own.target} latents, the training targets {layout.target}; "
            "use clips of one length for both"
        )
