"""One-shot motion: the motion of one clip as a LoRA for a video model, and that LoRA for a part of the sampling."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.motion.objective import default_config
from ..training.runs.changes import REFUSE
from .host.model.loras import lora_names, lora_stamp, read_lora
from .host.model.video_model import trainable_video_model
from .host.sampling.motion import apply_motion
from .host.services.workflow_metadata import workflow_metadata
from .host.trainers.motion import train_motion
from .host.trainers.motion_settings import MotionRequest, stages_stamp
from .sockets import Encoded, Node, TrainSettings, fixed_seed, learning_rate, on_change, preview_vae

CATEGORY = "FewShot Video/motion"


class FewShotMotionTrain(Node):
    """Two runs in one node: the clip's appearance, then its motion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotMotionTrain",
            display_name="Motion Train",
            category=CATEGORY,
            description=(
                "Learns the motion of one clip, for other subjects and places. First a LoRA of the clip's appearance "
                "is trained on its single frames, then, on top of it, one of its motion; only that one is needed later."
            ),
            search_aliases=["one-shot motion", "tune-a-video", "motion lora", "motion director"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The model to train on (Wan, CogVideoX or LTX); it is not changed."),
                Encoded.Input("encoded", tooltip="The clip with its encoders, or several clips of one motion."),
                io.Int.Input("rank", default=32, min=1, max=1024, tooltip="Rank of both LoRAs (a count)."),
                learning_rate(tooltip="Size of a step of the optimiser (no unit), in both runs."),
                io.Int.Input("steps", default=500, min=1, max=1000000, tooltip="Optimiser steps of the motion run."),
                fixed_seed("noise, noise levels, frame order and the LoRAs' start"),
                TrainSettings.Input(
                    "settings",
                    optional=True,
                    tooltip="Further settings, from Train Settings. Without them high noise levels are preferred and "
                    "one caption in ten is left out.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=256,
                    optional=True,
                    tooltip="Clips or frames of a step (a count).",
                ),
                io.Int.Input(
                    "appearance_steps",
                    default=300,
                    min=0,
                    max=1000000,
                    optional=True,
                    tooltip="Optimiser steps of the first run, on single frames; 0 leaves it out.",
                ),
                io.String.Input(
                    "still_caption",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="What a single frame shows, without the motion: one line, or one a clip. Empty: the clip's "
                    "own caption.",
                ),
                io.Float.Input(
                    "debiased_weight",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.05,
                    optional=True,
                    tooltip="Weight of the loss on frames without what they share with one of them (a factor).",
                ),
                io.Float.Input(
                    "direction_weight",
                    default=0.1,
                    min=0.0,
                    max=100.0,
                    step=0.05,
                    optional=True,
                    tooltip="Weight of the loss on the direction in which frames change (a factor).",
                ),
                io.Int.Input(
                    "sparse_latents",
                    default=0,
                    min=0,
                    max=256,
                    optional=True,
                    tooltip="Of a long clip at most so many latent frames a step, evenly spaced, with their own "
                    "position ids; 0: all of them. Not for CogVideoX 1.5 and image to video.",
                ),
                io.Boolean.Input(
                    "classic",
                    default=False,
                    optional=True,
                    tooltip="As Tune-A-Video: queries alone, the plain loss, all noise levels alike, no first run.",
                ),
                io.String.Input(
                    "run_name",
                    default="",
                    optional=True,
                    tooltip="Name of the runs, to which _appearance and _motion are added, and of the LoRAs below "
                    "output/loras. Runs of this name that are not finished go on; empty: new runs.",
                ),
                on_change("a run"),
                preview_vae(),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            outputs=[
                io.LoraModel.Output("motion", tooltip="The LoRA of the motion, for Motion Apply and Load LoRA Model."),
                io.LoraModel.Output("appearance", tooltip="The LoRA of the appearance; empty where it was left out."),
                io.LossMap.Output("loss", tooltip="Loss of each step of the motion run, for Plot Loss Graph."),
                io.Int.Output("steps_done", tooltip="Steps the motion LoRA was trained for."),
                io.String.Output("path", tooltip="Where the motion LoRA was saved."),
            ],
        )

    @classmethod
    def execute(
        cls, model, encoded, rank, learning_rate, steps, seed, settings=None, batch_size=None,
        appearance_steps=MotionRequest.appearance_steps, still_caption="",
        debiased_weight=MotionRequest.debiased_weight, direction_weight=MotionRequest.direction_weight,
        sparse_latents=0, classic=False, run_name="", on_change=REFUSE, vae=None,
    ) -> io.NodeOutput:  # fmt: skip
        request = MotionRequest(
            classic, appearance_steps, debiased_weight, direction_weight, sparse_latents, still_caption,
            run_name, on_change,
        )  # fmt: skip
        config = (settings or default_config(classic)).with_inputs(
            rank=rank, learning_rate=learning_rate, steps=steps, seed=seed, batch_size=batch_size
        )
        video, workflow = trainable_video_model(model), workflow_metadata(cls.hidden)
        trained, appearance = train_motion(video, encoded, config, request, vae, workflow)
        loss = {"loss": trained.losses}
        return io.NodeOutput(trained.file, appearance, loss, trained.steps, str(trained.path), ui=trained.ui)

    @classmethod
    def fingerprint_inputs(cls, run_name: str | None = "", **_others) -> str:
        return stages_stamp(run_name or "")


class FewShotMotionApply(Node):
    """A LoRA for a part of the sampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotMotionApply",
            display_name="Motion Apply",
            category=CATEGORY,
            description=(
                "Puts a LoRA on a model for a part of the sampling. Motion is decided at high noise, so the first half "
                "often suffices and leaves the appearance to the prompt. Any LoRA of a video model will do."
            ),
            search_aliases=["lora schedule", "scheduled lora", "motion lora", "lora hook"],
            inputs=[
                io.Model.Input("model", tooltip="The model the LoRA was trained on."),
                io.LoraModel.Input("lora", tooltip="From Motion Train or Motion Load; any LoRA of the model will do."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip="How much of the LoRA is added (a factor): 0 none, 1 as trained.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="From which point of the sampling on it acts (a share, 0 to 1).",
                ),
                io.Float.Input(
                    "end_percent",
                    default=0.6,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Up to which point of the sampling it acts (a share, 0 to 1).",
                ),
            ],
            outputs=[io.Model.Output("model_out", display_name="model", tooltip="The model, for any sampler.")],
        )

    @classmethod
    def execute(cls, model, lora, strength: float, start_percent: float, end_percent: float) -> io.NodeOutput:
        return io.NodeOutput(apply_motion(model, lora, strength, start_percent, end_percent))


class FewShotMotionLoad(Node):
    """A LoRA file as data: the host's loaders put it on a model at once."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotMotionLoad",
            display_name="Motion Load",
            category=CATEGORY,
            description="Reads a LoRA file for Motion Apply, or for any node that takes a LORA_MODEL.",
            search_aliases=["load lora", "motion lora"],
            inputs=[
                io.Combo.Input("lora_name", options=lora_names(), tooltip="A .safetensors file of the loras folders.")
            ],
            outputs=[io.LoraModel.Output("lora", tooltip="To Motion Apply.")],
        )

    @classmethod
    def execute(cls, lora_name: str) -> io.NodeOutput:
        return io.NodeOutput(read_lora(lora_name))

    @classmethod
    def fingerprint_inputs(cls, lora_name: str) -> str:
        return lora_stamp(lora_name)


NODES = [FewShotMotionTrain, FewShotMotionLoad, FewShotMotionApply]
