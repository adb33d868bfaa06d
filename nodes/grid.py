"""Choosing with one's eyes: the checkpoints of a run at several strengths as one video."""

from __future__ import annotations

import math

from comfy_api.latest import io

from ..methods.metrics import METRICS
from ..training.runs.checkpoints import evenly
from .host.page.grid import make_grid
from .host.page.grid_cells import Compared, Sampling, cells_of
from .host.page.grid_table import grid_scores, grid_table
from .host.page.kept_cells import KeptCells
from .host.runs.checkpoints import checkpoints_stamp, run_checkpoints
from .host.sampling.inversion import samplers, schedulers
from .host.services.images import frames_of
from .sockets import Node

PROMPTS = ("positive", "positive_2", "positive_3", "positive_4")
CHOOSING = [name for name, metric in METRICS.items() if metric.better != "beside"]
MOST_STRENGTH = 10.0
KEPT = KeptCells()


def strengths_of(text: str) -> list[float]:
    """The strengths that a text lists, commas between, each once.

    Raises:
        ValueError: one of them is no number, or beyond 10.
    """
    found = []
    for part in text.replace(";", ",").split(","):
        if not part.strip():
            continue
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not abs(value) <= MOST_STRENGTH:
            raise ValueError(f"strengths has {part.strip()[:40]!r}; give numbers from -10 to 10, commas between")
        found.append(value)
    if not found:
        raise ValueError("strengths is empty; give numbers such as 0.7, 1.0")
    return list(dict.fromkeys(found))


class FewShotGrid(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotGrid",
            display_name="Checkpoint Grid",
            category="FewShot Video/evaluation",
            description=(
                "Samples several checkpoints of a run at several strengths from one seed and lays the videos beside "
                "each other, with their scores and the best one marked. What to try after every training."
            ),
            search_aliases=["xy plot", "xyz plot", "compare checkpoints", "strength", "best checkpoint", "grid"],
            inputs=[
                io.Model.Input("model", tooltip="The model without the LoRA; for TIC-FT that of TIC-FT Context."),
                io.Vae.Input("vae", tooltip="Decodes the videos."),
                io.Conditioning.Input("positive", tooltip="The prompt, as KSampler takes it."),
                io.Conditioning.Input("negative", tooltip="The negative prompt."),
                io.Latent.Input("latent", tooltip="The LATENT to sample; of a batch the first one."),
                io.String.Input(
                    "run_name",
                    default="",
                    tooltip="Name of the run, or `path` of a train node, which runs first then. Empty: the newest run.",
                ),
                io.Int.Input(
                    "checkpoints",
                    default=3,
                    min=0,
                    max=32,
                    tooltip="Checkpoints at most (a count), evenly spread, the last one always; 0: all. How many a run "
                    "keeps is set in Run Settings.",
                ),
                io.String.Input("strengths", default="0.7, 1.0", tooltip="Strengths of the LoRA, commas between."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Of the noise; the same for all videos.",
                ),
                io.Int.Input("steps", default=20, min=1, max=10000, tooltip="Sampling steps of each video."),
                io.Float.Input("cfg", default=1.0, min=0.0, max=100.0, step=0.1, tooltip="Classifier-free guidance."),
                io.Combo.Input("sampler_name", options=samplers(), default="euler", tooltip="The sampler."),
                io.Combo.Input("scheduler", options=schedulers(), default="simple", tooltip="Its noise levels."),
                io.Combo.Input(
                    "metric",
                    options=CHOOSING,
                    default="frame_consistency",
                    tooltip="Of Video Score: which number decides the best one and stands below each video.",
                ),
                io.Boolean.Input("with_base", default=True, tooltip="Also the model without the LoRA, for comparison."),
                io.Int.Input("cell_width", default=256, min=32, max=1024, step=2, tooltip="Width of a video, pixels."),
                *(
                    io.Conditioning.Input(name, optional=True, tooltip="A further prompt; each has rows of its own.")
                    for name in PROMPTS[1:]
                ),
                io.MultiType.Input(
                    "reference",
                    [io.Image, io.Video],
                    optional=True,
                    tooltip="The clip to compare with, for the metrics that need one.",
                ),
                io.MultiType.Input(
                    "condition",
                    [io.Image, io.Video],
                    optional=True,
                    tooltip="The condition that the videos are made from, for the metrics that need one.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="grid", tooltip="All videos as one, to Create Video."),
                io.String.Output(display_name="table", tooltip="The scores as a table, to Preview as Text."),
                io.String.Output(display_name="scores", tooltip="All scores of all videos as JSON."),
                io.LoraModel.Output(display_name="lora", tooltip="The best one, to Save LoRA and Load LoRA Model."),
                io.Float.Output(display_name="strength", tooltip="Its strength."),
            ],
        )

    @classmethod
    def execute(
        cls, model, vae, positive, negative, latent, run_name, checkpoints, strengths, seed, steps, cfg, sampler_name,
        scheduler, metric, with_base, cell_width, positive_2=None, positive_3=None, positive_4=None, reference=None,
        condition=None,
    ) -> io.NodeOutput:  # fmt: skip
        prompts = [entry for entry in (positive, positive_2, positive_3, positive_4) if entry is not None]
        run, found = run_checkpoints(run_name)
        wanted = cells_of(evenly(found, checkpoints), strengths_of(strengths), len(prompts), with_base)
        sampling = Sampling(seed, steps, cfg, sampler_name, scheduler)
        compared = Compared(metric, frames_of(reference), frames_of(condition))
        done = KEPT.of(
            model, vae, *prompts, negative, latent, reference, condition, run.id, repr(sampling), metric, cell_width
        )
        grid = make_grid(model, vae, prompts, negative, latent, wanted, sampling, compared, cell_width, done)
        KEPT.forget()
        table, scores = grid_table(grid.cells, grid.best, metric), grid_scores(grid.cells, grid.best)
        return io.NodeOutput(grid.frames, table, scores, grid.lora, grid.best.strength)

    @classmethod
    def fingerprint_inputs(cls, run_name: str | None = "", **_others) -> str:
        return "" if run_name is None else checkpoints_stamp(run_name)  # of a link the host watches the other end


NODES = [FewShotGrid]
