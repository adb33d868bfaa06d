"""The workflow of the first run: few nodes, readable at once, with the steps that need no hand in blocks."""

from __future__ import annotations

from dataclasses import replace

from workflow_files.graph import WIDTH, Block, Graph
from workflow_files.names import START
from workflow_files.steps import RED, WIDE, Base, add_context, add_prompt, add_sampler, add_text
from workflow_files.toy import (
    CLIPS,
    FPS,
    LEARNING_RATE,
    RANK,
    SAMPLE_STEPS,
    SHOWN,
    SHOWN_OF,
    STEPS,
    toy_sampling,
    train_settings,
)
from workflow_files.toy_tasks import TASKS

TASK = TASKS[0]
PANEL = 840  # width of the trainer, whose panel shows all its parts side by side, and so in a low window, too
SUMMARY = f"""
Press **Run** (Ctrl+Enter). The graph

1. draws {CLIPS} pairs of a still and a video of a moving shape, and teaches the toy model to make the video from the
still: the panel of **TIC-FT Train** shows how far it is,
2. makes a video from a still that it was not trained on.

It takes a few minutes on a CPU. Nothing has to be downloaded. It shows that everything works, not how good a large
model is.

**Change** the steps in *TIC-FT Train*, the seed in *Make a video*.

**Out comes** a video of {TASK.target_frames} frames in `output/video`, and a LoRA in `output/loras`.

Next: [tic_ft_train_toy] is the same with every step in the open. For a model of your own: [tic_ft_train_wan21_1_3b].
"""


def prepare() -> Block:
    """Pairs to train on, encoded, and one to try the result on."""
    block = Block("Pairs to learn from", "Draws pairs of a still and a video, encodes them, and keeps others to try.")
    data = {name: block.input(name) for name in ("clip", "vae")}
    count, seed = block.input("count", CLIPS, "pairs"), block.input("seed", 0)
    with block.group("Data"):
        drawn = {"kind": TASK.kind, "seed": seed, "objects": "large"}
        pairs = block.add("FewShotToyClips", title="Toy Clips (training)", count=count, split="training", **drawn)
        encoded = block.add("FewShotEncodeDataset", dataset=pairs["dataset"], **data)["encoded"]
        settings = block.add("FewShotTrainSettings", **train_settings(TASK.detail), size=WIDE)["settings"]
        block.column()
        others = block.add("FewShotToyClips", title="Toy Clips (held out)", count=SHOWN_OF, split="held out", **drawn)
        item = block.add("FewShotDatasetItem", dataset=others["dataset"], index=SHOWN, title="Held-out pair")
    block.outputs = {"encoded": encoded, "settings": settings, "still": item["condition"], "caption": item["caption"]}
    return block


def make() -> Block:
    """A still and a LoRA to a video."""
    block = Block("Make a video", "Puts a still in front of the frames to make, with a trained LoRA on the model.")
    base = Base(block.input("model"), block.input("clip"), block.input("vae"))
    lora, known, still = (block.input(name) for name in ("lora", "ticft_settings", "still"))
    caption = block.input("caption", "")  # wired, so it comes before the widgets that are not
    steps, seed = block.input("steps", SAMPLE_STEPS), block.input("seed", 0)
    sampling = replace(toy_sampling(TASK.target_frames), steps=steps, seed=seed)
    with block.group("LoRA and condition"):
        model = block.add("LoraModelLoader", model=base.model, lora=lora, strength_model=1.0)["model"]
        context = add_context(block, model, base, TASK.task, sampling, settings=known, condition=still)
    with block.group("Captions"):
        positive = add_prompt(block, base, TASK.task, caption, known)
        negative = add_text(block, base, "", "Negative caption", RED)
    with block.group("Sample"):
        latent = add_sampler(block, context, positive, negative, sampling)
        decoded = block.add("VAEDecode", samples=latent, vae=base.vae)["IMAGE"]
        images = block.add("TICFTCrop", images=decoded, latent=latent, keep="target")["images"]
        video = block.add("CreateVideo", images=images, fps=FPS)["VIDEO"]
    block.outputs = {"video": video}
    return block


def first_run() -> Graph:
    """From pairs to a video of a still that was not trained on."""
    graph = Graph(START, SUMMARY)
    with graph.group("Teach"):
        model = graph.add("FewShotToyVideoModel", detail=TASK.detail)
        base = {name: model[name] for name in ("model", "clip", "vae")}
        pairs = graph.add_block(prepare(), clip=base["clip"], vae=base["vae"])
        graph.add("PreviewImage", images=pairs["still"], title="A still that is not trained on")
        graph.column()
        steps, batch = STEPS[TASK.detail]
        trained = graph.add(
            "TICFTTrain", model=base["model"], vae=base["vae"], encoded=pairs["encoded"], settings=pairs["settings"],
            task=TASK.task, rank=RANK, learning_rate=LEARNING_RATE, steps=steps, batch_size=batch, seed=0,
            size=(PANEL, None),
        )  # fmt: skip
    with graph.group("Make"):
        told = {"lora": trained["lora"], "ticft_settings": trained["ticft_settings"], "still": pairs["still"]}
        made = graph.add_block(make(), caption=pairs["caption"], **told, **base)
        video = {"filename_prefix": f"video/{graph.name}", "format": "auto", "codec": "auto"}
        graph.add("SaveVideo", video=made["video"], size=(WIDTH, 420), **video)
    return graph
