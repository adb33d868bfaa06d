"""Tune-A-Video: tune an image model on the motion of one clip."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ..methods.tune_a_video import GROUP_NORMS, PER_FRAME
from ..training.runs.changes import REFUSE
from ..training.tune_a_video import presets
from ..training.tune_a_video.objective import PUBLISHED
from ..training.tune_a_video.recipe import FIXED, WINDOWS, FrameWindow
from .host.model.image_model import trainable_image_model
from .host.runs.opening import runs_stamp
from .host.services.workflow_metadata import workflow_metadata
from .host.session.clip import Form
from .host.trainers.tune_a_video import TuningRequest, train_tune_a_video
from .sockets import (
    Encoded,
    Node,
    TrainSettings,
    TuneAVideo,
    fixed_seed,
    learning_rate,
    on_change,
    preview_vae,
    tuning_preset,
)  # fmt: skip


class TuneAVideoTrain(Node):
    """Tunes in the graph, on the loaded model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TuneAVideoTrain",
            display_name="Tune-A-Video Train",
            category="FewShot Video/Tune-A-Video",
            description=(
                "Tunes Stable Diffusion 1.x or 2.x on one clip and its caption, so that it makes clips with that "
                "motion. What was tuned is saved below output/tune_a_video. A finished run is not repeated, an "
                "unfinished one of the same name goes on."
            ),
            search_aliases=["one-shot video", "motion tuning", "few-shot"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The image model to tune, Stable Diffusion 1.x or 2.x; not changed."),
                Encoded.Input("encoded", tooltip="One clip with its caption and encoders, from Encode Dataset."),
                learning_rate(PUBLISHED.learning_rate),
                io.Int.Input("steps", default=PUBLISHED.steps, min=1, max=1000000, tooltip="Optimiser steps."),
                fixed_seed("noise, noise levels and the start of the new layers"),
                TrainSettings.Input(
                    "settings",
                    optional=True,
                    tooltip="Further settings, from Train Settings; without it the published ones.",
                ),
                *_tuning_inputs(),
                *_data_inputs(),
                io.String.Input(
                    "run_name",
                    default="",
                    optional=True,
                    tooltip="Name of the run and of its file below output/tune_a_video. A run of this name that is not "
                    "finished goes on; empty: a new run.",
                ),
                on_change(),
                preview_vae(),
                tuning_preset("rank 0, 24 frames at a stride of 2 from the first one, group norms over the whole clip"),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            outputs=[
                TuneAVideo.Output("tuned", tooltip="What was tuned, for Tune-A-Video Apply."),
                io.LossMap.Output("loss", tooltip="Loss of each step, for Plot Loss Graph."),
                io.Int.Output("steps_done", tooltip="Steps it was tuned for."),
                io.String.Output("path", tooltip="Where it was saved."),
            ],
        )

    @classmethod
    def execute(
        cls, model, encoded, learning_rate, steps, seed, settings=None, rank=0, frames=24, stride=1, start=0,
        window=FIXED, group_norms=PER_FRAME, sparse_causal=True, prior=None, prior_weight=1.0, run_name="",
        on_change=REFUSE, vae=None, preset=presets.AS_SET,
    ) -> io.NodeOutput:  # fmt: skip
        config = replace(settings or PUBLISHED, learning_rate=learning_rate, steps=steps, seed=seed)
        form, seen = Form(rank, group_norms, sparse_causal), FrameWindow(frames, stride, start, window)
        if presets.is_published(preset):
            form, seen = Form(group_norms=presets.GROUP_NORMS), presets.WINDOW
        request = TuningRequest(form, seen, prior_weight, run_name, on_change)
        image, workflow = trainable_image_model(model), workflow_metadata(cls.hidden)
        trained, tuned = train_tune_a_video(image, encoded, config, request, prior, vae, workflow)
        return io.NodeOutput(tuned, {"loss": trained.losses}, trained.steps, str(trained.path), ui=trained.ui)

    @classmethod
    def fingerprint_inputs(cls, run_name: str | None = "", **_others) -> str:
        return runs_stamp((run_name or "").strip())


def _tuning_inputs() -> list[io.Input]:
    """How the network sees the clip, and what of it is trained."""
    return [
        io.Int.Input(
            "rank",
            default=0,
            min=0,
            max=1024,
            optional=True,
            tooltip="Rank of the change of the queries (a count); 0: their whole weights, as published.",
        ),
        io.Int.Input(
            "frames",
            default=24,
            min=0,
            max=4096,
            optional=True,
            tooltip="Frames of the clip that a step sees; 0: all. Memory grows with them.",
        ),
        io.Int.Input(
            "stride", default=1, min=1, max=256, optional=True, tooltip="Every so many-th frame is taken; 1: each."
        ),
        io.Int.Input("start", default=0, min=0, max=100000, optional=True, tooltip="First frame taken, from 0."),
        io.Combo.Input(
            "window",
            options=list(WINDOWS),
            default=FIXED,
            optional=True,
            tooltip="fixed: the same frames at each step, as published. random start: others of a longer clip each "
            "step. random start and stride: and a stride from 1 to the given one.",
        ),
        io.Combo.Input(
            "group_norms",
            options=list(GROUP_NORMS),
            default=PER_FRAME,
            optional=True,
            tooltip="Where the residual blocks take their statistics from: each frame, as the image model does, or the "
            "whole clip, as the authors' code does.",
        ),
        io.Boolean.Input(
            "sparse_causal",
            default=True,
            optional=True,
            tooltip="Each frame looks at the first and the one before it; off: at itself alone, to compare.",
        ),
    ]


def _data_inputs() -> list[io.Input]:
    """What is trained on besides the clip."""
    return [
        Encoded.Input(
            "prior",
            optional=True,
            tooltip="Images or clips, with captions, of what the model must not forget; one of them is "
            "learned beside the clip at each step.",
        ),
        io.Float.Input(
            "prior_weight",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            optional=True,
            tooltip="How much the prior's loss counts (a factor); the clip's counts 1.",
        ),
    ]


NODES = [TuneAVideoTrain]
