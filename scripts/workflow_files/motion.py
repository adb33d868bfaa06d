"""The workflows of one-shot motion on video models: learn the motion of one clip, use it for another subject."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workflow_files.bases import cogvideox as workflow_cogvideox
from workflow_files.bases import wan as workflow_wan
from workflow_files.graph import WIDTH, Graph, Node, Wire
from workflow_files.models import CLIP, OTHER_STEP, Model, add_model
from workflow_files.steps import RED, WIDE, Base, Sampling, add_text, add_text_to_video, add_video, own_clip
from workflow_files.toy import SHIFT, add_clips, add_toy_model, toy_sampling

TOY, WAN, COGVIDEOX = "motion_toy", "motion_wan21_1_3b", "motion_cogvideox_5b"
# Of the toy: on the method's own few layers (100 steps of 2 clips, the fine base) the path was not followed.
LAYERS = "self-attention, cross-attention"
TRAIN_NOTE = """
Two LoRAs are trained, one after the other: first one of the clip's **appearance**, on its single frames, then, on top
of it, one of its **motion**. Only the second is used afterwards, so that the appearance stays behind.

A finished run is kept. Write a `run_name` before a long one: after a stop the next **Run** goes on. Another clip or
caption needs another name.
"""
CLIP_NOTE = """
Of your clip {frames} frames are learned, {fps:g} a second, whatever rate it was shot at: the motion keeps its pace.
`start` leaves out seconds at the beginning. Only these frames are decoded, so the clip may be long.
"""
APPLY_NOTE = """
Motion is decided at high noise, so the LoRA acts in the first 0.6 of the sampling (`end_percent`) and leaves the
appearance to the caption. `end_percent` 1 keeps it to the end: try that when the motion is not followed.
"""


@dataclass(frozen=True)
class Plan:
    """What differs between the models."""

    frames: int
    caption: str  # of the clip
    still: str  # of a single frame
    edit: str  # what is made with the motion
    rank: int
    learning_rate: float
    steps: int
    appearance_steps: int
    batch_size: int = 1


def _train(graph: Graph, base: Base, dataset: Wire, plan: Plan, **inputs: Wire) -> Node:
    """Step Train; the trainer has a column of its own, because it is high."""
    data = {"dataset": dataset, "vae": base.vae, "clip": base.clip}
    encoded = graph.add("FewShotEncodeDataset", size=WIDE, **data)["encoded"]
    graph.note(TRAIN_NOTE, width=340)
    graph.column()
    trained = graph.add(
        "FewShotMotionTrain",
        model=base.model,
        encoded=encoded,
        vae=base.vae,
        rank=plan.rank,
        learning_rate=plan.learning_rate,
        steps=plan.steps,
        seed=0,
        batch_size=plan.batch_size,
        appearance_steps=plan.appearance_steps,
        still_caption=plan.still,
        size=WIDE,
        **inputs,
    )
    graph.column()
    graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{graph.name}")
    graph.add("PreviewAny", source=trained["path"], title="Where the motion was saved")
    return trained


def _apply(graph: Graph, model: Wire, lora: Wire) -> Wire:
    """A motion on a model."""
    return graph.add("FewShotMotionApply", model=model, lora=lora, strength=1.0)["model"]


def _use(graph: Graph, base: Base, model: Wire, plan: Plan, sampling: Sampling, shift: float | None = None) -> Wire:
    """Steps Captions and Sample; the frames."""
    with graph.group("Captions"):
        if shift is not None:
            model = graph.add("ModelSamplingSD3", model=model, shift=shift)["MODEL"]
        positive = add_text(graph, base, plan.edit, "Another subject with that motion")
        negative = add_text(graph, base, sampling.negative, "Negative caption", RED)
    with graph.group("Sample"):
        return add_text_to_video(graph, base, model, positive, negative, sampling)


def toy() -> Graph:
    """On the toy video model."""
    graph = Graph(TOY, TOY_SUMMARY)
    plan = TOY_PLAN
    sampling = toy_sampling(plan.frames, cfg=2.0)
    with graph.group("Load"):
        base = add_toy_model(graph, "fine")
    with graph.group("Data"):
        drawn = add_clips(graph, "one clip", "training", 1, detail="fine")  # the first clip of seed 0
        item = graph.add("FewShotDatasetItem", dataset=drawn, index=0, title="The clip")
        graph.note("The toy model has never seen this motion: it knows sliding, circling, bouncing, growing.")
        graph.column()
        clip = graph.add("FewShotDatasetClip", target=item["target"], caption=plan.caption, size=WIDE)
    with graph.group("Train"):
        settings = graph.add("FewShotTrainSettings", shift=SHIFT, target_modules=LAYERS, size=WIDE)["settings"]
        trained = _train(graph, base, clip["dataset"], plan, settings=settings)
    with graph.group("Apply"):
        model = _apply(graph, base.model, trained["motion"])
        graph.note(APPLY_NOTE)
    made = _use(graph, base, model, plan, sampling)
    graph.column()
    add_video(graph, item["target"], sampling.fps, f"video/{graph.name}_clip", title="The clip, to compare")
    graph.column()
    scores = graph.add(
        "FewShotVideoScore", video=made, reference=item["target"], metric="trajectory_agreement", size=WIDE
    )
    graph.add("PreviewAny", source=scores["scores"], title="How alike they move and look", size=WIDE)
    graph.add("PreviewImage", images=scores["plot"], title="Scores over the frames", size=WIDE)
    return graph


def on_a_clip(name: str, summary: str, model: Model, plan: Plan) -> Graph:
    """With the files of a real model and a clip of the user's."""
    graph, form = Graph(name, summary), model.sampling
    sampling = replace(form, target_frames=plan.frames)
    with graph.group("Load"):
        base = add_model(graph, model)
    with graph.group("Data"):
        video = graph.add("LoadVideo", file=CLIP, size=(WIDTH, 360))["VIDEO"]
        graph.column()
        clip = own_clip(graph, video, plan.caption, plan.frames, form)
        graph.note(CLIP_NOTE.format(frames=plan.frames, fps=form.fps))
    with graph.group("Train"):
        trained = _train(graph, base, clip["dataset"], plan)
        graph.add("FewShotSaveLoRA", lora=trained["motion"], filename=name)
        graph.column()
        moving = _apply(graph, base.model, trained["motion"])
        graph.note(APPLY_NOTE)
    with graph.group("Or a motion learned before", bypassed=True):
        lora = graph.add("FewShotMotionLoad", lora_name=f"{name}_00001_.safetensors", size=WIDE)["lora"]
        moving = _apply(graph, moving, lora)
        graph.note(OTHER_STEP.format(step=3), width=340)
    _use(graph, base, moving, plan, sampling, model.shift)
    return graph


