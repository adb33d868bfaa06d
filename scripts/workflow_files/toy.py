"""The workflows of the toy model: they run as they are, with nothing downloaded."""

from __future__ import annotations

from typing import Any

from workflow_files.graph import Graph, Node, Wire
from workflow_files.steps import (
    RED,
    WIDE,
    Base,
    Sampling,
    add_context,
    add_prompt,
    add_result,
    add_sampler,
    add_text,
    add_video,
)
from workflow_files.toy_tasks import TASKS, ToyTask

CLIPS, HELD_OUT_CLIPS = 12, 4
SHOWN, SHOWN_OF = 7, 8  # which held-out pair of how many: one of those in the demo's table that only a LoRA gets right
RANK, LEARNING_RATE = 16, 1e-3
STEPS = {"coarse": (100, 8), "fine": (80, 4)}  # and clips in a batch, by the model's detail
VALIDATE_EVERY = 20  # steps
SHIFT = 5.0  # the toy model is sampled with it, so most steps lie at high noise; training should too
FPS = 12.0
SAMPLE_STEPS, CFG = 24, 1.0  # a LoRA of a dozen pairs keeps colours better without guidance

LOAD_NOTE = """
The toy model comes with the pack. For a real model, put **Load Diffusion Model**, **Load CLIP** and
**Load VAE** here. The wiring stays; sizes, steps, learning rate and CFG are the toy's, so take those of a workflow for
that model.
"""
TRAIN_NOTE = """
{steps} steps take some minutes on a CPU. A finished run is kept: it is not trained again until you change its seed,
its settings or its clips. **Cancel** keeps what was learned so far. With a `run_name` a stopped run goes on; for other
clips or settings write another one.

The LoRA is also saved below `output/loras`.
"""
SAMPLE_NOTE = """
The condition and its buffer frames lie in front of the new frames, so all of them are sampled and decoded,
and **TIC-FT Crop** keeps the new ones. Any sampler node works here.
"""


def toy_sampling(target_frames: int, cfg: float = CFG) -> Sampling:
    """Size and sampler settings that suit the toy model."""
    return Sampling(64, 64, target_frames, FPS, SAMPLE_STEPS, cfg)


def add_toy_model(graph: Graph, detail: str = "coarse") -> Base:
    """Step Load."""
    node = graph.add("FewShotToyVideoModel", detail=detail)
    graph.note(LOAD_NOTE)
    return Base(node["model"], node["clip"], node["vae"])


def add_clips(graph: Graph, kind: str, split: str, count: int, seed: int = 0, detail: str = "coarse") -> Wire:
    """Toy clips of a kind, their objects as large as the toy model of this detail knows them."""
    inputs = {"kind": kind, "count": count, "seed": seed, "split": split}
    objects = {"coarse": "small", "fine": "large"}[detail]
    return graph.add("FewShotToyClips", title=f"Toy Clips ({split})", objects=objects, **inputs)["dataset"]


def train_settings(detail: str = "coarse") -> dict[str, Any]:
    """Widgets of Train Settings that suit a toy model; the fine one was pre-trained with a timestep for each frame."""
    return {"shift": SHIFT} | ({"per_frame_timesteps": True} if detail == "fine" else {})


def add_train(graph: Graph, base: Base, encoded: Wire, task: str, detail: str = "coarse", **inputs: Wire) -> Node:
    """The trainer with the settings that suit the toy model, in a column of its own: it is high."""
    if "settings" not in inputs:
        inputs["settings"] = graph.add("FewShotTrainSettings", **train_settings(detail), size=WIDE)["settings"]
    steps, batch = STEPS[detail]
    graph.note(TRAIN_NOTE.format(steps=steps), width=340)
    graph.column()
    trained = graph.add(
        "TICFTTrain",
        model=base.model,
        encoded=encoded,
        vae=base.vae,
        task=task,
        rank=RANK,
        learning_rate=LEARNING_RATE,
        steps=steps,
        batch_size=batch,
        seed=0,
        size=WIDE,
        **inputs,
    )
    graph.column()
    return trained


