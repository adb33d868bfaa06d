"""The workflow of the clips that come with ComfyUI's own templates: real footage on the toy model."""

from __future__ import annotations

from workflow_files.graph import Graph
from workflow_files.steps import add_result, add_sampler
from workflow_files.toy import SAMPLE_NOTE, add_lora_and_context, add_toy_model, add_train, toy_sampling
from workflow_files.toy_tasks import ToyTask

NAME = "tic_ft_template_clips_toy"
PAIRS, SIDE, FPS = 12, 64, 12.0
TASK = ToyTask(
    NAME,
    "video to video",
    "",
    ("condition",),
    24,
    "",
    "a clip, of which the first 25 frames are read",
)
SUMMARY = f"""
Real footage with nothing to download: ComfyUI comes with clips of its templates that edit a video, before and after.

Press **Run**. The graph takes {PAIRS} of these pairs, trains a small LoRA on them, and makes a video from the source of
one of them.

**Do not expect a fine picture.** The toy model has seen coloured shapes of 64 x 64 pixels and nothing else.

Nothing has to be downloaded.

**Change** the model (step 1) to a real one and the clips' size (step 2) to its own; for a look of your own put clips
that were all edited in one way in place of these.

**Out comes** a video of {TASK.target_frames} frames in `output/video`.
"""
DATA_NOTE = """
The first pairs by name. The report says how each clip was read: its rate by its own timestamps, what was cropped.

Where ComfyUI was installed without the packages of its templates, the node says which one is missing.
"""


def template_workflows() -> list[Graph]:
    """One graph."""
    graph = Graph(NAME, SUMMARY)
    with graph.group("Load"):
        base = add_toy_model(graph)
    with graph.group("Data"):
        size = {"width": SIDE, "height": SIDE, "frames": TASK.target_frames, "fps": FPS, "count": PAIRS}
        clips = graph.add("FewShotTemplateClips", **size)
        graph.add("PreviewAny", source=clips["report"], title="Report")
        graph.note(DATA_NOTE)
        graph.column()
        item = graph.add("FewShotDatasetItem", dataset=clips["dataset"], index=0, title="A pair")
        graph.add("PreviewImage", images=item["condition"], title="Its condition")
        encoded = graph.add("FewShotEncodeDataset", dataset=clips["dataset"], vae=base.vae, clip=base.clip)["encoded"]
    with graph.group("Train"):
        trained = add_train(graph, base, encoded, TASK.task)
        graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{NAME}")
    with graph.group("Condition"):
        context, positive, negative = add_lora_and_context(graph, base, trained, TASK, item)
    with graph.group("Sample"):
        sampling = toy_sampling(TASK.target_frames)
        latent = add_sampler(graph, context, positive, negative, sampling)
        graph.note(SAMPLE_NOTE)
        graph.column()
        add_result(graph, base, latent, sampling, f"video/{NAME}")
    return [graph]
