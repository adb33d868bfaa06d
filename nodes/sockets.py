"""The pack's own socket types, and inputs that several nodes share, declared once."""

from __future__ import annotations

from functools import cache

from comfy_api.latest import io

from ..methods.frames import RESIZE_MODES
from ..training.data.media.options import BACKGROUNDS, DEFAULT
from ..training.runs.changes import ON_CHANGE, REFUSE
from ..training.tune_a_video.presets import AS_SET, PRESETS
from .host.services.inputs import checked

Dataset = io.Custom("FEWSHOT_DATASET")
Encoded = io.Custom("FEWSHOT_ENCODED")
TrainSettings = io.Custom("FEWSHOT_TRAIN_SETTINGS")
TicftSettings = io.Custom("TICFT_SETTINGS")
TuneAVideo = io.Custom("TUNE_A_VIDEO")
AiclAdapter = io.Custom("AICL_ADAPTER")
AiclAction = io.Custom("AICL_ACTION")


class Node(io.ComfyNode):
    """A node of the pack: what it is given is held against its schema before ``execute`` runs."""

    def __init_subclass__(cls, **options) -> None:
        super().__init_subclass__(**options)
        execute = cls.__dict__.get("execute")
        # The host makes copies of a class that bring the wrapped one along.
        if isinstance(execute, classmethod) and not hasattr(execute.__func__, "__wrapped__"):
            setattr(cls, "execute", classmethod(checked(execute.__func__, schema_inputs)))  # noqa: B010 - its type


@cache
def schema_inputs(node: type[io.ComfyNode]) -> list[io.Input]:
    """The inputs of a node's schema; what does not change while the host runs is asked for once."""
    return node.define_schema().inputs


def layout_inputs(what: str) -> list[io.Input]:
    """``settings`` of a TIC-FT LoRA, and ``resize``, which fits ``what`` into its frames."""
    return [
        TicftSettings.Input(
            "settings",
            optional=True,
            tooltip="From TIC-FT Load LoRA or TIC-FT Train: the layout the LoRA was trained in.",
        ),
        io.Combo.Input(
            "resize",
            options=list(RESIZE_MODES),
            default="crop",
            optional=True,
            tooltip=f"How {what} fitted: crop the edges, pad with black, or stretch.",
        ),
    ]


def compile_input() -> io.Boolean.Input:
    """Whether blocks are compiled while they are trained."""
    return io.Boolean.Input(
        "compile_blocks",
        default=False,
        optional=True,
        tooltip="Compile blocks with torch.compile: minutes before the first step, then faster ones, which round "
        "otherwise. Needs a compiler: for a GPU Triton, for a CPU one of C++.",
    )


def schedule_inputs() -> list[io.Input]:
    """``lr_cycles`` and ``lr_power``, each for one of the schedules."""
    return [
        io.Int.Input(
            "lr_cycles",
            default=3,
            min=1,
            max=1000,
            optional=True,
            tooltip="Times that cosine_with_restarts falls from the whole learning rate (a count).",
        ),
        io.Float.Input(
            "lr_power",
            default=2.0,
            min=0.1,
            max=10.0,
            step=0.1,
            round=False,
            optional=True,
            tooltip="Power of polynomial (no unit): 1 falls in a straight line, higher ones fast at first.",
        ),
    ]


def latent_counts() -> list[io.Input]:
    """``condition_latents`` and ``buffer_latents`` of training and its plan, to be unpacked into a schema."""
    counts = {
        "condition_latents": "Clean latent frames at the start",
        "buffer_latents": "Buffer latent frames behind them",
    }
    return [
        io.Int.Input(
            name, default=-1, min=-1, max=256, optional=True, tooltip=f"{what}; -1 for the task's, 0 for none."
        )
        for name, what in counts.items()
    ]


def background() -> io.Input:
    """``background`` of the nodes that read clips."""
    return io.Combo.Input(
        "background",
        options=list(BACKGROUNDS),
        default=DEFAULT.background,
        optional=True,
        tooltip="What is seen, and learned, where a picture or clip is transparent; the report names the files.",
    )


def learning_rate(default: float = 1e-4, tooltip: str = "Size of a step of the optimiser (no unit).") -> io.Input:
    """``learning_rate`` of a train node."""
    return io.Float.Input("learning_rate", default=default, min=1e-8, max=1.0, step=1e-6, round=False, tooltip=tooltip)


def fixed_seed(decides: str) -> io.Input:
    """``seed`` of a train node; the front end's own default would change it, and so train again, at every Queue."""
    fixed = io.ControlAfterGenerate.fixed
    tooltip = f"Decides {decides} (a number)."
    return io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=fixed, tooltip=tooltip)


def on_change(run: str = "the run") -> io.Input:
    """``on_change`` of a train node."""
    return io.Combo.Input(
        "on_change",
        options=list(ON_CHANGE),
        default=REFUSE,
        optional=True,
        tooltip=f"When {run} of this name had other settings. refuse: list them and stop. accept: go on with the new "
        "ones. start over: begin again, the old run is kept under another name.",
    )


def tuning_preset(published: str) -> io.Input:
    """``preset`` of a Tune-A-Video node; ``published`` says what it sets then."""
    return io.Combo.Input(
        "preset",
        options=list(PRESETS),
        default=AS_SET,
        optional=True,
        tooltip=f"as published: as the authors' code does it, whatever the inputs above say: {published}.",
    )


def preview_vae() -> io.Input:
    """``vae`` of a train node."""
    return io.Vae.Input(
        "vae",
        optional=True,
        tooltip="Decodes previews; without it they show the latents as colours. Training does not use it.",
    )