def add_lora_and_context(graph: Graph, base: Base, trained: Node, task: ToyTask, item: Node) -> tuple:
    """Step Condition: the LoRA on the model, caption and context; returns context and conditionings."""
    model = graph.add("LoraModelLoader", model=base.model, lora=trained["lora"], strength_model=1.0)["model"]
    settings = trained["ticft_settings"]
    sampling = toy_sampling(task.target_frames)
    conditions = {name: item[name] for name in task.conditions}
    context = add_context(graph, model, base, task.task, sampling, settings=settings, **conditions)
    graph.column()
    positive = add_prompt(graph, base, task.task, item["caption"], settings)
    negative = add_text(graph, base, "", "Negative caption", RED)
    return context, positive, negative


def toy_task(task: ToyTask) -> Graph:
    """Train on a toy kind and sample a held-out condition."""
    graph = Graph(
        task.name,
        f"""
        {task.teaches}

        Press **Run**. The graph draws {CLIPS} training pairs, trains a small LoRA on them and then makes a
        video from a condition it was not trained on. Nothing has to be downloaded.

        **Change**: the pairs (step 2), the steps (step 3), the caption and seed (steps 4 and 5).

        **The condition** is {task.reads}.

        **Out comes** a video of {task.target_frames} frames in `output/video`.
        """,
    )
    with graph.group("Load"):
        base = add_toy_model(graph, task.detail)
    with graph.group("Data"):
        pairs, item = _data(graph, task)
        encoded = graph.add("FewShotEncodeDataset", dataset=pairs, vae=base.vae, clip=base.clip)["encoded"]
    with graph.group("Train"):
        trained = add_train(graph, base, encoded, task.task, task.detail)
        graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{task.name}")
    with graph.group("Condition"):
        context, positive, negative = add_lora_and_context(graph, base, trained, task, item)
        graph.note(f"The context reads {task.reads}. Wire your own images here to use the LoRA on them.", 340)
    with graph.group("Sample"):
        sampling = toy_sampling(task.target_frames)
        latent = add_sampler(graph, context, positive, negative, sampling)
        graph.note(SAMPLE_NOTE)
        graph.column()
        add_result(graph, base, latent, sampling, f"video/{task.name}")
    return graph


def _data(graph: Graph, task: ToyTask) -> tuple[Wire, Node]:
    """Training pairs and an item of the held-out ones."""
    pairs = add_clips(graph, task.kind, "training", CLIPS, detail=task.detail)
    held_out = add_clips(graph, task.kind, "held out", HELD_OUT_CLIPS, detail=task.detail)
    graph.note("For clips of your own use **Dataset from Folder** in place of the toy clips.")
    graph.column()
    item = graph.add("FewShotDatasetItem", dataset=held_out, index=0, title="Held-out pair")
    for name in task.conditions:
        graph.add("PreviewImage", images=item[name], title=f"Held-out {name.replace('_', ' ')}")
    return pairs, item


def train_toy() -> Graph:
    """Everything a training offers, end to end."""
    task = TASKS[0]
    graph = Graph("tic_ft_train_toy", TRAIN_SUMMARY)
    with graph.group("Load"):
        base = add_toy_model(graph, task.detail)
    with graph.group("Data"):
        pairs = add_clips(graph, task.kind, "training", CLIPS, detail=task.detail)
        held_out = add_clips(graph, task.kind, "held out", SHOWN_OF, detail=task.detail)
        item = graph.add("FewShotDatasetItem", dataset=held_out, index=SHOWN, title="Held-out pair")
        graph.add("PreviewImage", images=item["condition"], title="Held-out condition")
        graph.column()
        encoded = _encode(graph, base, pairs, "Encode the training pairs")
        validation = _encode(graph, base, held_out, "Encode the held-out pairs")
        graph.note("Clips are encoded when the trainer asks for them, and only once: the results are kept.")
    with graph.group("Train"):
        told = train_settings(task.detail)
        settings = graph.add("FewShotTrainSettings", caption_dropout=0.1, **told, size=WIDE)["settings"]
        settings = graph.add("FewShotRunSettings", settings=settings, validate_every=VALIDATE_EVERY)["settings"]
        inputs = {"settings": settings, "validation": validation}
        trained = add_train(graph, base, encoded, task.task, task.detail, **inputs)
        graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{graph.name}")
        graph.add("FewShotSaveLoRA", lora=trained["lora"], filename="my_first_tic_ft")
        graph.add("PreviewAny", source=trained["path"], title="Where the LoRA was saved")
    with graph.group("Condition"):
        context, positive, negative = add_lora_and_context(graph, base, trained, task, item)
    with graph.group("Sample"):
        sampling = toy_sampling(task.target_frames)
        latent = add_sampler(graph, context, positive, negative, sampling)
        graph.note(SAMPLE_NOTE)
        graph.column()
        made = add_result(graph, base, latent, sampling, f"video/{graph.name}")
        graph.column()
        add_video(graph, item["target"], FPS, f"video/{graph.name}_truth", title="The true clip, to compare")
        add_scores(graph, made, item)
    return graph


