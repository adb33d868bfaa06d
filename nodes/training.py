"""Training settings that all trainers share, and saving what they made."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.config import ATTENTION_PRESET, DENSITIES, LR_SCHEDULES, TrainConfig
from .host.loras import save_lora_as
from .sockets import TrainSettings


class FewShotTrainSettings(io.ComfyNode):
    """The settings that are seldom changed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotTrainSettings",
            display_name="Train Settings",
            category="FewShot Video/training",
            description="Further settings for the Train nodes. The defaults suit a first run.",
            search_aliases=["optimizer", "learning rate schedule", "caption dropout"],
            inputs=[
                io.Float.Input(
                    "alpha",
                    default=0.0,
                    min=0.0,
                    max=4096.0,
                    step=0.5,
                    tooltip="The LoRA is scaled by alpha / rank; 0 stands for the rank itself (no unit).",
                ),
                io.Float.Input(
                    "weight_decay",
                    default=1e-4,
                    min=0.0,
                    max=1.0,
                    step=1e-4,
                    round=False,
                    tooltip="How fast AdamW shrinks the weights (a fraction of the learning rate a step).",
                ),
                io.Float.Input(
                    "beta_1",
                    default=0.9,
                    min=0.0,
                    max=0.999999,
                    step=0.001,
                    round=False,
                    tooltip="How long AdamW remembers the gradient (a fraction kept a step).",
                ),
                io.Float.Input(
                    "beta_2",
                    default=0.99,
                    min=0.0,
                    max=0.999999,
                    step=0.001,
                    round=False,
                    tooltip="How long AdamW remembers the gradient's square (a fraction kept a step).",
                ),
                io.Float.Input(
                    "max_grad_norm",
                    default=1.0,
                    min=1e-4,
                    max=1e6,
                    step=0.1,
                    round=False,
                    tooltip="Longer gradients are shortened to this norm (no unit).",
                ),
                io.Combo.Input(
                    "lr_schedule",
                    options=list(LR_SCHEDULES),
                    default="constant",
                    tooltip="How the learning rate goes on after the warm-up.",
                ),
                io.Int.Input(
                    "warmup_steps",
                    default=0,
                    min=0,
                    max=1000000,
                    tooltip="Steps over which the learning rate rises from 0.",
                ),
                io.Combo.Input(
                    "density",
                    options=list(DENSITIES),
                    default="uniform",
                    tooltip="How noise levels in (0, 1) are drawn; logit_normal prefers the middle.",
                ),
                io.Float.Input(
                    "shift",
                    default=1.0,
                    min=0.01,
                    max=100.0,
                    step=0.1,
                    tooltip="Moves the drawn noise levels: above 1 towards noise, 1 not at all (no unit).",
                ),
                io.Float.Input(
                    "caption_dropout",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of clips trained with an empty caption (0 to 1).",
                ),
                io.String.Input(
                    "target_modules",
                    default=ATTENTION_PRESET,
                    tooltip='Layers to train: "attention", name endings such as q, v, or "regex:...".',
                ),
                io.Boolean.Input(
                    "per_frame_timesteps",
                    default=False,
                    tooltip="Tell the network each frame's own noise level; off: one for all (the paper).",
                ),
            ],
            outputs=[TrainSettings.Output("settings", tooltip="For the settings input of a Train node.")],
        )

    @classmethod
    def execute(cls, alpha: float, beta_1: float, beta_2: float, **values) -> io.NodeOutput:
        return io.NodeOutput(TrainConfig.from_dict({**values, "alpha": alpha or None, "betas": (beta_1, beta_2)}))


class FewShotSaveLoRA(io.ComfyNode):
    """Saves a LoRA with its metadata."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotSaveLoRA",
            display_name="Save LoRA (with metadata)",
            category="FewShot Video/training",
            description="Saves a LoRA with its metadata below output/loras. Nothing is overwritten.",
            search_aliases=["export lora"],
            is_output_node=True,
            inputs=[
                io.LoraModel.Input("lora", tooltip="A trained LoRA, ours or that of the core trainer."),
                io.String.Input(
                    "filename",
                    default="fewshot_lora",
                    tooltip="Name below output/loras, sub-folders allowed; a number and ending are added.",
                ),
            ],
            outputs=[io.String.Output("path", tooltip="Where the LoRA was saved.")],
        )

    @classmethod
    def execute(cls, lora, filename: str) -> io.NodeOutput:
        return io.NodeOutput(str(save_lora_as(lora, filename)))


NODES = [FewShotTrainSettings, FewShotSaveLoRA]