TOY_PLAN = Plan(
    frames=49,
    caption="a thing swings",
    still="a thing",
    edit="a red disc swings on a black background",
    rank=16,
    learning_rate=1e-3,
    steps=150,
    appearance_steps=100,
    batch_size=4,
)
REAL_PLAN = Plan(
    frames=49,
    caption="a dog jumps over a hurdle on a lawn",
    still="a dog and a hurdle on a lawn",
    edit="a cat jumps over a hurdle in a snowy street",
    rank=32,
    learning_rate=1e-4,
    steps=500,
    appearance_steps=300,
)
TOY_SUMMARY = """
One clip goes in; its motion, by another subject, comes out.

Press **Run**. The graph draws one clip of a motion the toy model has never seen, learns first the clip's appearance
and then its motion, and makes a video of another object with that motion. Nothing has to be downloaded.

**Change** the clip's seed in step 2, the steps in step 3, `end_percent` in step 4, the caption in step 5.

**Out come** two videos in `output/video`, the clip and the new one, two LoRAs in `output/loras`, and scores that say
how alike the two videos are in motion and appearance.
"""
REAL_SUMMARY = """
One clip goes in; its motion, by another subject, comes out.

**Load** the three files of step 1 and a clip of at least {frames} frames in step 2. Write its caption there, and in
step 3 what a single frame of it shows (`still_caption`), then press **Run**.

**Change** the captions of step 5. Nothing is trained again for that.

**Again**, with a motion that was learned before: bypass step 3 and take step 4 in its place, as its note says. Then no
clip is needed.

**Out comes** a video in `output/video`, and the LoRA of the motion in `output/loras`, for **Motion Load** and
**Motion Apply**. No file at hand? Open [motion_toy].
"""


def motion_workflows() -> list[Graph]:
    """All of them."""
    models = ((WAN, "Wan 2.1", workflow_wan.MODEL), (COGVIDEOX, "CogVideoX 5B", workflow_cogvideox.MODEL))
    real = [
        on_a_clip(name, REAL_SUMMARY.format(model=title, frames=REAL_PLAN.frames), model, REAL_PLAN)
        for name, title, model in models
    ]
    return [toy(), *real]