def add_scores(graph: Graph, made: Wire, item: Node) -> None:
    """How close a video comes to its condition and to the true clip."""
    compared = {"reference": item["target"], "condition": item["condition"]}
    scores = graph.add("FewShotVideoScore", video=made, metric="condition_fidelity", size=WIDE, **compared)
    graph.add("PreviewAny", source=scores["scores"], title="Scores of the video", size=WIDE)
    graph.add("PreviewImage", images=scores["plot"], title="Scores over the frames", size=WIDE)


def _encode(graph: Graph, base: Base, dataset: Wire, title: str) -> Wire:
    node = graph.add("FewShotEncodeDataset", dataset=dataset, vae=base.vae, clip=base.clip, title=title)
    return node["encoded"]


TRAIN_SUMMARY = f"""
Press **Run**. The graph

1. loads the toy model,
2. draws {CLIPS} pairs of a still and a video, and {SHOWN_OF} pairs the model is not trained on,
3. trains a LoRA on the pairs, draws its loss and saves it,
4. puts the LoRA on the model and a held-out still in front of the video to make,
5. samples that video, saves it beside the true one, and scores it.

Nothing has to be downloaded.

**Change** the pairs in step 2, steps and learning rate in step 3, seed and sampler in step 5.

**Out come** two videos in `output/video`, a loss curve, and a LoRA in `output/loras` that
**TIC-FT Load LoRA** offers after a refresh (press R).
"""


def zero_shot_toy() -> Graph:
    """A TIC-FT context without any training."""
    graph = Graph("tic_ft_zero_shot_toy", ZERO_SHOT_SUMMARY)
    sampling = toy_sampling(36, cfg=2.0)
    with graph.group("Load"):
        base = add_toy_model(graph, "fine")
    with graph.group("Data"):
        held_out = add_clips(graph, "image to video", "held out", SHOWN_OF, detail="fine")
        item = graph.add("FewShotDatasetItem", dataset=held_out, index=SHOWN, title="Held-out pair")
        graph.add("PreviewImage", images=item["condition"], title="Condition")
        graph.note("For an image of your own use **Load Image** in place of these.")
    with graph.group("Condition"):
        inputs = {"condition": item["condition"]}
        context = add_context(graph, base.model, base, "image to video", sampling, **inputs)
        graph.column()
        positive = add_text(graph, base, ZERO_SHOT_CAPTION, "Caption")
        negative = add_text(graph, base, "", "Negative caption", RED)
        graph.note("The untrained model knows no condition: describe all that the image shows.", width=340)
    with graph.group("Sample"):
        latent = add_sampler(graph, context, positive, negative, sampling)
        graph.note(SAMPLE_NOTE)
        graph.column()
        add_result(graph, base, latent, sampling, f"video/{graph.name}")
    return graph


ZERO_SHOT_CAPTION = "a cyan square slides left quickly on a grey background"
ZERO_SHOT_SUMMARY = """
A still image is put in front of the video, with three buffer frames of rising noise between them, and the
untrained model goes on from it.

Press **Run**. Nothing has to be downloaded.

**Change** the image (step 2), the caption (step 3), the seed (step 4). `buffer_latents` 0 in **TIC-FT Context**
shows what the buffers are good for.

**Out comes** a video of 36 frames in `output/video`. It follows the image loosely; the training workflows show
what a LoRA adds.
"""


def toy_workflows() -> list[Graph]:
    """All of them."""
    return [train_toy(), zero_shot_toy(), *(toy_task(task) for task in TASKS[1:])]
