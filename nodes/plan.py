"""Will it fit? A plan of the memory and time that a training run takes, before step 0."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..methods.aicl import PRESETS
from ..methods.tic_ft_tasks import TASKS
from .host.plan.plan import plan_training
from .host.plan.subjects import METHODS, TIC_FT, PlanRequest
from .host.services.node_text import show_text
from .sockets import Encoded, Node, TrainSettings, latent_counts


class FewShotTrainingPlan(Node):
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
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The model to train on; it is not changed."),
                Encoded.Input("encoded", tooltip="Clips with their encoders; the largest clip is encoded."),
                io.Int.Input(
                    "rank",
                    default=16,
                    min=0,
                    max=1024,
                    tooltip="Rank of the LoRA (a count); 0: whole weights, in Tune-A-Video. AICL has none.",
                ),
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
                *_method_inputs(),
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
    def execute(
        cls, model, encoded, rank, batch_size, settings=None, task="image to video", condition_latents=-1,
        buffer_latents=-1, method=TIC_FT, sparse_latents=0, size="small", max_references=3, frames=24,
    ) -> io.NodeOutput:  # fmt: skip
        request = PlanRequest(
            method, task, condition_latents, buffer_latents, sparse_latents, size, max_references, frames
        )
        report, planned = plan_training(model, encoded, settings, rank, batch_size, request)
        show_text(report.partition("\n")[0])  # Preview as Text has the rest
        return io.NodeOutput(report, planned, ui=ui.PreviewText(report))


def _method_inputs() -> list[io.Input]:
    """The method, and what of each decides the size of a step."""
    return [
        io.Combo.Input(
            "method",
            options=list(METHODS),
            default=TIC_FT,
            optional=True,
            tooltip="Whose Train node the plan is for.",
        ),
        io.Int.Input(
            "sparse_latents",
            default=0,
            min=0,
            max=256,
            optional=True,
            tooltip="What Motion Train is set to: latent frames of a step; 0: all of them.",
        ),
        io.Combo.Input(
            "size",
            options=list(PRESETS),
            default="small",
            optional=True,
            tooltip="What AICL Train is set to: the size of the adapter.",
        ),
        io.Int.Input(
            "max_references",
            default=3,
            min=1,
            max=16,
            optional=True,
            tooltip="What AICL Train is set to: references of a clip in a step (a count).",
        ),
        io.Int.Input(
            "frames",
            default=24,
            min=0,
            max=4096,
            optional=True,
            tooltip="What Tune-A-Video Train is set to: frames of a step; 0: all.",
        ),
    ]


NODES = [FewShotTrainingPlan]
