"""TIC-FT: train a LoRA on clip pairs, and load one with the settings it was trained with."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ..methods.tic_ft_tasks import TASKS
from ..training.core.config import TrainConfig
from ..training.runs.changes import REFUSE
from .host.model.loras import apply_lora, lora_names, lora_stamp, read_lora, ticft_settings_of
from .host.model.video_model import trainable_video_model
from .host.page.timeline import timeline_of_training
from .host.runs.opening import runs_stamp
from .host.services.workflow_metadata import workflow_metadata
from .host.trainers.tic_ft import ENCODINGS, TicftRequest, train_tic_ft
from .sockets import (
    Encoded,
    Node,
    TicftSettings,
    TrainSettings,
    fixed_seed,
    latent_counts,
    learning_rate,
    on_change,
    preview_vae,
)


class TICFTTrain(Node):
    """Trains in the graph, on the loaded model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TICFTTrain",
            display_name="TIC-FT Train",
            category="FewShot Video/TIC-FT",
            description=(
                "Trains a LoRA on pairs of condition and target clips, so that the model makes the target "
                "from the condition. It is saved below output/loras. A finished run is not repeated, an unfinished one "
                "of the same name goes on."
            ),
            search_aliases=["temporal in-context fine-tuning", "train lora", "few-shot"],
            is_output_node=True,
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="The video model to train on; it is not changed. Of LTX-2 the video stream alone, without "
                    "sound.",
                ),
                Encoded.Input("encoded", tooltip="Clip pairs with their encoders, from Encode Dataset."),
                io.Combo.Input(
                    "task",
                    options=list(TASKS),
                    default="image to video",
                    tooltip="What the condition is and how it fills the first latent frames.",
                ),
                io.Int.Input("rank", default=16, min=1, max=1024, tooltip="Rank of the LoRA (a count)."),
                learning_rate(),
                io.Int.Input("steps", default=1000, min=1, max=1000000, tooltip="Optimiser steps."),
                io.Int.Input("batch_size", default=1, min=1, max=256, tooltip="Clips of a step."),
                fixed_seed("noise, noise levels, clip order and the LoRA's start"),
                TrainSettings.Input("settings", optional=True, tooltip="Further settings, from Train Settings."),
                Encoded.Input(
                    "validation",
                    optional=True,
                    tooltip="Clip pairs that are not trained on; their loss is taken before and after.",
                ),
                *latent_counts(),
                io.String.Input(
                    "run_name",
                    default="",
                    optional=True,
                    tooltip="Name of the run and of its LoRA below output/loras. A run of this name that is not "
                    "finished goes on; empty: a new run, called after the task.",
                ),
                io.String.Input(
                    "buffer_levels",
                    default="",
                    optional=True,
                    tooltip="Noise level (sigma, 0 to 1) of each buffer, rising, like 0.25, 0.5, 0.75; empty: evenly.",
                ),
                io.Combo.Input(
                    "encoding",
                    options=list(ENCODINGS),
                    default=ENCODINGS[0],
                    optional=True,
                    tooltip="separate: each condition source is encoded alone. joint: as one clip with the target.",
                ),
                on_change(),
                preview_vae(),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            outputs=[
                io.LoraModel.Output("lora", tooltip="The LoRA, for Load LoRA Model and Save LoRA."),
                io.LossMap.Output("loss", tooltip="Loss of each step, for Plot Loss Graph."),
                io.Int.Output("steps_done", tooltip="Steps the LoRA was trained for."),
                io.String.Output("path", tooltip="Where the LoRA was saved."),
                TicftSettings.Output("ticft_settings", tooltip="Task and layout, for TIC-FT Context and Prompt."),
            ],
        )

    @classmethod
    def execute(
        cls, model, encoded, task, rank, learning_rate, steps, batch_size, seed, settings=None, validation=None,
        condition_latents=-1, buffer_latents=-1, run_name="", buffer_levels="", encoding=ENCODINGS[0],
        on_change=REFUSE, vae=None,
    ) -> io.NodeOutput:  # fmt: skip
        request = TicftRequest(task, condition_latents, buffer_latents, run_name, buffer_levels, encoding, on_change)
        config = replace(
            settings or TrainConfig(),
            rank=rank, learning_rate=learning_rate, steps=steps, batch_size=batch_size, seed=seed,
        )  # fmt: skip
        video, workflow = trainable_video_model(model), workflow_metadata(cls.hidden)
        trained, ticft = train_tic_ft(video, encoded, config, request, validation, vae, workflow)
        loss, path = {"loss": trained.losses}, str(trained.path)
        ui = {**trained.ui, **timeline_of_training(video.family, ticft)}
        return io.NodeOutput(trained.file, loss, trained.steps, path, ticft, ui=ui)

    @classmethod
    def fingerprint_inputs(cls, run_name: str | None = "", **_others) -> str:
        return runs_stamp((run_name or "").strip())


class TICFTLoadLoRA(Node):
    """The stock loader, plus the settings in the file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TICFTLoadLoRA",
            display_name="TIC-FT Load LoRA",
            category="FewShot Video/TIC-FT",
            description="Applies a LoRA and reads from it which task and layout it was trained for.",
            search_aliases=["temporal in-context", "load lora"],
            inputs=[
                io.Model.Input("model", tooltip="The model the LoRA was trained on."),
                io.Combo.Input("lora_name", options=lora_names(), tooltip="A .safetensors file of the loras folders."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip="How much of the LoRA is added: 0 none, 1 as trained. "
                    "The authors' scripts set 0.75 without saying so.",
                ),
            ],
            outputs=[
                io.Model.Output("model_out", display_name="model", tooltip="The model with the LoRA."),
                TicftSettings.Output("ticft_settings", tooltip="Task and layout, for TIC-FT Context and Prompt."),
            ],
        )

    @classmethod
    def execute(cls, model, lora_name: str, strength: float) -> io.NodeOutput:
        lora = read_lora(lora_name)
        return io.NodeOutput(apply_lora(model, lora, strength, lora_name), ticft_settings_of(lora, lora_name))

    @classmethod
    def fingerprint_inputs(cls, lora_name: str, **_others) -> str:
        return lora_stamp(lora_name)


NODES = [TICFTTrain, TICFTLoadLoRA]
