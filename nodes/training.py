"""Training settings that all trainers share, and saving what they made."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ..training.core.config import (
    ATTENTION_PRESET,
    BOTH_EXPERTS,
    CHECKPOINTING,
    DENSITIES,
    EXPERTS,
    LORA_DTYPES,
    LR_SCHEDULES,
    TrainConfig,
)  # fmt: skip
from ..training.core.optimizers import OPTIMIZERS, optimizer_names
from ..training.core.presets import CUSTOM, PRESETS, summary_of, with_preset
from .host.model.loras import save_lora_as
from .host.services.workflow_metadata import workflow_metadata
from .sockets import Node, TrainSettings, compile_input, schedule_inputs


class FewShotTrainSettings(Node):
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
                    tooltip="How noise levels in (0, 1) are drawn: uniform; logit_normal and mode prefer the middle, "
                    "mode keeps the ends; high_noise prefers the noisy end.",
                ),
                io.Float.Input(
                    "shift",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Moves the drawn noise levels: above 1 towards noise, 1 not at all, 0 as the model's own "
                    "sampling does (no unit).",
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
                    tooltip='Layers to train: "attention", "self-attention", "cross-attention", "feed-forward", '
                    '"all blocks", name endings such as q, v, several with commas between, or "regex:...".',
                ),
                io.Boolean.Input(
                    "per_frame_timesteps",
                    default=False,
                    tooltip="Tell the network each frame's own noise level; off: one for all (the paper).",
                ),
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default=CUSTOM,
                    optional=True,
                    tooltip="A goal whose settings are put over those of this node; the summary names each of them.",
                ),
                io.Combo.Input(
                    "optimizer",
                    options=optimizer_names(),
                    default="adamw",
                    optional=True,
                    tooltip="adamw; adamw_8bit with a quarter of its memory; adafactor with next to none. Others are "
                    "listed where their package is installed; prodigy wants a learning rate of 1.",
                ),
                io.Int.Input(
                    "accumulation",
                    default=1,
                    min=1,
                    max=1024,
                    optional=True,
                    tooltip="Batches whose gradients are averaged for one step.",
                ),
                io.Float.Input(
                    "ema_decay",
                    default=0.0,
                    min=0.0,
                    max=0.999999,
                    step=0.001,
                    round=False,
                    optional=True,
                    tooltip="Save a running average of the LoRA that keeps this share a step; 0: none, the last one.",
                ),
                io.Float.Input(
                    "sigma_low",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.005,
                    round=False,
                    optional=True,
                    tooltip="Lowest noise level that is trained (sigma, 0 to 1).",
                ),
                io.Float.Input(
                    "sigma_high",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.005,
                    round=False,
                    optional=True,
                    tooltip="Highest noise level that is trained (sigma, 0 to 1).",
                ),
                *schedule_inputs(),
            ],
            outputs=[
                TrainSettings.Output("settings", tooltip="For the settings input of a Train node."),
                io.String.Output("summary", tooltip="What is chosen, by the preset and besides."),
                io.Int.Output("preset_rank", tooltip="The preset's rank (a count), for a Train node."),
                io.Float.Output("preset_learning_rate", tooltip="The preset's learning rate, for a Train node."),
                io.Int.Output("preset_steps", tooltip="The preset's number of steps, for a Train node."),
            ],
        )

    @classmethod
    def validate_inputs(cls, optimizer: str = "adamw") -> bool | str:
        return optimizer in OPTIMIZERS or f"the optimiser {optimizer!r} is unknown; choose one of {optimizer_names()}"

    @classmethod
    def execute(cls, alpha: float, beta_1: float, beta_2: float, preset: str = CUSTOM, **values) -> io.NodeOutput:
        config = TrainConfig.from_dict({**values, "alpha": alpha or None, "betas": (beta_1, beta_2)})
        config = with_preset(config, preset)
        return io.NodeOutput(config, summary_of(config, preset), config.rank, config.learning_rate, config.steps)


class FewShotRunSettings(Node):
    """How a run is kept, shown and fitted to the machine."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotRunSettings",
            display_name="Run Settings",
            category="FewShot Video/training",
            description="How often a run is saved, validated and previewed, and how its LoRA is written.",
            search_aliases=["save every", "validation", "preview", "gradient checkpointing", "wan 2.2 expert"],
            inputs=[
                io.Int.Input(
                    "save_every",
                    default=0,
                    min=0,
                    max=1000000,
                    tooltip="Steps between two checkpoints, from which a run goes on; 0: every few minutes.",
                ),
                io.Int.Input("keep", default=2, min=1, max=100, tooltip="Checkpoints that are kept (a count)."),
                io.Int.Input(
                    "validate_every",
                    default=0,
                    min=0,
                    max=1000000,
                    tooltip="Steps between two validations; 0: only before and after. Needs validation clips.",
                ),
                io.Int.Input(
                    "sample_every", default=0, min=0, max=1000000, tooltip="Steps between two previews; 0: none."
                ),
                io.Combo.Input(
                    "checkpointing",
                    options=list(CHECKPOINTING),
                    default="off",
                    tooltip="Less memory for more time: blocks are computed again in the backward pass; keep "
                    "attention: but for their slowest part; offloaded: what stays of them waits in main memory.",
                ),
                io.Combo.Input(
                    "lora_dtype",
                    options=list(LORA_DTYPES),
                    default="fp32",
                    tooltip="Numbers in the saved LoRA; bf16 is half as large. Training is always in fp32.",
                ),
                io.Combo.Input(
                    "expert",
                    options=list(EXPERTS),
                    default=BOTH_EXPERTS,
                    tooltip="Wan 2.2 14B: the expert that is loaded. Only its noise levels are trained, and the LoRA "
                    "is named after it.",
                ),
                TrainSettings.Input(
                    "settings", optional=True, tooltip="From Train Settings; these here are put over them."
                ),
                compile_input(),
            ],
            outputs=[TrainSettings.Output("settings_out", display_name="settings", tooltip="For a Train node.")],
        )

    @classmethod
    def execute(cls, settings: TrainConfig | None = None, **values) -> io.NodeOutput:
        # What a plan found room for belongs to its own checkpointing; chosen by hand, it is that of all blocks.
        return io.NodeOutput(replace(settings or TrainConfig(), **values, kept_blocks=0))


class FewShotSaveLoRA(Node):
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
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def execute(cls, lora, filename: str) -> io.NodeOutput:
        return io.NodeOutput(str(save_lora_as(lora, filename, workflow_metadata(cls.hidden))))


NODES = [FewShotTrainSettings, FewShotRunSettings, FewShotSaveLoRA]
