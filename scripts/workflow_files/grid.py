"""The workflow that compares the checkpoints of a training: a grid of videos, and the best one saved."""

from __future__ import annotations

from workflow_files.graph import Graph
from workflow_files.steps import RED, WIDE, add_context, add_prompt, add_text, add_video
from workflow_files.toy import (
    CFG,
    FPS,
    SAMPLE_STEPS,
    SHOWN,
    SHOWN_OF,
    add_clips,
    add_toy_model,
    add_train,
    toy_sampling,
    train_settings,
)
from workflow_files.toy_tasks import TASKS

NAME = "tic_ft_grid_toy"
CLIPS, EVERY, KEPT = 12, 10, 4
STRENGTHS = "0.6, 1.0"
CELL = 128  # pixels; the toy's frames are 64
SUMMARY = """
Press **Run**. The graph trains a small LoRA and keeps a checkpoint now and then. **Checkpoint Grid** makes the same
video with each of them at two strengths, from one seed, scores them, marks the best one and saves that LoRA.

Nothing has to be downloaded.

**Change** the strengths and the metric (step 5); for a run of your own write its name in `run_name` in place of the
wire.

**Out come** one video of all in `output/video`, a table of scores, and the best LoRA in `output/loras`.
"""
NOTE = """
The grid takes the LATENT and MODEL of **TIC-FT Context** without any LoRA on it: it puts the checkpoints on itself.

How many checkpoints a run keeps is set in **Run Settings** (step 3).
"""


def grid_workflows() -> list[Graph]:
    """One graph."""
    graph, task = Graph(NAME, SUMMARY), TASKS[0]
    with graph.group("Load"):
        base = add_toy_model(graph, task.detail)
    with graph.group("Data"):
        pairs = add_clips(graph, task.kind, "training", CLIPS, detail=task.detail)
        held_out = add_clips(graph, task.kind, "held out", SHOWN_OF, detail=task.detail)
        item = graph.add("FewShotDatasetItem", dataset=held_out, index=SHOWN, title="Held-out pair")
        graph.add("PreviewImage", images=item["condition"], title="Held-out condition")
        encoded = graph.add("FewShotEncodeDataset", dataset=pairs, vae=base.vae, clip=base.clip)["encoded"]
    with graph.group("Train"):
        settings = graph.add("FewShotTrainSettings", **train_settings(task.detail), size=WIDE)["settings"]
        settings = graph.add("FewShotRunSettings", settings=settings, save_every=EVERY, keep=KEPT)["settings"]
        trained = add_train(graph, base, encoded, task.task, task.detail, settings=settings)
        graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{NAME}")
    with graph.group("Condition"):
        known, sampling = trained["ticft_settings"], toy_sampling(task.target_frames)
        still = {"condition": item["condition"]}
        context = add_context(graph, base.model, base, task.task, sampling, settings=known, **still)
        graph.column()
        positive = add_prompt(graph, base, task.task, item["caption"], known)
        negative = add_text(graph, base, "", "Negative caption", RED)
    with graph.group("Choose"):
        grid = graph.add(
            "FewShotGrid", model=context["model"], vae=base.vae, positive=positive, negative=negative,
            latent=context["latent"], run_name=trained["path"], checkpoints=3, strengths=STRENGTHS, seed=0,
            steps=SAMPLE_STEPS, cfg=CFG, sampler_name="euler", scheduler="simple", metric="condition_fidelity",
            with_base=True, cell_width=CELL, condition=item["condition"], size=WIDE,
        )  # fmt: skip
        graph.note(NOTE, width=340)
        graph.column()
        add_video(graph, grid["grid"], FPS, f"video/{NAME}")
        graph.add("PreviewAny", source=grid["table"], title="Scores of all videos", size=WIDE)
        graph.add("FewShotSaveLoRA", lora=grid["lora"], filename="the_best_checkpoint")
    return [graph]
