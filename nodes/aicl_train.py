"""AICL: train an adapter on clips of actions, so that a base model learns actions from references."""

from __future__ import annotations

from comfy_api.latest import io

from ..methods.aicl import PRESETS
from ..training.aicl.augmentation import CROP, LEAK_CONTROL
from ..training.aicl.groups import FILES, GROUP_BY
from ..training.core.config import TrainConfig
from ..training.runs.changes import REFUSE
from .host.runs.opening import runs_stamp
from .host.services.workflow_metadata import workflow_metadata
from .host.trainers.aicl import train_aicl
from .host.trainers.aicl_plan import FORMS, AiclRequest, aicl_video_model
from .sockets import AiclAdapter, Encoded, Node, TrainSettings, fixed_seed, learning_rate, on_change, preview_vae


class AICLTrain(Node):
    """Trains in the graph, on the loaded model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AICLTrain",
            display_name="AICL Train",
            category="FewShot Video/AICL",
            description=(
                "Trains an adapter that reads an action out of reference clips; the model itself is not changed. "
                "From scratch that wants thousands of clips of many actions. For a handful of clips TIC-FT Train with "
                "the task action transfer, or Motion Train, is the right tool."
            ),
            search_aliases=["action in-context learning", "echoreel", "train adapter"],
            is_output_node=True,
            inputs=[
                *_required(),
                *_run_inputs(),
                *_adapter_inputs(),
                *_data_inputs(),
                *_drop_inputs(),
                *_last_inputs(),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            outputs=[
                AiclAdapter.Output("adapter", tooltip="To AICL Encode Action."),
                io.LossMap.Output("loss", tooltip="Loss of each step, for Plot Loss Graph."),
                io.Int.Output("steps_done", tooltip="Steps the adapter was trained for."),
                io.String.Output("path", tooltip="Where the adapter was saved."),
            ],
        )

    @classmethod
    def execute(
        cls, model, encoded, learning_rate, steps, seed, settings=None, validation=None, batch_size=None, run_name="",
        size=AiclRequest.size, form=AiclRequest.form, max_references=AiclRequest.max_references,
        group_by=AiclRequest.group_by, actions="", leak_control=AiclRequest.leak_control,
        variants=AiclRequest.variants, remove_still=False, drop_caption=AiclRequest.drop_caption, drop_references=0.0,
        drop_both=0.0, on_change=REFUSE, vae=None,
    ) -> io.NodeOutput:  # fmt: skip
        request = AiclRequest(
            size, form, max_references, group_by, actions, leak_control, variants, remove_still,
            drop_caption, drop_references, drop_both, run_name, on_change,
        )  # fmt: skip
        config = (settings or TrainConfig()).with_inputs(
            learning_rate=learning_rate, steps=steps, seed=seed, batch_size=batch_size
        )
        video, workflow = aicl_video_model(model), workflow_metadata(cls.hidden)
        adapter, trained = train_aicl(video, encoded, config, request, validation, vae, workflow)
        return io.NodeOutput(adapter, {"loss": trained.losses}, trained.steps, str(trained.path), ui=trained.ui)

    @classmethod
    def fingerprint_inputs(cls, run_name: str | None = "", **_others) -> str:
        return runs_stamp((run_name or "").strip())


def _required() -> list[io.Input]:
    return [
        io.Model.Input("model", tooltip="The video model to train for; it is not changed."),
        Encoded.Input("encoded", tooltip="Clips with references and their encoders, from Encode Dataset."),
        learning_rate(),
        io.Int.Input("steps", default=20000, min=1, max=10000000, tooltip="Optimiser steps."),
        fixed_seed("noise, noise levels, clip order, drawn references and the adapter's start"),
    ]


def _run_inputs() -> list[io.Input]:
    return [
        TrainSettings.Input("settings", optional=True, tooltip="Further settings, from Train Settings."),
        Encoded.Input(
            "validation",
            optional=True,
            tooltip="Clips that are not trained on. Their loss is taken with the right, a wrong and no reference: it "
            "tells early whether the references are read.",
        ),
        io.Int.Input("batch_size", default=1, min=1, max=256, optional=True, tooltip="Clips of a step."),
    ]


def _adapter_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "size",
            options=list(PRESETS),
            default="small",
            optional=True,
            tooltip="Size of the adapter, in parameters on Wan 2.1 1.3B: small 50 M (2 layers), base 187 M (6 layers), "
            "paper 561 M (18 layers, 8 heads of 80). Other models: the log says.",
        ),
        io.Combo.Input(
            "form",
            options=list(FORMS),
            default=FORMS[0],
            optional=True,
            tooltip="resampler: references of any size and length. faithful: as published, all of one size and length; "
            "the adapter grows with the picture, small to 426 M at 832 x 480.",
        ),
    ]


def _data_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "max_references",
            default=3,
            min=1,
            max=16,
            optional=True,
            tooltip="Most references of a clip in a step. With reference files every clip has but one.",
        ),
        io.Combo.Input(
            "group_by",
            options=list(GROUP_BY),
            default=FILES,
            optional=True,
            tooltip="A clip's references. reference files: NAME.reference beside it. sub-folder: all other clips of "
            "its sub-folder. action word: those with the same word of actions in the caption.",
        ),
        io.String.Input(
            "actions",
            default="",
            optional=True,
            tooltip="For action word: words or phrases with commas between, like walks, jumps over.",
        ),
        io.Combo.Input(
            "leak_control",
            options=list(LEAK_CONTROL),
            default=CROP,
            optional=True,
            tooltip="How references are changed before encoding, so that their appearance is not worth copying. Mirror "
            "them only where left and right do not matter.",
        ),
        io.Int.Input(
            "variants",
            default=2,
            min=0,
            max=16,
            optional=True,
            tooltip="So changed versions of each reference (a count), beside the clip as it is. Each is encoded once.",
        ),
        io.Boolean.Input(
            "remove_still",
            default=False,
            optional=True,
            tooltip="Take the mean over time off the references' latents: what does not move is then hidden.",
        ),
    ]


def _drop_inputs() -> list[io.Input]:
    rates = {
        "drop_caption": (0.1, "without caption (0 to 1), so that the sampler's cfg has something to guide away from."),
        "drop_references": (0.0, "without references (0 to 1); the adapter adds and learns nothing in them."),
        "drop_both": (0.0, "without either (0 to 1). The three rates together are at most 1."),
    }
    return [
        io.Float.Input(
            name,
            default=default,
            min=0.0,
            max=1.0,
            step=0.01,
            optional=True,
            tooltip=f"Share of clips trained {what}",
        )
        for name, (default, what) in rates.items()
    ]


def _last_inputs() -> list[io.Input]:
    return [
        io.String.Input(
            "run_name",
            default="",
            optional=True,
            tooltip="Name of the run and of its adapter below output/aicl. A run of this name that is not finished "
            "goes on; empty: a new run.",
        ),
        on_change(),
        preview_vae(),
    ]


NODES = [AICLTrain]
