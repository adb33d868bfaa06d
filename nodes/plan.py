"""Will it fit? A plan of the memory and time that a training run takes, before step 0."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ..methods.tic_ft_tasks import TASKS
from ..training.config import TrainConfig
from .host.plan import PlanOrder, plan_training
from .sockets import Encoded, TrainSettings, latent_counts


class FewShotTrainingPlan(io.ComfyNode):
    """Measures small steps on the loaded model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotTrainingPlan",
            display_name="Training Plan",
            category="FewShot Video/training",
            description=(
                "Says before a run whether it fits into memory and how long a step takes: it measures small "
                "steps on the real model, extrapolates to the asked size, and gives the first settings that fit."
            ),
            search_aliases=["vram", "out of memory", "gradient checkpointing", "estimate"],
            inputs=[
                io.Model.Input("model", tooltip="The video model to train on; it is not changed."),
                Encoded.Input("encoded", tooltip="Clip pairs with their encoders; the largest clip is encoded."),
                io.Int.Input("rank", default=16, min=1, max=1024, tooltip="Rank of the LoRA (a count)."),
                io.Int.Input("batch_size", default=1, min=1, max=256, tooltip="Clips of a step."),
                TrainSettings.Input("settings", optional=True, tooltip="Further settings, from Train Settings."),
                io.Combo.Input(
                    "task",
                    options=list(TASKS),
                    default="image to video",
                    optional=True,
                    tooltip="What TIC-FT Train is set to: it decides how many latent frames the condition takes.",
                ),
                *latent_counts(),
            ],
            outputs=[
                io.String.Output("report", tooltip="The plan: memory in GiB and seconds a step of each way."),
                TrainSettings.Output(
                    "planned_settings",
                    display_name="settings",
                    tooltip="The settings with the first checkpointing that fits, for a Train node.",
                ),
            ],
        )

    @classmethod
    def execute(cls, model, encoded, rank: int, batch_size: int, settings=None, **order) -> io.NodeOutput:
        config = replace(settings or TrainConfig(), rank=rank, batch_size=batch_size)
        order.setdefault("task", "image to video")
        return io.NodeOutput(*plan_training(model, encoded, config, PlanOrder(**order)))


NODES = [FewShotTrainingPlan]
