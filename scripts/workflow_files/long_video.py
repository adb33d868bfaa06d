"""The workflows of videos of any length: the toy model trained and used at once, and Wan 2.1 with a trained LoRA."""

from __future__ import annotations

from dataclasses import replace

from workflow_files.bases.wan import MODEL as WAN
from workflow_files.bases.wan import TRAIN
from workflow_files.graph import Graph, Node, Wire
from workflow_files.models import CAPTIONS, VIDEO_TO_VIDEO, add_lora, add_model, add_source
from workflow_files.steps import RED, WIDE, Base, Sampling, add_prompt, add_text
from workflow_files.toy import CLIPS, add_clips, add_toy_model, add_train, toy_sampling
from workflow_files.toy_tasks import TASKS

TOY, WAN21 = "tic_ft_long_video_toy", "tic_ft_long_video_wan21_1_3b"
LONG_CLIP, CIRCLES, TIMES = "same action", 3, 3  # toy clips of 49 frames; one that circles, so that it can be repeated
SAMPLE_STEPS = 12  # of each window
TOY_SUMMARY = f"""
Shows a video of {TIMES * 49} frames again as a blueprint, with a LoRA that has learned it on 24 frames.

Press **Run**. The graph trains a small LoRA on {CLIPS} pairs, then makes the video window by window.

Nothing has to be downloaded.

**Change** `overlap_latents` in step 5: with 0 the windows know nothing of each other, and the seams show. Press
**Cancel** after a few windows and **Run** again: it goes on there.

**Out comes** a video below `output/fewshot_video/long_videos`. Until the end, or **Cancel**, its windows are numbered
files in a folder beside it.
"""
WAN_SUMMARY = f"""
Shows a clip of any length again in the style that a LoRA has learned from pairs of a clip and the same clip in that
style, window by window. Memory hardly grows with the length.

**Train** the LoRA with the workflow [{TRAIN}]:

- step 2: 24 `frames`, and beside each `NAME.mp4` its original as `NAME.condition.mp4`, of at least 25 frames
- step 3: the task `video to video` in **Training Plan** and **TIC-FT Train**, and `{WAN21}` as `run_name` and as the
name in **Save LoRA**

**Load** the files of step 1, the LoRA in **TIC-FT Load LoRA** (press R when it is not in the list) and a clip.

**Change** the caption in step 2 (name the style in the words of your training captions), `overlap_latents` and the
steps in step 3.

**Out comes** a video below `output/fewshot_video/long_videos`. After **Cancel** the next run goes on where it was.
"""
NOTE = """
Each window holds the last latents of the one before clean at its start (`overlap_latents`). It is sampled, decoded and
written, then the next one begins. Any sampler works here; **TIC-FT Context** and **TIC-FT Crop** are not needed.
"""


def long_video_workflows() -> list[Graph]:
    """Both."""
    return [_toy(), _wan()]


def _toy() -> Graph:
    graph, task = Graph(TOY, TOY_SUMMARY), next(task for task in TASKS if task.task == VIDEO_TO_VIDEO)
    with graph.group("Load"):
        base = add_toy_model(graph, task.detail)
    with graph.group("Data"):
        pairs = add_clips(graph, task.kind, "training", CLIPS, detail=task.detail)
        encoded = graph.add("FewShotEncodeDataset", dataset=pairs, vae=base.vae, clip=base.clip)["encoded"]
        clips = add_clips(graph, LONG_CLIP, "held out", CIRCLES + 1, detail=task.detail)
        item = graph.add("FewShotDatasetItem", dataset=clips, index=CIRCLES, title="A clip of 49 frames")
        source = graph.add("RepeatImageBatch", image=item["target"], amount=TIMES)["IMAGE"]
        graph.note("For a clip of your own use **Load Video** in place of these two, and wire its VIDEO to `source`.")
    with graph.group("Train"):
        trained = add_train(graph, base, encoded, task.task, task.detail)
        graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{TOY}")
    with graph.group("Condition"):
        model = graph.add("LoraModelLoader", model=base.model, lora=trained["lora"], strength_model=1.0)["model"]
        known = trained["ticft_settings"]
        positive = add_prompt(graph, base, task.task, "a blueprint of the same", known)
        negative = add_text(graph, base, "", "Negative caption", RED)
    sampling = replace(toy_sampling(task.target_frames), steps=SAMPLE_STEPS)
    _add_long_video(graph, replace(base, model=model), (positive, negative), source, known, sampling, TIMES * 49)
    return graph


def _wan() -> Graph:
    graph, sampling = Graph(WAN21, WAN_SUMMARY), WAN.sampling
    with graph.group("Load"):
        base = add_model(graph, WAN)
        graph.column()
        tuned, known = add_lora(graph, WAN, base.model, WAN21)
        source = add_source(graph, VIDEO_TO_VIDEO)
    with graph.group("Condition"):
        positive = add_prompt(graph, base, VIDEO_TO_VIDEO, CAPTIONS[VIDEO_TO_VIDEO], known)
        negative = add_text(graph, base, sampling.negative, "Negative caption", RED)
    _add_long_video(graph, replace(base, model=tuned), (positive, negative), source, known, sampling)
    return graph


def _add_long_video(
    graph: Graph,
    base: Base,
    prompts: tuple[Wire, Wire],
    source: Wire,
    settings: Wire,
    sampling: Sampling,
    frames: int = 0,
) -> Node:
    """Step Sample: the sampler's parts, the node itself, and its video."""
    with graph.group("Sample"):
        sampler = graph.add("KSamplerSelect", sampler_name=sampling.sampler)["SAMPLER"]
        schedule = {"scheduler": "simple", "steps": sampling.steps, "denoise": 1.0}
        sigmas = graph.add("BasicScheduler", model=base.model, **schedule)["SIGMAS"]
        graph.note(NOTE, width=340)
        graph.column()
        made = graph.add(
            "TICFTLongVideo", model=base.model, vae=base.vae, positive=prompts[0], negative=prompts[1],
            sampler=sampler, sigmas=sigmas, source=source, task=VIDEO_TO_VIDEO, width=sampling.width,
            height=sampling.height, cfg=sampling.cfg, seed=0, filename=graph.name, frames=frames, settings=settings,
            size=WIDE,
        )  # fmt: skip
        graph.column()
        graph.add("PreviewAny", source=made["report"], title="What was made", size=WIDE)
        graph.add("SaveVideo", video=made["video"], filename_prefix=f"video/{graph.name}", format="auto", codec="auto")
    return made
