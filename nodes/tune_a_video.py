"""Tune-A-Video: an image model that makes clips with the motion of one clip."""

from __future__ import annotations

from comfy_api.latest import io

from ..methods.tune_a_video import GROUP_NORMS
from .host.tune_a_video.apply import apply_tuned
from .host.tune_a_video.files import read_tuned, tuned_names, tuned_stamp
from .sockets import Node, TuneAVideo

AS_TUNED = "as tuned"


class TuneAVideoLoad(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TuneAVideoLoad",
            display_name="Tune-A-Video Load",
            category="FewShot Video/Tune-A-Video",
            description="Loads what Tune-A-Video Train has tuned on a clip; it fits the base model it was tuned on.",
            search_aliases=["one-shot video", "motion"],
            inputs=[
                io.Combo.Input(
                    "name", options=tuned_names(), tooltip="A .safetensors file of the tune_a_video folders."
                )
            ],
            outputs=[TuneAVideo.Output("tuned", tooltip="To Tune-A-Video Apply.")],
        )

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        return io.NodeOutput(read_tuned(name))

    @classmethod
    def fingerprint_inputs(cls, name: str, **_others) -> str:
        return tuned_stamp(name)


class TuneAVideoApply(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TuneAVideoApply",
            display_name="Tune-A-Video Apply",
            category="FewShot Video/Tune-A-Video",
            description=(
                "Makes Stable Diffusion 1.x or 2.x see a batch of images as the frames of one clip, and move as the "
                "clip it was tuned on. LoRAs and ControlNets still work."
            ),
            search_aliases=["one-shot video", "sparse-causal attention", "inflate"],
            inputs=[
                io.Model.Input("model", tooltip="The image model it was tuned on. It is not changed."),
                TuneAVideo.Input("tuned", tooltip="What was tuned on one clip, from Tune-A-Video Train or Load."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="How much of what was tuned (a factor): 1 as tuned, 0 only frames that see each other.",
                ),
                io.Combo.Input(
                    "group_norms",
                    options=[AS_TUNED, *GROUP_NORMS],
                    default=AS_TUNED,
                    optional=True,
                    tooltip="Where the residual blocks take their statistics from: each frame, or the whole clip.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="The model for clips; its batch is one clip.")],
        )

    @classmethod
    def execute(cls, model, tuned, strength, group_norms=AS_TUNED) -> io.NodeOutput:
        return io.NodeOutput(apply_tuned(model, tuned, strength, None if group_norms == AS_TUNED else group_norms))


NODES = [TuneAVideoLoad, TuneAVideoApply]
