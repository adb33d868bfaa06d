"""Tune-A-Video: an image model that makes clips with the motion of one clip."""

from __future__ import annotations

from comfy_api.latest import io

from ..methods.tune_a_video import GROUP_NORMS
from .host.tune_a_video import apply_tuned
from .sockets import TuneAVideo

AS_TUNED = "as tuned"


class TuneAVideoApply(io.ComfyNode):
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
                TuneAVideo.Input("tuned", tooltip="What was tuned on one clip."),
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


NODES = [TuneAVideoApply]
